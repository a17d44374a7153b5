"""Typed JSON records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mfcli.errors import ArtifactError, Param
from mfcli.storage import (
    Record,
    Section,
    Whole,
    json_text,
    read_json,
    read_record,
    record_values,
    records,
    to_record,
    write_record,
)


class Scale(Section):
    min: float
    labels: dict[str, str | dict[str, Whole]] | None = None


class Example(Record):
    FORMAT = 2

    name: str
    rows: Whole
    mean: float | None
    scale: Scale
    ends: list[Whole]
    clip: bool = True
    ranges: tuple[tuple[Whole, Whole], ...] = ()
    counts: dict[str, Whole] | None = None

    def __post_init__(self) -> None:
        if self.ends != sorted(self.ends):
            raise ValueError("ends must not decrease")


GOOD: dict[str, Any] = {
    "format": 2,
    "mfcli": "0.0.9",
    "name": "a",
    "rows": 3,
    "mean": 1,
    "ends": [0, 3],
    "scale": {"min": 0.5},
}


def written(tmp_path: Path, value: dict[str, Any]) -> Path:
    """Write any object with the right digest, NaN and all."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value | {"digest": records.seal(value)}))
    return path


def error(path: Path, remedy: Any = "make it") -> str:
    with pytest.raises(ArtifactError) as caught:
        read_record(path, Example, remedy=remedy)
    text = str(caught.value)
    assert len(text) < 300
    assert text.startswith(f"{path}: ")
    assert len(text.splitlines()) == 1
    return text.removeprefix(f"{path}: ")


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = Example(name="é\ud800", rows=2**63 - 1, mean=None, ends=[], scale=Scale(min=-1.5))
    write_record(tmp_path / "a.json", record)
    assert read_record(tmp_path / "a.json", Example) == record
    value = json.loads((tmp_path / "a.json").read_text())
    assert list(value)[:2] == ["format", "mfcli"]
    assert list(value)[-1] == "digest"
    assert value["format"] == 2


def test_a_record_shows_the_version_that_wrote_it(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    record = read_record(path, Example)
    assert record.mfcli == "0.0.9"
    assert record_values(record)["scale"] == {"min": 0.5, "labels": None}
    assert to_record(path, read_json(path), Example) == record


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"mean": None, "clip": True, "ends": []},
        {"other": {"of": ["any", "kind"]}},
        {"scale": {"min": -1, "labels": {"word": "x", "counts": {"a": 1}}}},
        {"ranges": [[1, 2], [3, 4]]},
    ],
)
def test_valid_fields_are_accepted(tmp_path: Path, more: dict[str, Any]) -> None:
    read_record(written(tmp_path, GOOD | more), Example)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"name": 3}, "name must be text, got 3"),
        ({"rows": -1}, "rows must be a whole number >= 0, got -1"),
        ({"rows": True}, "rows must be a whole number, got True"),
        ({"rows": 1.5}, "rows must be a whole number, got 1.5"),
        ({"rows": 2**63}, f"rows must be a whole number <= {2**63 - 1}, got {2**63}"),
        ({"mean": "x"}, "mean must be a number or null, got 'x'"),
        ({"clip": None}, "clip must be true or false, got None"),
        ({"ends": {}}, "ends must be a list, got {}"),
        ({"ends": [1, "x"]}, "ends[1] must be a whole number, got 'x'"),
        ({"ends": [2, 1]}, "ends must not decrease"),
        ({"ranges": [[1]]}, "ranges[0] must be a list of length 2, got [1]"),
        ({"ranges": [[1, 2], [3, -4]]}, "ranges[1][1] must be a whole number >= 0, got -4"),
        ({"scale": [1]}, "scale must be an object, got [1]"),
        ({"scale": {}}, "has no scale.min"),
        ({"scale": {"min": "x"}}, "scale.min must be a number, got 'x'"),
        (
            {"scale": {"min": 1, "labels": {"w": 3}}},
            "scale.labels['w'] must be text or an object, got 3",
        ),
        (
            {"scale": {"min": 1, "labels": {"a": "x", "b": {"c": 1, "d": -1}}}},
            "scale.labels['b']['d'] must be a whole number >= 0, got -1",
        ),
        ({"counts": {str(n): n - 2 for n in range(9, -1, -1)}}, "counts['1'] must be a whole"),
        ({"counts": {"a\n": "x"}}, "counts['a\\n'] must be a whole number, got 'x'"),
        ({"name": {"long": "x" * 10_000}}, "name must be text, got {'long': 'xxxxxxxxxxxx..."),
    ],
)
def test_invalid_fields_are_named(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    assert error(written(tmp_path, GOOD | more)).startswith(message)


def test_field_names_that_are_not_unicode_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD | {"\ud800": 1})
    assert error(path) == "must contain valid Unicode, got '\\ud800'; make it"


@pytest.mark.parametrize("name", ["name", "rows", "mean", "scale"])
def test_a_missing_field_is_named(tmp_path: Path, name: str) -> None:
    value = {field: entry for field, entry in GOOD.items() if field != name}
    assert error(written(tmp_path, value)) == f"has no {name}; make it"


def test_the_remedy_may_name_a_parameter(tmp_path: Path) -> None:
    text = error(written(tmp_path, GOOD | {"name": 1}), ["omit ", Param("resume")])
    assert text == "name must be text, got 1; omit resume"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not valid JSON"),
        ("{", "is not valid JSON"),
        ("\xff", "is not valid JSON"),
        ("[1]", "must hold a JSON object, got list; make it"),
        ("null", "must hold a JSON object, got NoneType; make it"),
        ("[" * 100_000, "is not valid JSON"),
        ('{"a":' * 100_000, "is not valid JSON"),
        ('{"a": ' + "[" * 900 + "]" * 900 + "}", "has no format number, got None; make it"),
        ('{"a": NaN}', "numbers must be finite and below 1e300, got 'NaN'; make it"),
        ('{"a": [-Infinity]}', "numbers must be finite and below 1e300, got '-Infinity'; make it"),
        ('{"a": 1e999}', "numbers must be finite and below 1e300, got '1e999'; make it"),
        ('{"a": -2e300}', "numbers must be finite and below 1e300, got '-2e300'; make it"),
        ('{"a": ' + "9" * 400 + "}", "numbers must be finite and below 1e300, got '9999"),
        ('{"a": ' + "9" * 100_000 + "}", "numbers must be finite and below 1e300, got '9999"),
        ("{}", "has no format number, got None; make it"),
        ('{"format": "x"}', "has no format number, got 'x'; make it"),
        ('{"format": true}', "has no format number, got True; make it"),
        ('{"format": 0}', "has no format number, got 0; make it"),
        ('{"format": 1}', "has format 1, but this mfcli reads format 2; make it"),
        ('{"format": 3}', "has format 3, but this mfcli reads format 2; upgrade mfcli"),
        ('{"format": 1' + "0" * 200 + "}", "has format 1000"),
        ('{"format": 2}', "is damaged (its digest is wrong); make it"),
        ('{"format": 2, "digest": [1]}', "is damaged (its digest is wrong); make it"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="latin-1")
    assert error(path).startswith(message)


def test_deep_nesting_is_refused_or_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for depth in range(600, 1100):
        path.write_text('{"format": 2, "other": ' + "[" * depth + "]" * depth + "}")
        with pytest.raises(ArtifactError) as caught:
            read_record(path, Example)
        assert len(str(caught.value).splitlines()) == 1
    value = GOOD | {"other": json.loads("[" * 300 + "]" * 300)}
    assert read_record(written(tmp_path, value), Example).name == "a"


def test_missing_and_unreadable_files_are_refused(tmp_path: Path) -> None:
    assert error(tmp_path / "none.json") == "cannot be read: No such file or directory"
    assert error(tmp_path) == "cannot be read: Is a directory"


def test_huge_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_MOST_BYTES", 1 << 20)
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(1 << 40)  # a sparse file, which takes no space on the disk
    assert error(tmp_path / "huge.json") == "is larger than 1 MB; make it"


def test_a_changed_record_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    path.write_text(path.read_text().replace("0.5", "0.6"))
    assert error(path) == "is damaged (its digest is wrong); make it"


def test_the_digest_does_not_depend_on_order_or_layout(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    value = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(value.items())), indent=4))
    assert read_record(path, Example).rows == 3


def test_json_cannot_control_a_terminal(tmp_path: Path) -> None:
    value = {"name": "\x1b[2J\x9b1m\x7f\u202e\u2066\ud800é🎬"}
    path = tmp_path / "a.json"
    path.write_text(json_text(value), encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    assert text == '{\n  "name": "\\u001b[2J\\u009b1m\\u007f\\u202e\\u2066\\ud800é🎬"\n}\n'
    assert read_json(path) == value


def test_lists_of_numbers_are_on_one_line() -> None:
    text = json_text({"loss": [1.5, 2], "words": ["a"]})
    assert text == '{\n  "loss": [1.5, 2],\n  "words": [\n    "a"\n  ]\n}\n'
