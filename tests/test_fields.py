"""The kinds of values in JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfcli.errors import ArtifactError
from mfcli.storage import check_fields

FIELDS = {
    "name": str,
    "rows": int,
    "mean": (float, None),
    "clip?": bool,
    "ends": [int],
    "scale": {"min": float, str: (str, {str: int})},
}
GOOD = {"name": "a", "rows": 3, "mean": 1, "ends": [0, 3], "scale": {"min": 0.5}}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"mean": None, "clip": True, "ends": []},
        {"other": {"of": ["any", "kind"]}},
        {"scale": {"min": -1, "words": "x", "counts": {"a": 1}}},
    ],
)
def test_what_fits_is_let_in(more: dict[str, object]) -> None:
    check_fields(Path("a.json"), GOOD | more, FIELDS)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"name": 3}, "name must be text, got 3"),
        ({"rows": -1}, "rows must be a whole number from 0, got -1"),
        ({"rows": True}, "rows must be a whole number from 0, got True"),
        ({"rows": 2**63}, "rows must be a whole number from 0, got 9223372036854775808"),
        ({"mean": float("nan")}, "mean must be a finite number or null, got nan"),
        ({"mean": 10**400}, "mean must be a finite number or null, got 10000"),
        ({"clip": None}, "clip must be true or false, got None"),
        ({"ends": {}}, "ends must be a list, got {}"),
        ({"ends": [0, "x"]}, "entry 2 of ends must be a whole number from 0, got 'x'"),
        ({"scale": []}, "scale must be an object, got []"),
        ({"scale": {}}, "has no scale.min"),
        ({"scale": {"min": 0, "a\n": 1.5}}, "scale['a\\n'] must be text or an object, got 1.5"),
    ],
)
def test_what_does_not_fit_is_named(more: dict[str, object], message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        check_fields(Path("a.json"), GOOD | more, FIELDS, "split again")
    assert str(caught.value).startswith(f"a.json: {message}")
    assert str(caught.value).endswith("; split again")


def test_the_top_may_have_any_names() -> None:
    with pytest.raises(ArtifactError, match=r"a\.json: \['b'\] must be text, got 1; make it anew"):
        check_fields(Path("a.json"), {"a": "x", "b": 1}, {str: str})
