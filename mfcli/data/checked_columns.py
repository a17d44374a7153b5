"""Checks columns that have a type, from Parquet or from a table in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfcli.data.arrow_arrays import one_array, to_arrow_mask, to_mask, to_numpy
from mfcli.data.faults import Fault, OnFault
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.tables import table_pieces
from mfcli.data.ids import empty_ids, id_column
from mfcli.errors import DataError, Param, Text
from mfcli.types import Mask

_NEEDED = {
    "user": "integer or text ids",
    "item": "integer or text ids",
    "rating": "finite numbers",
    "timestamp": "seconds or dates",
}


def sound_columns(
    place: object,
    names: Mapping[str, str],
    columns: Mapping[str, pa.Array | pa.ChunkedArray],
    on_fault: OnFault,
    before: int = 0,
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

    Returns
    -------
    dict of Arrow array
        By role: ids as int64 or string, ratings as float32, times as int64 (seconds since 1970).

    Raises
    ------
    DataError
        If a column has the wrong type.
    """
    plain = {role: _plain(place, role, names[role], column) for role, column in columns.items()}
    faulty = {role: _faulty(role, column) for role, column in plain.items()}
    bad = np.logical_or.reduce(list(faulty.values()))
    for row in np.flatnonzero(bad).tolist():
        role = next(role for role in faulty if faulty[role][row])
        fault = _fault(role, names[role], plain[role][row].as_py())
        on_fault(before + row + 1, fault, [str(column[row].as_py()) for column in plain.values()])
    if bad.any():
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
        yield sound_columns(layout.file, names, columns, on_fault, piece.before), position


def _plain(place: object, role: str, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return ids as int64 or string, ratings as float32, and times as int64; nulls stay."""
    column = one_array(column)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    convert = {"rating": _ratings, "timestamp": whole_seconds}.get(role, id_column)
    try:
        plain = convert(column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        plain = None
    if plain is None:
        hint: Text = ["ignore times with ", Param("columns.timestamp", "")]
        raise DataError(
            f"column {name!r} must hold {_NEEDED[role]}, got {column.type}",
            place=place,
            remedy=hint if role == "timestamp" else "",
        )
    return plain


def _ratings(column: pa.Array) -> pa.Array | None:
    return column.cast(pa.float32(), safe=False) if _is_number(column.type) else None


def whole_seconds(column: pa.Array) -> pa.Array | None:
    """Return times as whole seconds since 1970; None if the column has another type.

    Parameters
    ----------
    column : Arrow array of numbers, dates or timestamps
        Numbers are seconds, rounded down.

    Raises
    ------
    pyarrow.ArrowInvalid
        If a time does not fit 64 bits or is not a number.
    """
    kind = column.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        # Not safe: fractions of seconds are cut off.
        return column.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    if pa.types.is_floating(kind):
        column = pc.floor(column)
    return column.cast(pa.int64()) if _is_number(kind) or pa.types.is_null(kind) else None


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _faulty(role: str, column: pa.Array) -> Mask:
    """Mark the rows whose value is missing, empty or not finite."""
    faulty = to_mask(pc.is_null(column))
    if role == "rating":
        faulty |= ~np.isfinite(to_numpy(column))
    elif role != "timestamp":
        faulty |= empty_ids(column)
    return faulty


def _fault(role: str, name: str, value: object) -> Fault:
    what = role if name.lower() == role else f"{role} (column {name!r})"
    if value is None:
        return Fault(role, f"{what} is missing")
    if role == "rating":
        return Fault(role, f"{what} must be a finite number", value)
    return Fault(role, f"{what} id must not be empty")
