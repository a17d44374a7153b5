"""Conversion of plain values to types, with messages that name the field at fault."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def converted(value: dict[str, Any], kind: type[T]) -> T:
    """Convert an object of plain values to a type that msgspec knows.

    Raises
    ------
    ValueError
        With a text such as "ratings.all must be a whole number, got 'x'". `value` is then changed.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        rule = _rule(str(error), value, kind)
    except UnicodeEncodeError as error:  # JSON can escape halves of characters, UTF-8 cannot
        rule = f"must contain valid Unicode, got {reprlib.repr(error.object)}"
    raise ValueError(rule)


_WORDS = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "null": "null",
    "object": "an object",
    "str": "text",
}
_PLACE = re.compile(r"(.*?)(?: - at `(?:key` in `)?\$([^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_EXPECTED = re.compile(r"Expected `([^`]+)`([^,]*).*", re.DOTALL)


def _rule(text: str, value: dict[str, Any], kind: Any) -> str:
    """Phrase an error of msgspec, which writes "Expected `int`, got `str` - at `$.ratings.all`"."""
    found = _PLACE.fullmatch(text)
    message, path = (found[1], found[2] or "") if found else (text, "")
    *_, (name, entry) = [("", value), *_steps(text, path, value, kind)]
    if missing := _MISSING.fullmatch(message):
        return f"has no {name}.{missing[1]}" if name else f"has no {missing[1]}"
    if expected := _EXPECTED.fullmatch(message):
        words = " or ".join(_WORDS.get(word, word) for word in expected[1].split(" | "))
        return f"{name} must be {words}{expected[2]}, got {reprlib.repr(entry)}"
    return f"{name}: {message}" if name else message


def _steps(text: str, path: str, value: dict[str, Any], kind: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and values along a path such as ".ratings[...][3]", the innermost last."""
    name: str = ""
    entry: Any = value
    for field, index in _STEP.findall(path):
        if index == "...":  # some entry of an object
            key = _faulty_key(text, entry, value, kind)
            name, entry = f"{name}[{reprlib.repr(key)}]", entry[key]
        elif index:
            name, entry = f"{name}[{index}]", entry[int(index)]
        else:
            name, entry = f"{name}.{field}".removeprefix("."), entry[field]
        yield name, entry


def _faulty_key(text: str, entries: dict[str, Any], value: dict[str, Any], kind: Any) -> str:
    """Find the entry that breaks a rule; msgspec does not name it.

    Keeps the half of the entries that gives the same error until one is left. `entries` is an
    object within `value`; it is changed.
    """
    left = list(entries.items())
    # Objects may have a million entries, so they are not tried one by one.
    while len(left) > 1:
        half = left[: len(left) // 2]
        entries.clear()
        entries.update(half)
        left = half if _error(value, kind) == text else left[len(half) :]
    entries.clear()
    entries.update(left)
    return left[0][0]


def _error(value: dict[str, Any], kind: Any) -> str:
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        return str(error)
    return ""
