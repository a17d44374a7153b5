"""Group values by row, in linear time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import types

from mfcli.storage import array_type, kernel
from mfcli.types import Counts, Rows

_READ_ROWS = array_type(types.int32, 1, readonly=True)


def grouped(parts: Iterable[tuple[Rows, Rows]], count: int) -> tuple[Counts, Rows]:
    """Group the values of each row, in their order.

    Parameters
    ----------
    parts : iterable of (rows, values)
        int32 arrays of the same shape (n,), which are asked for twice. A pair with a negative
        number is skipped.
    count : int
        Number of rows.

    Returns
    -------
    starts : int64 array, shape (count + 1,)
        Row r has ``values[starts[r]:starts[r + 1]]``.
    values : int32 array
    """
    starts = np.zeros(count + 1, np.int64)
    for part in parts:
        count_values(*part, starts[1:])
    np.cumsum(starts, out=starts)
    values = np.empty(starts[-1], np.int32)
    places = starts[:-1].copy()
    for part in parts:
        group_values(*part, places, values)
    return starts, values


@kernel(_READ_ROWS, _READ_ROWS, array_type(types.int64, 1))
def count_values(rows: Any, values: Any, counts: Any) -> None:
    """Add the number of values of each row to `counts`."""
    for n in range(len(rows)):
        if rows[n] >= 0 and values[n] >= 0:
            counts[rows[n]] += 1


@kernel(_READ_ROWS, _READ_ROWS, array_type(types.int64, 1), array_type(types.int32, 1))
def group_values(rows: Any, values: Any, places: Any, grouped: Any) -> None:
    """Copy the values of each row, in order, from ``places[row]`` on; move it to their end."""
    for n in range(len(rows)):
        if rows[n] >= 0 and values[n] >= 0:
            grouped[places[rows[n]]] = values[n]
            places[rows[n]] += 1
