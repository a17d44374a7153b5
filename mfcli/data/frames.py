"""The columns of tables in memory: data frames, Arrow tables, mappings of arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from mfcli.errors import DataError, Param, UsageError

Array: TypeAlias = pa.Array | pa.ChunkedArray

_NO_COLUMN = (str, bytes, Mapping, set, frozenset)  # the entries of a set have no order


class Frame(NamedTuple):
    """The names of the columns of a table, and a function that returns one.

    Attributes
    ----------
    names : list of str
    column : callable
        Returns the column at a position, given also its role, for messages.
    """

    names: list[str]
    column: Callable[[int, str], Array]


def frame_of(table: Any, param: str, forms: str) -> Frame:
    """Return the columns of a table.

    Parameters
    ----------
    table : pandas DataFrame, Arrow table, other table with `__arrow_c_stream__`, or mapping
        A mapping holds arrays by the name of the column.
    param : str
        Name of the argument, for messages.
    forms : str
        What the argument may be, for messages: "a data frame or a path".

    Raises
    ------
    DataError
        If the column names of a data frame have several levels.
    UsageError
        If it is no table.
    """
    if hasattr(table, "iloc") and hasattr(table, "columns"):
        return _frame_of_pandas(table, param)
    if isinstance(table, Mapping):
        return _frame_of_arrays(table, param)
    if not isinstance(table, pa.Table):
        table = _as_arrow_table(table, param, forms)
    return Frame(table.column_names, lambda position, role: table.column(position))


def is_table(value: Any) -> bool:
    """Return whether `frame_of` takes a value, as far as its type tells."""
    # One column is no table, although a Series of pandas or polars also exports itself. The type is
    # asked, since a data frame has an attribute for each of its columns.
    is_column = hasattr(type(value), "dtype") or isinstance(value, Array)
    is_known = isinstance(value, Mapping) or hasattr(value, "iloc")
    return (is_known or hasattr(value, "__arrow_c_stream__")) and not is_column


def column_of(values: Any, param: str) -> Array:
    """Return an array, a list, a Series, ... as an Arrow column.

    Raises
    ------
    UsageError
        If it is not a sequence of values of one type.
    """
    if isinstance(values, Array):
        return values
    shape = getattr(values, "shape", None)
    if isinstance(values, _NO_COLUMN) or (shape is not None and len(shape) != 1):
        got = type(values).__name__ if shape is None else f"shape {tuple(shape)}"
        raise UsageError("must be an array of one dimension, got " + got, param=param)
    try:
        if hasattr(values, "__arrow_c_stream__"):
            return pa.chunked_array(values)
        return pa.Array.from_pandas(np.asarray(values) if hasattr(values, "__array__") else values)
    except OverflowError:  # integers beyond 64 bits
        return pa.array([str(value) for value in values])
    except (pa.ArrowException, TypeError, ValueError) as error:
        kind = type(values).__name__
        rule = f"must be an array of numbers or texts of one type, got {kind}"
        raise UsageError(rule, param=param) from error


def _frame_of_arrays(arrays: Mapping[Any, Any], param: str) -> Frame:
    columns = {str(name): column_of(array, f"{param}.{name}") for name, array in arrays.items()}
    _check_lengths({name: len(column) for name, column in columns.items()}, param)
    listed = list(columns.values())
    return Frame(list(columns), lambda position, role: listed[position])


def _check_lengths(lengths: Mapping[str, int], param: str) -> None:
    for name, length in lengths.items():
        first, expected = next(iter(lengths.items()))
        if length != expected:
            raise UsageError(
                f"must have columns of one length, got {expected} for {first!r} and {length} for"
                f" {name!r}",
                param=param,
            )


def _frame_of_pandas(frame: Any, param: str) -> Frame:
    """As `frame_of`, without the import of pandas.

    The levels of an index that have a name are columns too, unless there is one of this name.
    """
    if frame.columns.nlevels > 1:
        raise DataError(
            f"must have one level of column names, got {frame.columns.nlevels}",
            place=param,
            remedy=f"join the levels, as with {param}.columns.map('_'.join)",
        )
    # By position, since names may repeat.
    series = [frame.iloc[:, position] for position in range(len(frame.columns))]
    named = [level for level in frame.index.names if level is not None]
    levels = [level for level in named if level not in frame.columns]
    series += [frame.index.get_level_values(level) for level in levels]
    names = [str(name) for name in [*frame.columns, *levels]]

    def column(position: int, role: str) -> Array:
        return _from_pandas(series[position], names[position], role, param)

    return Frame(names, column)


def _as_arrow_table(table: Any, param: str, forms: str) -> pa.Table:
    reason = ""
    try:
        if is_table(table):
            return pa.table(table)  # the Arrow PyCapsule protocol
    except Exception as error:  # of any kind: the code of another library runs here
        reason = " ({})".format(str(error).partition("\n")[0])
    raise UsageError(
        f"must be {forms}, got {type(table).__name__}{reason}",
        param=param,
        remedy="make a pandas DataFrame of it",
    )


def _from_pandas(series: Any, name: str, role: str, param: str) -> Array:
    try:
        return pa.Array.from_pandas(series)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        row, kinds = _first_other_type(series)
        if kinds == "int":  # beyond 64 bits
            return pa.array([str(value) for value in series])
        mixed = f" of one type, got {kinds}" if " " in kinds else ""
        raise DataError(
            f"column {name!r} must hold values{mixed or ' that Arrow can read'}",
            place=f"{param}: row {row + 1}" if mixed else param,
            remedy=[
                f"convert the column, as with {param}[{name!r}].astype(str), or choose another with"
                " ",
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
