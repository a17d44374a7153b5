"""The slow, exact look at a text that the fast reader has refused: which line, and why."""

from __future__ import annotations

import csv
import datetime
import io
import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mfcli.data.formulas import guarded_text
from mfcli.data.layout import Layout
from mfcli.data.sources import File
from mfcli.errors import DataError


class BadRow(DataError):
    """A row of a ratings file breaks a rule."""


class Fault(NamedTuple):
    """What is wrong with a row.

    Attributes
    ----------
    kind : str
        In a word, to count by: fields, user, item, rating, timestamp or encoding.
    text : str
        In full.
    """

    kind: str
    text: str


@dataclass
class Rejects:
    """Rows that were left out.

    Attributes
    ----------
    path : Path
        CSV that lists them: file, line, reason and the row itself.
    counts : Counter
        By kind of fault.
    """

    path: Path
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, file: File, line: int, fault: Fault, row: str) -> None:
        first = not self.path.exists()
        self.counts[fault.kind] += 1
        with self.path.open("a", encoding="utf-8", errors="backslashreplace", newline="") as out:
            writer = csv.writer(out)
            if first:
                writer.writerow(["file", "line", "reason", "row"])
            writer.writerow([str(file), line, fault.text, guarded_text(row)])


def find_fault(layout: Layout) -> BadRow | None:
    """Return the first thing wrong in a text, as an error that names its line."""
    try:
        for _ in sound_rows(layout, 0, "or leave it out: --on-bad-row skip"):
            pass
    except BadRow as fault:
        return fault
    return None


def sound_rows(layout: Layout, first: int, remedy: str) -> Iterator[list[str]]:
    """Yield the fields of each row of a text, from one on (from 0).

    Bytes that are no UTF-8 become surrogates, outside the columns that the layout names.

    Raises
    ------
    BadRow
        At the first row with a fault, with its line and a remedy.
    """
    for line, fields in itertools.islice(_records(layout), first, None):
        fault = _fault(layout, fields)
        if fault:
            raise BadRow(f"{layout.file}:{line}: {fault.text}; {remedy}")
        yield fields


def line_of(layout: Layout, row: int) -> int:
    """Find the line of a rating by its position, from 0, among those without fault."""
    sound = (line for line, fields in _records(layout) if not _fault(layout, fields))
    return next(itertools.islice(sound, row, None))


def write_sound_rows(layout: Layout, path: Path, rejects: Rejects | None) -> Layout:
    """Copy the rows without fault to another text, plainly, and return the layout of that.

    The fast reader takes whatever is written here, also where it does not take the original: blank
    lines, "::" beside ":", digits of other scripts, times written in several ways.
    """
    roles = list(layout.columns)
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        for line, fields in _records(layout):
            fault = _fault(layout, fields)
            if not fault:
                values = (fields[layout.columns[role]] for role in roles)
                writer.writerow(
                    _PLAIN[role](value, layout.decimal)
                    for role, value in zip(roles, values, strict=True)
                )
            elif rejects:
                rejects.add(layout.file, line, fault, layout.separator.join(fields))
    return replace(
        layout,
        file=File(path, str(layout.file), ""),
        separator=",",
        decimal=".",
        header=False,
        skip=0,
        names=roles,
        columns={role: place for place, role in enumerate(roles)},
    )


def _records(layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield each rating of a text with the number of its (last) line, from 1.

    Bytes that are no UTF-8 become surrogates.
    """
    with layout.file.reading() as (stream, _):
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
        rows = _split(text, layout.separator)
        filled = ((line, row) for line, row in rows if "".join(row).strip() or len(row) > 1)
        if layout.header:
            next(filled)
        yield from filled


def _split(text: Any, separator: str) -> Iterator[tuple[int, list[str]]]:
    if separator == "::":
        yield from enumerate((line.rstrip("\r\n").split("::") for line in text), start=1)
        return
    reader = csv.reader(text, delimiter=separator)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row = [f"\udc80 cannot be split into fields: {error}"]
        yield reader.line_num, row


def _fault(layout: Layout, row: list[str]) -> Fault | None:
    if len(row) != len(layout.names):
        text = f"must have {len(layout.names)} fields like the first line, got {len(row)}"
        return Fault("fields", text)
    for role, position in layout.columns.items():
        text = row[position]
        if any("\udc80" <= character <= "\udcff" for character in text):
            advice = "must be UTF-8 text; convert the file, as with iconv"
            return Fault("encoding", f"{role} {advice}")
        fault = _FAULTS[role](role, text, layout.decimal)
        if fault:
            return Fault(role, fault)
    return None


def _id_fault(role: str, text: str, decimal: str) -> str | None:
    return None if text else f"{role} id must not be empty"


def _rating_fault(role: str, text: str, decimal: str) -> str | None:
    try:
        with np.errstate(over="ignore"):
            finite = math.isfinite(np.float32(text.replace(decimal, ".")))
    except ValueError:
        finite = False
    if finite and "_" not in text:
        return None
    hint = "; is it --decimal ,?" if decimal == "." and "," in text else ""
    return f"rating must be a finite number, got {text!r}{hint}"


def _time_fault(role: str, text: str, decimal: str) -> str | None:
    try:
        _seconds(text, decimal)
    except (ValueError, OverflowError):
        pass
    else:
        return None
    return (
        f"timestamp must be seconds or an ISO 8601 date, got {text!r};"
        " leave times out with --time-col ''"
    )


def _seconds(text: str, decimal: str) -> int:
    """Read a time as whole seconds since 1970; a date without zone is in UTC.

    Raises
    ------
    ValueError, OverflowError
        If it is none, or too far off.
    """
    try:
        seconds = math.floor(float(text.replace(decimal, ".")))
    except ValueError:
        date = datetime.datetime.fromisoformat(text)
        zoned = date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
        seconds = math.floor(zoned.timestamp())
    if "_" in text or not -(2**63) <= seconds < 2**63:
        raise ValueError(text)
    return seconds


def _plain_id(text: str, decimal: str) -> str:
    return text


def _plain_rating(text: str, decimal: str) -> str:
    return repr(float(text.replace(decimal, ".")))


def _plain_time(text: str, decimal: str) -> str:
    return str(_seconds(text, decimal))


_PLAIN = {
    "user": _plain_id,
    "item": _plain_id,
    "rating": _plain_rating,
    "timestamp": _plain_time,
}
_FAULTS = {
    "user": _id_fault,
    "item": _id_fault,
    "rating": _rating_fault,
    "timestamp": _time_fault,
}
