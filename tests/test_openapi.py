"""The OpenAPI description, and random requests that it allows and forbids."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from serving import Client, trained

from mfcli.server import Application, application
from mfcli.server.endpoints import ENDPOINTS
from mfcli.server.parameters import MOST_BYTES

HOST = "testserver"  # of schemathesis
LIMITS = settings(
    max_examples=12,  # for each endpoint and mode
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Application:
    folder = trained(tmp_path_factory.mktemp("openapi"), "sgd")
    return application(folder / "model", split=folder / "split", hosts=["localhost", HOST])


@pytest.fixture(scope="module")
def description(app: Application) -> dict[str, Any]:
    found: dict[str, Any] = Client(app).get("/openapi.json").json()
    return found


def test_every_endpoint_is_described(description: dict[str, Any]) -> None:
    assert description["openapi"] == "3.1.0"
    described = {
        (method.upper(), path) for path, some in description["paths"].items() for method in some
    }
    assert described == {("GET", "/health"), *((one.method, one.path) for one in ENDPOINTS)}
    for some in description["paths"].values():
        for operation in some.values():
            assert operation["summary"].endswith(".")
            assert {"200", "422", "500"} <= operation["responses"].keys()


def test_limits_and_defaults_are_those_of_the_types(description: dict[str, Any]) -> None:
    operation = description["paths"]["/users/{id}/recommendations"]["get"]
    found = {one["name"]: one for one in operation["parameters"]}
    assert found["n"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 10}
    assert found["exclude"]["schema"]["enum"] == ["none", "split", "train"]
    assert found["id"]["required"]
    assert all(one["description"] for one in found.values())
    assert MOST_BYTES == 1 << 20
    schemas = description["components"]["schemas"]
    assert schemas["Pairs"]["properties"]["pairs"]["maxItems"] == 1000
    assert schemas["Pairs"]["additionalProperties"] is False


@pytest.mark.filterwarnings("ignore::mfcli.errors.MfcliWarning")
@pytest.mark.parametrize("mode", GenerationMode)
def test_random_requests_are_answered_as_described(app: Application, mode: GenerationMode) -> None:
    """No failure of the server, and no status or content that the description does not have."""
    description = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in description.get_all_operations()]
    assert len(operations) == len(ENDPOINTS) + 1
    for operation in operations:
        with contextlib.suppress(Unsatisfiable):  # nothing about /health can be wrong
            check_cases(operation, mode)


def check_cases(operation: schemathesis.APIOperation, mode: GenerationMode) -> None:
    @given(operation.as_strategy(mode))
    @LIMITS
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate()

    check()
