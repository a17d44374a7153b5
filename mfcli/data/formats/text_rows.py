"""The rows of a text, and whether a quotation mark that stays open on its line is text.

A row may span lines, since quoted fields may contain line breaks. But titles that begin with a
quotation mark also occur, and then all rows up to the next quotation mark would be one field. Lines
that are complete rows without the quotes show which of the two it is.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mfcli.data.formats.columns import PAIRS
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.numbers import is_number
from mfcli.data.formats.quotes import Quotes
from mfcli.data.formats.separators import COLONS, SPACES, split_lines


class TextRow(NamedTuple):
    """A row of a text.

    Attributes
    ----------
    line : int
        The number of its last line, from 1.
    fields : list of str
        Bytes that are not UTF-8 are surrogates.
    lines : int
        The number of its lines.
    """

    line: int
    fields: list[str]
    lines: int


def text_rows(layout: Layout) -> Iterator[TextRow]:
    """Yield the rows of a text that are not blank, without the header."""
    with layout.file.reading() as (stream, _):
        # Line ends stay as they are (newline=""), since a quoted field may contain them.
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
        before = layout.skip - layout.header
        for _ in range(before):
            text.readline()
        rows = _split(itertools.chain([text.readline().lstrip("\ufeff")], text), layout)
        filled = (row for row in rows if "".join(row.fields).strip() or len(row.fields) > 1)
        if layout.header:
            next(filled)  # as a row, since names in quotes may contain line breaks
        for line, fields, lines in filled:
            trimmed = [field.strip(" ") for field in fields] if layout.spaced else fields
            yield TextRow(before + line, trimmed, lines)


def first_spanning_row(layout: Layout) -> TextRow:
    """Return the first row that spans lines; there must be one."""
    return next(row for row in text_rows(layout) if row.lines > 1)


def rows_are_whole(layout: Layout, data: bytes) -> list[bool]:
    """For each row that spans lines, return whether it is one row, not several rows.

    Several rows look like one if a quotation mark in one of them is text.

    Parameters
    ----------
    layout : Layout
    data : bytes
        Starts at the start of a row.
    """
    rows = Quotes(data, layout.separator).spanning_rows(len(layout.names) - 1)
    return [
        row.closes and not (row.has_full_lines and _are_several(layout, data[row.start : row.end]))
        for row in rows
    ]


def _are_several(layout: Layout, row: bytes) -> bool:
    """Return whether most lines in quotes are rows."""
    first, *inner = row.splitlines()
    last = inner.pop() if inner else b""
    # Without ratings, any last line of a row is too easily a row.
    if "rating" in layout.columns and _is_row(layout, last):
        inner.append(last)
    inner = [line for line in inner if line.strip()]
    most = 2 * sum(_is_row(layout, line) for line in inner) > len(inner)
    return most and (_is_row(layout, first) or _fields(layout, row) != len(layout.names))


def _fields(layout: Layout, row: bytes) -> int:
    if len(row) > csv.field_size_limit():
        return 0  # `csv` would raise an error
    return len(next(csv.reader(io.StringIO(_decoded(row), newline=""), delimiter=layout.separator)))


def _is_row(layout: Layout, line: bytes) -> bool:
    """Return whether a line has all fields that a row needs, if an open quote is text."""
    if line.count(layout.separator.encode()) < len(layout.names) - 1:
        return False
    fields = _fields_as_text(line, layout.separator)
    if len(fields) != len(layout.names):
        return False
    values = {role: fields[column] for role, column in layout.columns.items()}
    rating = values.get("rating", "0")
    ids = [value for role, value in values.items() if role in PAIRS]
    return all(ids) and is_number(rating, layout.decimal)


def _fields_as_text(line: bytes, separator: str) -> list[str]:
    """Split a line into fields; a quote that stays open is text."""
    if len(line) > csv.field_size_limit():
        return ["\udc80 cannot be split into fields"]  # the surrogate makes it a fault
    if line.count(b'"') < 2:
        return _decoded(line).split(separator)
    opening = Quotes(line, separator).opening(len(line))
    if opening is None:
        return split_lines([_decoded(line)], separator)[0]
    before = split_lines([_decoded(line[:opening])], separator) if opening else [[""]]
    return before[0][:-1] + _decoded(line[opening:]).split(separator)


def _decoded(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _split(text: Iterable[str], layout: Layout) -> Iterator[TextRow]:
    if layout.separator in (COLONS, SPACES):
        for number, content in enumerate(text, start=1):
            line = content.rstrip("\r\n")
            yield TextRow(number, split_lines([line], layout.separator)[0], 1)
        return
    lines, number = _Lines(text), 0
    reader = csv.reader(lines, delimiter=layout.separator, skipinitialspace=layout.spaced)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # a field is too long
            fields = [f"\udc80 cannot be split into fields: {error}"]
        taken = lines.taken()  # the lines that `csv` used for this row
        is_row = len(fields) == len(layout.names)
        if (len(taken) == 1 and not lines.ended) or (is_row and _is_whole(layout, taken)):
            number += len(taken)
            yield TextRow(number, fields, len(taken))
            continue
        # Not one row, so its lines are rows, in which the open quotes are text.
        for content in taken:
            number += 1
            data = content.rstrip("\r\n").encode(errors="surrogateescape")
            yield TextRow(number, _fields_as_text(data, layout.separator), 1)


def _is_whole(layout: Layout, lines: list[str]) -> bool:
    return all(rows_are_whole(layout, "".join(lines).encode(errors="surrogateescape")))


class _Lines:
    """Lines of a text; remembers which were taken since it was asked last."""

    def __init__(self, text: Iterable[str]) -> None:
        self._text, self._taken = iter(text), list[str]()
        self.ended = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._text, None)
        if line is None:
            self.ended = True
            raise StopIteration
        self._taken.append(line)
        return line

    def taken(self) -> list[str]:
        lines, self._taken = self._taken, []
        return lines
