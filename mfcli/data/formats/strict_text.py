"""The strict reader: slow and exact, for texts that the fast reader refuses.

It reads a text row by row, as Python's `csv` module does, and names the line of a faulty row. Rows
without faults are written again as plain text, which the fast reader can parse.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pyarrow as pa

from mfcli.data.arrow_arrays import to_texts
from mfcli.data.faults import Fault, OnFault, value_name
from mfcli.data.feedback import positive_roles
from mfcli.data.formats.encodings import guess_remedy
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.numbers import INFINITE, ZERO, rating_hint
from mfcli.data.formats.preamble import COMMENT_MARKS
from mfcli.data.formats.separators import COLONS
from mfcli.data.formats.text import TextPiece
from mfcli.data.formats.text_rows import TextRow, text_rows
from mfcli.data.ids import id_rule
from mfcli.data.times import IGNORE, moment_of, plain_time
from mfcli.errors import DataError

_ROWS = 1 << 15  # rows of a piece
_CLOSE = "close the quotation mark, or double each one that is text and quote the field"
_TO_UTF8 = "convert the file, as with iconv"


def plain_ratings(
    layout: Layout, first: int, position: int, on_fault: OnFault
) -> Iterator[tuple[TextPiece, int]]:
    """Write the ratings of a text as plain text: only the needed columns, as plain numbers.

    The fast reader can parse this text even if it refuses the original because of blank lines,
    digits of other scripts, or times written in several ways.

    Parameters
    ----------
    layout : Layout
    first : int
        The row to start with, from 0.
    position : int
        Number of bytes that have been read before it.
    on_fault : callable
        Called for each faulty row.

    Yields
    ------
    piece, int
        As `text_pieces`.
    """
    roles = list(layout.columns)
    plain = replace(
        layout,
        separator=",",
        decimal=".",
        names=roles,
        columns={role: column for column, role in enumerate(roles)},
        spaced=False,
    )
    rows = (
        row._replace(fields=_plain_fields(layout, row.fields))
        for row in _sound_rows(layout, first, on_fault)
    )
    has_date = partial(_has_date, plain.columns.get("timestamp"))
    # A new piece where numbers and dates alternate, since Arrow infers one type for a piece.
    return itertools.chain.from_iterable(
        _pieces(plain, alike, position) for _, alike in itertools.groupby(rows, has_date)
    )


def _plain_fields(layout: Layout, fields: list[str]) -> list[str]:
    columns = layout.columns.items()
    return [_PLAIN[role](fields[column], layout.decimal) for role, column in columns]


def _has_date(column: int | None, row: TextRow) -> bool:
    """Return whether the time of a plain row is a date: Arrow reads a piece as one type."""
    return column is not None and ":" in row.fields[column]


def plain_pairs(
    layout: Layout, first: int, position: int, on_fault: OnFault, *, utf8: bool
) -> Iterator[tuple[TextPiece, int]]:
    """Write the rows of a text as plain text, with all columns as they are.

    Parameters
    ----------
    layout, first, position, on_fault
        As for `plain_ratings`.
    utf8 : bool
        Whether all columns must be UTF-8 text.

    Yields
    ------
    piece, int
        As `text_pieces`.

    Raises
    ------
    DataError
        For the first row that is not UTF-8 text but must be.
    """
    rows = _sound_rows(layout, first, on_fault)
    checked = (_checked_utf8(layout, row) if utf8 else row for row in rows)
    return _pieces(replace(layout, spaced=False), checked, position)


def _checked_utf8(layout: Layout, row: TextRow) -> TextRow:
    if any(map(_is_not_utf8, row.fields)):
        rule = "must be UTF-8 text to become Parquet"
        raise DataError(rule, place=layout.place(row.line), remedy=_TO_UTF8)
    return row


def text_line(layout: Layout, row: int) -> int:
    """Return the line of a row without faults, given its position from 0 among such rows."""
    rows = _sound_rows(layout, 0, lambda line, fault, row: None)
    # Slow, but only messages need it.
    return next(sound.line for sound in itertools.islice(rows, row, None))


def column_texts(layout: Layout, column: int) -> Iterator[pa.Array]:
    """Yield the fields of a column of the rows without faults, piece by piece."""
    rows = _sound_rows(layout, 0, lambda line, fault, row: None)
    fields = (row.fields[column] for row in rows)
    while group := list(itertools.islice(fields, _ROWS)):
        yield to_texts(group)


def _pieces(
    layout: Layout, rows: Iterator[TextRow], position: int
) -> Iterator[tuple[TextPiece, int]]:
    while group := list(itertools.islice(rows, _ROWS)):
        # Spanning rows are counted here: quotes in the text that is written are always special.
        data = _plain_text(layout.separator, [row.fields for row in group])
        position += len(data)
        yield TextPiece(layout, data, sum(row.lines > 1 for row in group)), position


def _plain_text(separator: str, rows: list[list[str]]) -> bytes:
    """Write rows so that the same fields are read again; quotes are used only where needed."""
    if separator != COLONS:
        special = {separator, '"', "\r", "\n"}  # csv.writer would not quote a carriage return
        rows = [[_quoted(field, special) for field in fields] for fields in rows]
    text = "".join(separator.join(fields) + "\n" for fields in rows)
    return text.encode(errors="surrogateescape")


def _quoted(field: str, special: set[str]) -> str:
    if special.isdisjoint(field):
        return field
    doubled = field.replace('"', '""')
    return f'"{doubled}"'


def _sound_rows(layout: Layout, first: int, on_fault: OnFault) -> Iterator[TextRow]:
    """Yield the rows of a text without faults, from row `first` on."""
    for row in itertools.islice(text_rows(layout), first, None):
        fault = _fault(layout, row.fields)
        if fault is None:
            yield row
        else:
            on_fault(row.line, fault, row.fields)


def _fault(layout: Layout, row: list[str]) -> Fault | None:
    if len(row) != len(layout.names):
        rule = f"must have {len(layout.names)} fields like the first line"
        return Fault("fields", rule, len(row), _hint(layout, row))
    for role, column in layout.columns.items():
        text = row[column]
        if _is_not_utf8(text):  # before the rule of the role, whose message would show surrogates
            raw = text.encode(errors="surrogateescape")
            byte = next(raw[n] for n, letter in enumerate(text) if _is_not_utf8(letter))
            rule = f"{role} must be UTF-8 text (byte 0x{byte:02X})"
            return Fault("encoding", rule, hint=guess_remedy(raw))
        fault = _FAULTS[role](role, text, layout.decimal)
        if fault is None and role in positive_roles(layout.implicit):
            fault = _positive_fault(layout, role, text)
        if fault:
            return fault
    return None


def _positive_fault(layout: Layout, role: str, text: str) -> Fault | None:
    if float(text.replace(layout.decimal, ".")) > ZERO:
        return None
    name = layout.roles[role] if layout.is_named else role
    return Fault(role, f"{value_name(role, name, layout.implicit)} must be a positive number", text)


def _hint(layout: Layout, row: list[str]) -> str:
    """Return what is probably wrong with a row that has a different number of fields."""
    if row and row[0].startswith(COMMENT_MARKS):
        return "comments may only be at the start of a file; remove this one"
    is_open = layout.separator != COLONS and any(field.startswith('"') for field in row)
    return _CLOSE if is_open else ""


def _is_not_utf8(text: str) -> bool:
    # Most texts are ASCII, and `isascii` looks up a flag instead of the characters.
    return not text.isascii() and any("\udc80" <= letter <= "\udcff" for letter in text)


def _id_fault(role: str, text: str, decimal: str) -> Fault | None:
    return None if text.strip() else Fault(role, f"{role} {id_rule(text)[0]}")


def _title_fault(role: str, text: str, decimal: str) -> Fault | None:
    return None  # any text is a title


def _rating_fault(role: str, text: str, decimal: str) -> Fault | None:
    try:
        is_finite = abs(float(text.replace(decimal, "."))) < INFINITE  # false for NaN
    except ValueError:
        is_finite = False
    # With a decimal comma, 1.234 may be in thousands; with a point, a number needs no hint.
    hint = rating_hint(text, decimal) if decimal != "." or not is_finite else ""
    if is_finite and "_" not in text and not hint:
        return None
    return Fault(role, f"{role} must be a finite number", text, hint)


def _time_fault(role: str, text: str, decimal: str) -> Fault | None:
    try:
        moment_of(text, decimal)
    except (ValueError, OverflowError):
        rule = "timestamp must be seconds or an ISO 8601 date"
        return Fault(role, rule, text, IGNORE)
    return None


def _plain_id(text: str, decimal: str) -> str:
    return text


def _plain_rating(text: str, decimal: str) -> str:
    # Arrow does not read all that Python does, such as digits of other scripts.
    return repr(float(text.replace(decimal, ".")))


def _plain_time(text: str, decimal: str) -> str:
    return plain_time(moment_of(text, decimal))


_PLAIN = {
    "user": _plain_id,
    "item": _plain_id,
    "rating": _plain_rating,
    "timestamp": _plain_time,
    "weight": _plain_rating,
}
_FAULTS = {
    "user": _id_fault,
    "item": _id_fault,
    "rating": _rating_fault,
    "timestamp": _time_fault,
    "weight": _rating_fault,
    "title": _title_fault,
}
