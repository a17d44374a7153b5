"""The kinds of values in JSON that was read: checked at the door, by a table of fields.

A kind is one of

    str, bool     text; true or false
    int           a whole number from 0, below 2**63
    float         a finite number, whole or not
    None          null
    [kind]        a list of such values
    {name: kind}  an object with these fields; "name?" may be missing, and `str` in place of a name
                  stands for all fields not named; other fields are not looked at
    (kind, ...)   any of these
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mfcli.errors import ArtifactError

_HUGE = 1e300  # no number in an artifact is larger

_TESTS: dict[Any, Callable[[Any], bool]] = {
    str: lambda value: type(value) is str,
    bool: lambda value: type(value) is bool,
    int: lambda value: type(value) is int and 0 <= value < 1 << 63,
    float: lambda value: type(value) in (int, float) and abs(value) < _HUGE,
    None: lambda value: value is None,
}
_WORDS = {
    str: "text",
    bool: "true or false",
    int: "a whole number from 0",
    float: "a finite number",
    None: "null",
}


def check_fields(
    path: Path, value: Any, fields: Mapping[Any, Any], remedy: str = "make it anew"
) -> None:
    """Refuse an object that lacks a field or has one of another kind.

    Parameters
    ----------
    path : Path
        Where the object was read, for the message.
    value : object
    fields : mapping
        The kind of each field.
    remedy : str

    Raises
    ------
    ArtifactError
    """
    fault = next(_faults(value, fields, ""), None)
    if fault:
        raise ArtifactError(f"{path}: {fault}; {remedy}")


def _faults(value: Any, kind: Any, name: str) -> Iterator[str]:
    """Yield what does not fit, the first place first."""
    if isinstance(kind, tuple):
        if all(any(_faults(value, one, name)) for one in kind):
            yield _fault(value, kind, name)
    elif isinstance(kind, list) and type(value) is list:
        for number, entry in enumerate(value, start=1):
            yield from _faults(entry, kind[0], f"entry {number} of {name}")
    elif isinstance(kind, Mapping) and type(value) is dict:
        yield from _field_faults(value, kind, name)
    elif isinstance(kind, list | Mapping) or not _TESTS[kind](value):
        yield _fault(value, kind, name)


def _field_faults(value: dict[str, Any], fields: Mapping[Any, Any], name: str) -> Iterator[str]:
    kinds = {field.removesuffix("?"): kind for field, kind in fields.items() if field is not str}
    for field, kind in kinds.items():
        place = f"{name}.{field}" if name else field
        if field in value:
            yield from _faults(value[field], kind, place)
        elif f"{field}?" not in fields:
            yield f"has no {place}"
    if str in fields:
        for field, entry in value.items():
            if field not in kinds:
                yield from _faults(entry, fields[str], f"{name}[{field!r}]")


def _fault(value: Any, kind: Any, name: str) -> str:
    return f"{name} must be {_words(kind)}, got {reprlib.repr(value)}"


def _words(kind: Any) -> str:
    if isinstance(kind, tuple):
        return " or ".join(map(_words, kind))
    if isinstance(kind, list):
        return "a list"
    return "an object" if isinstance(kind, Mapping) else _WORDS[kind]
