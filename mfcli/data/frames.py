"""Ratings from tables in memory: data frames and Arrow tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import pyarrow as pa

from mfcli.data.arguments import check_reading
from mfcli.data.checked_columns import sound_columns
from mfcli.data.duplicates import merge_duplicates
from mfcli.data.faults import stopping
from mfcli.data.formats.columns import find_columns
from mfcli.data.rating_pieces import Collector, rating_piece
from mfcli.data.ratings import Ratings, Source
from mfcli.errors import DataError, Param, UsageError

_PLACE = "table"  # a table in memory has no name

Column: TypeAlias = Callable[[int, str], "pa.Array | pa.ChunkedArray"]
"""Returns the column at a position, given also its role, for messages."""


def ratings_from(
    table: Any,
    *,
    columns: Mapping[str, str] | None = None,
    duplicates: str = "keep-last",
) -> Ratings:
    """Read ratings from a table in memory, with the same checks as for a file.

    Parameters
    ----------
    table : pandas DataFrame, or Arrow table
        Or any other data frame that Arrow can import, such as one of polars.
    columns, duplicates
        As in `read_ratings`.

    Returns
    -------
    Ratings
        In the order of the rows. Ids are integers if none of them changes, otherwise text.

    Raises
    ------
    DataError
        If a column is missing or has the wrong type, or for the first invalid row.
    UsageError, ConfigError
        If an argument breaks its rule.
    """
    check_reading(columns, duplicates=duplicates)
    names, column = _columns_of(table)
    positions = find_columns(_PLACE, names, columns)
    found = {role: names[position] for role, position in positions.items()}
    arrays = {role: column(position, role) for role, position in positions.items()}
    stop = stopping(lambda number: _place(number - 1))
    collected = Collector()
    collected.add(rating_piece(sound_columns(_PLACE, found, arrays, stop)))
    rows = len(arrays["rating"])
    if not rows:
        raise DataError("holds no rating", place=_PLACE)
    ratings = collected.ratings(_PLACE, _place)
    merged = merge_duplicates(ratings, duplicates, _place)
    source = Source(
        name=_PLACE,
        files=0,
        bytes=sum(array.get_total_buffer_size() for array in arrays.values()),
        sha256="",
        format="table in memory",
        columns=found,
        rows=rows,
        duplicates=merged.duplicates,
        conflicts=merged.conflicts,
        rejected={},
        settings={"duplicates": duplicates},
    )
    return replace(merged.ratings, source=source)


def _place(row: int) -> str:
    """Return a row, given its position from 0, as the place in a message."""
    return f"{_PLACE}: row {row + 1}"


def _columns_of(table: Any) -> tuple[list[str], Column]:
    """Return the names of the columns, and a function that returns one."""
    if hasattr(table, "iloc") and hasattr(table, "columns"):
        return _columns_of_pandas(table)
    if not isinstance(table, pa.Table):
        table = _as_arrow_table(table)
    return table.column_names, lambda position, role: table.column(position)


def _columns_of_pandas(frame: Any) -> tuple[list[str], Column]:
    """As `_columns_of`, without the import of pandas.

    The levels of an index that have a name are columns too, unless there is one of this name.
    """
    if frame.columns.nlevels > 1:
        raise DataError(
            f"must have one level of column names, got {frame.columns.nlevels}",
            place=_PLACE,
            remedy="join the levels, as with table.columns.map('_'.join)",
        )
    # By position, since names may repeat.
    series = [frame.iloc[:, position] for position in range(len(frame.columns))]
    named = [level for level in frame.index.names if level is not None]
    levels = [level for level in named if level not in frame.columns]
    series += [frame.index.get_level_values(level) for level in levels]
    names = [str(name) for name in [*frame.columns, *levels]]
    return names, lambda position, role: _from_pandas(series[position], names[position], role)


def _as_arrow_table(table: Any) -> pa.Table:
    try:
        if hasattr(table, "__arrow_c_stream__"):  # the Arrow PyCapsule protocol
            return pa.table(table)
    except (pa.ArrowException, TypeError, ValueError):
        pass
    is_path = isinstance(table, str | os.PathLike)
    raise UsageError(
        f"must be a pandas DataFrame or an Arrow table, got {type(table).__name__}",
        param="table",
        remedy="read files with read_ratings" if is_path else "make a pandas DataFrame of it",
    )


def _from_pandas(series: Any, name: str, role: str) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.Array.from_pandas(series)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        row, kinds = _first_other_type(series)
        if kinds == "int":  # beyond 64 bits
            return pa.array([str(value) for value in series])
        mixed = f" of one type, got {kinds}" if " " in kinds else ""
        raise DataError(
            f"column {name!r} must hold values{mixed or ' that Arrow can read'}",
            place=_place(row) if mixed else _PLACE,
            remedy=[
                f"convert the column, as with table[{name!r}].astype(str), or choose another with ",
                Param(f"columns.{role}"),
            ],
        ) from error


def _first_other_type(series: Any) -> tuple[int, str]:
    """Return the first row whose value has another type than those before, and the types.

    Missing values have no type. If there is only one type, it is returned alone.
    """
    first = ""
    # A loop over rows is slow, but only a table that is refused gets here.
    for row, value in enumerate(series):
        if value is None or value is not value or value != value:
            continue
        kind = type(value).__name__
        if first and kind != first:
            return row, f"{first} and {kind}"
        first = kind
    return 0, first
