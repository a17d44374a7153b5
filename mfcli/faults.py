"""The slow, exact look at a ratings file that the fast reader has refused: which line, and why."""

from __future__ import annotations

import csv
import datetime
import math
from collections.abc import Iterator

import numpy as np

from mfcli.errors import DataError
from mfcli.layout import Layout, open_text


def records(layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield each rating of a text with the number of its (last) line, from 1."""
    with open_text(layout) as text:
        if layout.separator == "::":
            lines = enumerate((line.rstrip("\r\n").split("::") for line in text), start=1)
        else:
            reader = csv.reader(text, delimiter=layout.separator)
            lines = ((reader.line_num, fields) for fields in reader)  # type: ignore[assignment]
        filled = (
            (line, fields) for line, fields in lines if "".join(fields).strip() or len(fields) > 1
        )
        if layout.header:
            next(filled)
        yield from filled


def find_fault(layout: Layout) -> DataError | None:
    """Return the first thing wrong in a text, as an error that names its line."""
    line = 1
    try:
        for line, fields in records(layout):
            fault = _fault(layout, fields)
            if fault:
                return DataError(f"{layout.path}:{line}: {fault}")
    except csv.Error as error:
        return DataError(f"{layout.path}:{line + 1}: cannot be split into fields: {error}")
    return None


def line_of(layout: Layout, row: int) -> int:
    """Find the line of a rating by its position, from 0."""
    return next(line for n, (line, _) in enumerate(records(layout)) if n == row)


def _fault(layout: Layout, fields: list[str]) -> str | None:
    if len(fields) != len(layout.names):
        return f"must have {len(layout.names)} fields like the first line, got {len(fields)}"
    for role, position in layout.columns.items():
        text = fields[position]
        if any("\udc80" <= character <= "\udcff" for character in text):
            return f"{role} must be UTF-8 text; convert the file, for instance with iconv"
        fault = _FAULTS[role](role, text)
        if fault:
            return fault
    return None


def _id_fault(role: str, text: str) -> str | None:
    return None if text else f"{role} id must not be empty"


def _rating_fault(role: str, text: str) -> str | None:
    try:
        with np.errstate(over="ignore"):
            finite = math.isfinite(np.float32(text))
    except ValueError:
        finite = False
    return None if finite and "_" not in text else f"rating must be a finite number, got {text!r}"


def _time_fault(role: str, text: str) -> str | None:
    try:
        finite = math.isfinite(float(text))
    except ValueError:
        finite = _is_date(text)
    if finite:
        return None
    return (
        f"timestamp must be seconds or an ISO 8601 date, got {text!r};"
        " leave times out with --time-col ''"
    )


def _is_date(text: str) -> bool:
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


_FAULTS = {
    "user": _id_fault,
    "item": _id_fault,
    "rating": _rating_fault,
    "timestamp": _time_fault,
}
