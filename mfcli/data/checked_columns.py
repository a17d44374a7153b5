"""Check columns that have a type, from a file or from a table in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfcli.data.arrow_arrays import one_array, to_arrow_mask, to_mask, to_numpy
from mfcli.data.faults import Fault, OnFault, value_name
from mfcli.data.feedback import positive_roles
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.numbers import INFINITE
from mfcli.data.formats.tables import table_pieces
from mfcli.data.ids import empty_ids, id_column, id_rule, is_text
from mfcli.data.times import IGNORE, time_column
from mfcli.errors import DataError, Param, Text
from mfcli.types import Mask

_NEEDED = {
    "user": "integer or text ids",
    "item": "integer or text ids",
    "rating": "finite numbers",
    "timestamp": "seconds or dates",
    "weight": "positive numbers",
}
_NO_OBJECT = Fault("json", "is not a JSON object", hint="the file may be truncated")


def sound_columns(
    place: object,
    names: Mapping[str, str],
    columns: Mapping[str, pa.Array | pa.ChunkedArray],
    on_fault: OnFault,
    before: int = 0,
    invalid: Mapping[int, str] = MappingProxyType({}),
    *,
    quoted: bool = False,
    implicit: bool = False,
) -> dict[str, pa.Array]:
    """Check columns and convert them to a common form, without the faulty rows.

    Parameters
    ----------
    place : object
        The file or table, for messages.
    names : mapping of str
        The name of the column of each role.
    columns : mapping of Arrow array
        By role.
    on_fault : callable
        Called for each faulty row.
    before : int
        Number of rows before them.
    invalid : mapping of str
        As in `TablePiece`.
    quoted : bool
        Whether ratings may be numbers in texts.
    implicit : bool
        Whether ratings are strengths, which must be positive.

    Returns
    -------
    dict of Arrow array
        By role: ids as int64 or string, ratings and weights as float32, times as int64 (numbers in
        a unit that is not known yet) or timestamp[s].

    Raises
    ------
    DataError
        If a column has the wrong type.
    """
    plain = {
        role: _plain(place, role, names[role], column, quoted) for role, column in columns.items()
    }
    positive = positive_roles(implicit)
    faulty = {role: _faulty(role, column, positive) for role, column in plain.items()}
    bad = np.logical_or.reduce(list(faulty.values()))
    for row in np.flatnonzero(bad).tolist():
        if row in invalid:
            on_fault(before + row + 1, _NO_OBJECT, [invalid[row]])
            continue
        # The first faulty role is reported; a row is skipped once, whatever else is wrong with it.
        role = next(role for role in faulty if faulty[role][row])
        fault = _fault(role, value_name(role, names[role], implicit), _value(columns[role], row))
        on_fault(before + row + 1, fault, [str(_value(c, row)) for c in columns.values()])
    if bad.any():  # filtering copies, which sound columns do not need
        return {role: column.filter(to_arrow_mask(~bad)) for role, column in plain.items()}
    return plain


def table_columns(layout: Layout, on_fault: OnFault) -> Iterator[tuple[dict[str, pa.Array], int]]:
    """Read the columns of the roles from a file with typed columns, piece by piece.

    Yields
    ------
    columns, int
        As `sound_columns`, and about how many bytes of the file have been read.
    """
    names = layout.roles
    for piece, position in table_pieces(layout.file, layout.format, list(names.values())):
        columns = {role: piece.table[name] for role, name in names.items()}
        sound = sound_columns(
            layout.file,
            names,
            columns,
            on_fault,
            piece.before,
            piece.invalid,
            quoted=layout.format == "json",  # some programs write all values as texts
            implicit=layout.implicit,
        )
        yield sound, position


def _plain(
    place: object, role: str, name: str, column: pa.Array | pa.ChunkedArray, quoted: bool
) -> pa.Array:
    """Return ids as int64 or string, numbers as float32, and times as in `time_column`.

    Nulls stay, and values that do not suit the role become null.
    """
    numbers = _quoted_numbers if quoted else _numbers
    kinds = {"rating": numbers, "weight": numbers, "timestamp": _times}
    convert = kinds.get(role, id_column)
    try:
        plain = convert(one_array(column))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # no such cast, or out of range
        plain = None
    if plain is None:
        choose: Text = ["choose another with ", Param(f"columns.{role}")]
        if role in ("rating", "weight") and is_text(_decoded(one_array(column)).type):
            choose = ["write them as numbers, or ", choose]  # there may be no other column
        raise DataError(
            f"column {name!r} must hold {_NEEDED[role]}, got {column.type}",
            place=place,
            remedy=IGNORE if role == "timestamp" else choose,
        )
    return plain


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _numbers(column: pa.Array) -> pa.Array | None:
    column = _decoded(column)
    # Not safe: rounding to float32 is intended, and infinity is found later.
    return column.cast(pa.float32(), safe=False) if _is_number(column.type) else None


def _quoted_numbers(column: pa.Array) -> pa.Array | None:
    """Return the numbers in texts, null for other texts; None if no text is a number."""
    if not is_text(column.type):
        return _numbers(column)
    encoded = column.dictionary_encode()
    numbers = [_number(text) for text in encoded.dictionary.to_pylist()]
    if numbers and all(number is None for number in numbers):
        return None
    return pa.array(numbers, pa.float32()).take(encoded.indices)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None or "_" in text else float(text)
    except ValueError:
        return None


def _times(column: pa.Array) -> pa.Array | None:
    return time_column(_decoded(column))


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _faulty(role: str, column: pa.Array, positive: Collection[str]) -> Mask:
    """Mark the rows whose value is missing, empty, not finite, or not positive but must be."""
    faulty = to_mask(pc.is_null(column))
    if role in ("rating", "weight"):
        values = to_numpy(column)
        faulty |= ~np.isfinite(values)
        if role in positive:
            faulty |= values <= 0
    elif role != "timestamp":  # what is no time is null already
        faulty |= empty_ids(column)
    return faulty


def _value(column: pa.Array | pa.ChunkedArray, row: int) -> Any:
    """Return a value as it is in the source; text if Python has no such value."""
    try:
        return column[row].as_py()
    except (ValueError, OverflowError):  # nanoseconds, years beyond 9999
        return str(column[row])


def _fault(role: str, what: str, value: Any) -> Fault:
    """Return the fault of a row, given what its value is called."""
    if role in ("user", "item"):
        rule, shown = id_rule(value)
        return Fault(role, f"{what} {rule}", shown)
    hint = IGNORE if role == "timestamp" else ""
    if value is None or (role == "timestamp" and value != value):  # NaN or NaT
        return Fault(role, f"{what} is null", hint=hint)
    rule = "must be seconds or an ISO 8601 date" if hint else "must be a finite number"
    if not hint and _is_finite(value):
        rule = "must be a positive number"
    return Fault(role, f"{what} {rule}", value, hint)


def _is_finite(value: Any) -> bool:
    try:  # Python reads 1_000 as a number; other programs do not
        return "_" not in str(value) and abs(float(value)) < INFINITE
    except (TypeError, ValueError, OverflowError):
        return False
