"""Compiled sums of values in many bins, with the bits of NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.storage import array_type, kernel
from mfcli.types import Doubles


def add_to_bins(index: NDArray[Any], columns: Doubles, counts: Doubles, sums: Doubles) -> None:
    """Sum the values of each bin, and add these sums to the earlier ones.

    Parameters
    ----------
    index : integer array, shape (n,)
        The bin of each value.
    columns : float64 array, shape (c, n)
    counts, sums : float64 arrays, shapes (bins,) and (bins, c)
        Changed where a bin has values.
    """
    places = np.full(len(counts), -1, np.int32)
    found, own = np.empty(len(index), np.int32), np.empty(columns.shape[::-1])
    sum_in_bins(index.astype(np.int32, copy=False), columns, places, found, own, counts, sums)


@kernel(array_type(types.int32, 1, readonly=True), array_type(types.float64, 2, readonly=True),
        array_type(types.int32, 1), array_type(types.int32, 1), array_type(types.float64, 2),
        array_type(types.float64, 1), array_type(types.float64, 2))  # fmt: skip
def sum_in_bins(
    index: Any, columns: Any, places: Any, found: Any, own: Any, counts: Any, sums: Any
) -> None:
    """Sum the values of each bin, as `add_to_bins`.

    Parameters
    ----------
    index, columns, counts, sums
        As in `add_to_bins`.
    places : int32 array, shape (bins,)
        Scratch, filled with -1: where the sums of a bin are in `own`.
    found : int32 array, shape (n,)
        Scratch: the bins with values.
    own : float64 array, shape (n, c)
        Scratch: the sums of these bins.
    """
    size = 0
    for n in range(len(index)):
        bin = index[n]
        place = places[bin]
        if place < 0:
            place = size
            places[bin], found[place] = place, bin
            own[place] = 0
            size += 1
        counts[bin] += 1
        for column in range(len(columns)):
            own[place, column] += columns[column, n]
    # Earlier sums come last, because the order of additions decides on their bits.
    for place in range(size):
        bin = found[place]
        for column in range(len(columns)):
            sums[bin, column] += own[place, column]
