"""The OpenAPI description, made of the types with which requests are decoded."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from mfcli import __version__
from mfcli.server import answers
from mfcli.server.endpoints import ENDPOINTS, Endpoint
from mfcli.server.problems import MEDIA_TYPE

_JSON = "application/json"
_REFERENCE = "#/components/schemas/{name}"
_PROBLEMS = {
    400: "The request is malformed.",
    403: "A page of another site sent the request.",
    404: "The user, item or path is unknown, or the server has no split.",
    408: "The request did not arrive in time.",
    409: "The model cannot answer this.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    421: "The request names another host.",
    422: "A parameter is invalid.",
    500: "The server failed.",
    503: "There are too many connections.",
}
_OF_BODIES = (403, 408, 413, 415)
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": 'Raw id, with reserved characters percent-encoded; 42 finds 42 and "42".',
    "schema": {"type": "string", "minLength": 1},
}


@cache
def description() -> bytes:
    """Return the description as JSON."""
    return msgspec.json.encode(_description())


def _description() -> dict[str, Any]:
    taken = [endpoint.takes for endpoint in ENDPOINTS]
    given = [answers.Problem, answers.Health, *(endpoint.gives for endpoint in ENDPOINTS)]
    _, schemas = msgspec.json.schema_components([*taken, *given], ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {"/health": {"get": _health()}}
    for endpoint in ENDPOINTS:
        operation = _operation(endpoint, schemas)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    bodies = {one.takes.__name__ for one in ENDPOINTS if one.method == "POST"}
    queries = {one.takes.__name__ for one in ENDPOINTS} - bodies
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mfcli",
            "version": __version__,
            "description": "Recommendations, predictions and similar items of a model.",
        },
        "paths": paths,
        "components": {"schemas": {n: s for n, s in schemas.items() if n not in queries}},
    }


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    summary, _, more = inspect.cleandoc(endpoint.answer.__doc__ or "").partition("\n\n")
    name = endpoint.answer.__name__.lstrip("_")
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": " ".join(summary.split()),
        **({"description": " ".join(more.split())} if more else {}),
        "responses": _responses(endpoint.gives, has_body=endpoint.method == "POST"),
    }
    parameters = [_ID] if "{id}" in endpoint.path else []
    if endpoint.method == "POST":
        content = {_JSON: {"schema": _reference(endpoint.takes)}}
        operation["requestBody"] = {"required": True, "content": content}
    else:
        parameters += _query(schemas[endpoint.takes.__name__])
    return operation | ({"parameters": parameters} if parameters else {})


def _query(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the parameters of a query, given the schema of their type."""
    for name, field in schema["properties"].items():
        shown = {key: value for key, value in field.items() if key != "description"}
        about = {"description": field["description"]} if "description" in field else {}
        yield {"name": name, "in": "query", "required": False, **about, "schema": shown}


def _health() -> dict[str, Any]:
    return {
        "operationId": "health",
        "summary": "Say whether the server is ready.",
        "responses": _responses(answers.Health, has_body=False),
    }


def _responses(gives: type, *, has_body: bool) -> dict[str, Any]:
    content = {_JSON: {"schema": _reference(gives)}}
    found: dict[str, Any] = {
        "200": {"description": inspect.cleandoc(gives.__doc__ or ""), "content": content}
    }
    if not has_body:
        found["304"] = {"description": "The answer is the one that the client has."}
    problem = {MEDIA_TYPE: {"schema": _reference(answers.Problem)}}
    for status, text in _PROBLEMS.items():
        if has_body or status not in _OF_BODIES:
            found[str(status)] = {"description": text, "content": problem}
    return found


def _reference(kind: type) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}
