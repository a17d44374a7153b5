"""Ratings from tables in memory: data frames and Arrow tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from mfcli.data.checked_columns import sound_columns
from mfcli.data.duplicates import merge_duplicates
from mfcli.data.faults import Fault
from mfcli.data.formats.layout import check_distinct, find_columns
from mfcli.data.rating_pieces import Collector, rating_piece
from mfcli.data.ratings import Ratings, Source
from mfcli.errors import DataError

_PLACE = "table"


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
        In the order of the rows. Ids are int64 if the column holds integers that fit, else text.

    Raises
    ------
    DataError
        If a column is missing or has the wrong type, or for the first invalid row.
    """
    names, column = _columns_of(table)
    positions = find_columns(_PLACE, names, columns)
    check_distinct(_PLACE, names, positions)
    found = {role: names[position] for role, position in positions.items()}
    arrays = {role: column(position) for role, position in positions.items()}
    collected = Collector()
    collected.add(rating_piece(sound_columns(_PLACE, found, arrays, _stop)))
    rows = len(arrays["rating"])
    if not rows:
        raise DataError("holds no rating", place=_PLACE)
    ratings, merged = merge_duplicates(
        collected.ratings(text=False), duplicates, lambda row: _place(row + 1)
    )
    source = Source(
        name=_PLACE,
        files=0,
        bytes=sum(array.nbytes for array in arrays.values()),
        sha256="",
        format="table in memory",
        columns=found,
        rows=rows,
        duplicates=merged,
        rejected={},
        settings={"duplicates": duplicates},
    )
    return replace(ratings, source=source)


def _place(row: int) -> str:
    return f"{_PLACE}: row {row}"


def _stop(row: int, fault: Fault, fields: Sequence[str]) -> None:
    raise fault.error(_place(row), "")


def _columns_of(table: Any) -> tuple[list[str], Callable[[int], pa.Array | pa.ChunkedArray]]:
    """Return the names of the columns, and a function that returns the column at a position.

    The levels of a pandas index that have a name are columns too.
    """
    if hasattr(table, "iloc"):  # pandas, which need not be imported for this
        series = [table.iloc[:, position] for position in range(len(table.columns))]
        levels = [level for level in table.index.names if level is not None]
        series += [table.index.get_level_values(level) for level in levels]
        names = [str(name) for name in [*table.columns, *levels]]
        return names, lambda position: _from_pandas(series[position], names[position])
    if not isinstance(table, pa.Table):
        if not hasattr(table, "__arrow_c_stream__"):
            raise DataError(
                f"must be a pandas DataFrame or an Arrow table, got {type(table).__name__}",
                param="table",
            )
        table = pa.table(table)
    return table.column_names, table.column


def _from_pandas(series: Any, name: str) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.Array.from_pandas(series)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        row, kinds = _first_other_type(series)
        place = _place(row + 1) if kinds else _PLACE
        mixed = f" of one type, got {kinds}" if kinds else ""
        raise DataError(
            f"column {name!r} must hold values{mixed or ' that Arrow can read'}",
            place=place,
            remedy="convert the column, as with astype(str)",
        ) from error


def _first_other_type(series: Any) -> tuple[int, str]:
    """Return the first row whose value has another type than the first value, and both types."""
    kinds = [type(value) for value in series]
    for row, kind in enumerate(kinds):
        if kind is not kinds[0]:
            return row, f"{kinds[0].__name__} and {kind.__name__}"
    return 0, ""
