"""Typed JSON records: `split.json`, `model.json`, `checkpoint.json`, `metrics.json`, ...

Every record has these fields:

    format    number of its layout
    mfcli     the version of mfcli that wrote it
    digest    SHA-256 of all other fields

Within a format, later versions of mfcli may add fields, so unknown fields are ignored. A change
that makes older readers wrong needs a new format number.

To define a record, list its fields and their types:

    class ScaleSection(Section):
        min: float
        max: float
        step: float | None = None

    class ModelRecord(Record):
        FORMAT = 2

        mu: float
        users: Whole
        losses: dict[str, float]
        scale: ScaleSection

    scale = ScaleSection(min=1, max=5)
    write_record(path, ModelRecord(mu=3.5, users=2, losses={"loss": 0.5}, scale=scale))
    record = read_record(path, ModelRecord, remedy="train again")
    record.scale.max

`read_record` returns a value of the given type or raises one `ArtifactError`, whatever the file
holds. Rules that types cannot express belong in `__post_init__`, which raises `ValueError` with a
text that names the field: "ends must start at 0".
"""

from __future__ import annotations

import hashlib
import json
import re
import reprlib
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

import msgspec

from mfcli import __version__
from mfcli.errors import ArtifactError, Text
from mfcli.storage.byte_order_marks import marked_encoding
from mfcli.storage.files import open_regular, reading
from mfcli.storage.validation import converted

_MOST_BYTES = 1 << 26  # no record is larger
_HUGE = 1e300  # no number in a record is larger
DIGEST = "digest"
_REMEDY = "create it again"
# Lists of numbers as `json.dumps` indents them, one number a line.
_NUMBERS = re.compile(r"(?<=\[)\n[-+.\deE,\s]+(?=\])")  # no text contains a raw line break
# Control characters, line separators, changes of the writing direction, halves of characters.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

Whole: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A whole number from 0 to 2**63 - 1, such as a count."""


class Section(msgspec.Struct):
    """An object within a record; fields with a default come last."""


class Record(msgspec.Struct, kw_only=True):
    """A record; subclasses set `FORMAT` and add fields, those with a default last.

    Fields must not be named `format` or `digest`. With ``class ModelRecord(Record,
    omit_defaults=True)``, fields that have their default value are not written.

    Attributes
    ----------
    FORMAT : int
        The format number that this version reads and writes.
    mfcli : str
        The version of mfcli that wrote the record; this version by default.
    """

    FORMAT: ClassVar[int]

    mfcli: str = __version__


R = TypeVar("R", bound=Record)
T = TypeVar("T", bound=Record | Section)


def write_record(path: Path, record: Record) -> None:
    """Write a record as JSON for people and programs.

    The file is written in place. Call it in a `replacing_file` or `replacing_folder` block to
    replace an older record atomically.
    """
    path.write_text(sealed_text(record_fields(record)), encoding="utf-8")


def record_fields(record: Record) -> dict[str, Any]:
    """Return what `write_record` writes, except for the digest, as plain values."""
    return {"format": record.FORMAT, "mfcli": record.mfcli, **record_values(record)}


def record_values(record: Record | Section) -> dict[str, Any]:
    """Return the fields of a record as plain values: dicts, lists, texts and numbers."""
    values: dict[str, Any] = msgspec.to_builtins(record)
    return values


def read_record(path: Path, kind: type[R], *, remedy: Text = _REMEDY) -> R:
    """Read a record of `write_record`.

    Parameters
    ----------
    path : Path
    kind : type
        The class of the record.
    remedy : Text
        How to obtain a correct file, for the message.

    Raises
    ------
    ArtifactError
        If the file is missing, unreadable, damaged or of another format, or if a field is missing
        or has the wrong type.
    """
    return to_record(path, read_json(path, remedy=remedy), kind, remedy=remedy)


def to_record(path: Path, value: dict[str, Any], kind: type[R], *, remedy: Text = _REMEDY) -> R:
    """Convert what `read_json` returned to a record.

    For files that may hold one of several kinds of records. The parameters and errors are those of
    `read_record`.
    """
    # The format first: the digest of another format may follow other rules.
    _check_format(path, value, kind.FORMAT, remedy)
    check_seal(path, value, remedy)
    return to_section(path, value, kind, remedy=remedy)


def to_section(path: Path, value: dict[str, Any], kind: type[T], *, remedy: Text = _REMEDY) -> T:
    """Convert an object of plain values, such as `parse_json` returns, to a section.

    Raises
    ------
    ArtifactError
        If a field is missing or has the wrong type.
    """
    try:
        return converted(value, kind)
    except ValueError as error:
        raise ArtifactError(str(error), place=path, remedy=remedy) from error


def read_json(path: Path, *, remedy: Text = _REMEDY, finite: bool = True) -> dict[str, Any]:
    """Read a JSON object from any source.

    Parameters
    ----------
    path : Path
    remedy : Text
    finite : bool
        As for `parse_json`.

    Returns
    -------
    dict
        As from `parse_json`.

    Raises
    ------
    ArtifactError
        If the file is missing, unreadable or too large, or as from `parse_json`.
    """
    return parse_json(path, _content(path, remedy), remedy=remedy, finite=finite)


def parse_json(
    path: Path, content: bytes, *, remedy: Text = _REMEDY, finite: bool = True
) -> dict[str, Any]:
    """Parse a JSON object.

    Parameters
    ----------
    path : Path
        Where it was read, for messages.
    content : bytes
    remedy : Text
    finite : bool
        Refuse numbers that are not finite. Otherwise they are read as NaN and infinity.

    Returns
    -------
    dict
        If `finite`, all numbers are below 1e300 in absolute value.

    Raises
    ------
    ArtifactError
        If the content is not a JSON object with such numbers.
    """
    value = _parsed(path, content, remedy, finite)
    if not isinstance(value, dict):
        found = type(value).__name__
        raise ArtifactError(f"must hold a JSON object, got {found}", place=path, remedy=remedy)
    return value


def _check_format(path: Path, value: dict[str, Any], reads: int, remedy: Text) -> None:
    """Refuse an object whose format number is missing or not the one that this version reads."""
    found = value.get("format")
    if type(found) is not int or found < 1:  # not `isinstance`: true is an integer in Python
        rule = f"has no format number, got {reprlib.repr(found)}"
        raise ArtifactError(rule, place=path, remedy=remedy)
    if found != reads:
        rule = f"has format {reprlib.repr(found)}, but this mfcli reads format {reads}"
        remedy = "upgrade mfcli" if found > reads else remedy
        raise ArtifactError(rule, place=path, remedy=remedy)


def check_seal(path: Path, value: dict[str, Any], remedy: Text, previous: str = "") -> None:
    """Refuse an object whose digest is missing or is not that of `seal`."""
    try:
        is_sound = value.get(DIGEST) == seal(value, previous)
    except RecursionError:
        raise ArtifactError("is nested too deeply", place=path, remedy=remedy) from None
    if not is_sound:
        rule = "is damaged (its digest is wrong)"
        raise ArtifactError(rule, place=path, remedy=remedy)


def json_text(value: dict[str, Any]) -> str:
    """Format an object as JSON for people and programs.

    The text is UTF-8 without NaN, indented, with each list of numbers on one line. Characters that
    control a terminal, or that UTF-8 cannot encode, are escaped.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    text = _NUMBERS.sub(lambda found: " ".join(found[0].split()), text)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def sealed_text(value: dict[str, Any]) -> str:
    """Format an object as `json_text` does, with its digest added."""
    return json_text({**value, DIGEST: seal(value)})


def seal(value: dict[str, Any], previous: str = "") -> str:
    """Return the digest of all other fields of an object, whatever their order.

    In a journal, it covers the digest of the previous line too.
    """
    others = {name: entry for name, entry in value.items() if name != DIGEST}
    # A canonical form, so that other programs may reorder and indent the file.
    text = json.dumps(others, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{previous}{text}".encode("ascii")).hexdigest()


def _content(path: Path, remedy: Text) -> bytes:
    with open_regular(path, remedy) as file, reading(path):
        content = file.read(_MOST_BYTES + 1)  # one more, to notice a larger file without reading it
    if len(content) > _MOST_BYTES:
        rule = f"is larger than {_MOST_BYTES >> 20} MB"
        raise ArtifactError(rule, place=path, remedy=remedy)
    return content


def _parsed(path: Path, content: bytes, remedy: Text, finite: bool) -> Any:
    try:
        return json.loads(
            content.decode(marked_encoding(content) or "utf-8"),
            parse_int=_whole if finite else _whole_or_huge,
            parse_float=_finite if finite else float,
            parse_constant=_refused if finite else float,
        )
    except OverflowError as error:
        rule = str(error)
    except (ValueError, RecursionError) as error:
        rule = f"is not valid JSON: {error}"
    raise ArtifactError(rule, place=path, remedy=remedy)


def _whole(text: str) -> int:
    # Python takes quadratic time to convert long integers, and refuses more than 4300 digits.
    return int(text) if len(text) <= 300 else _refused(text)


def _whole_or_huge(text: str) -> int | float:
    return int(text) if len(text) <= 300 else float(text)


def _finite(text: str) -> float:
    number = float(text)
    return number if abs(number) < _HUGE else _refused(text)


def _refused(text: str) -> Any:
    raise OverflowError(f"numbers must be finite and below 1e300, got {reprlib.repr(text)}")
