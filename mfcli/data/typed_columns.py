"""Columns of ratings that have a type, from Parquet or from a table in memory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfcli.data.collector import Columns
from mfcli.data.conversions import one_array, to_arrow_mask, to_mask, to_numpy
from mfcli.data.ids import empty_ids, id_column
from mfcli.data.strict import Fault, Rejects
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
    before: int,
    rejects: Rejects | None,
    remedy: Text,
) -> Columns:
    """Check columns and convert them to a common form; skip faulty rows if there are rejects.

    Parameters
    ----------
    place : object
        The file or table, for messages.
    names : mapping of str
        The name of the column of each role.
    columns : mapping of Arrow array
        By role.
    before : int
        Number of rows before them.
    rejects : Rejects, optional
        Collects faulty rows; without it the first one is an error.
    remedy : Text
        What to do about a faulty row, besides correcting it.

    Raises
    ------
    DataError
        If a column has the wrong type, or for the first faulty row.
    """
    plain = {role: _plain(place, role, names[role], column) for role, column in columns.items()}
    faulty = {role: _faulty(role, column) for role, column in plain.items()}
    bad = np.logical_or.reduce(list(faulty.values()))
    for row in np.flatnonzero(bad).tolist():
        role = next(role for role in faulty if faulty[role][row])
        fault = _fault(role, names[role], plain[role][row].as_py())
        if rejects is None:
            raise fault.error(f"{place}: row {before + row + 1}", remedy)
        shown = ",".join(str(column[row].as_py()) for column in plain.values())
        rejects.add(place, before + row + 1, fault, shown)
    if bad.any():
        plain = {role: column.filter(to_arrow_mask(~bad)) for role, column in plain.items()}
    times = plain.get("timestamp")
    return Columns(
        user=plain["user"],
        item=plain["item"],
        rating=to_numpy(plain["rating"], np.float32),
        timestamp=None if times is None else to_numpy(times, np.int64),
    )


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
    kind = column.type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return column.cast(pa.float32(), safe=False) if number else None


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
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return column.cast(pa.int64()) if number or pa.types.is_null(kind) else None


def _faulty(role: str, column: pa.Array) -> Mask:
    """Mark the rows whose value is missing, empty or not finite."""
    faulty = to_mask(pc.is_null(column))
    if role == "rating":
        faulty |= ~np.isfinite(to_numpy(column, np.float32))
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
