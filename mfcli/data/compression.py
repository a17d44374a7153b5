"""Values that a mask selects, in compiled code: without branches, which no processor foresees."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.storage import array_type, inlined, kernel
from mfcli.types import Counts, Mask, Rows

_MASK = array_type(types.boolean, 1, readonly=True)
_FOUND = array_type(types.int64, 1)


def selected_counts(rows: Rows, mask: Mask, size: int) -> Counts:
    """Return how often each number from 0 to `size` - 1 is among the numbers of a mask.

    Parameters
    ----------
    rows : int32 array, shape (n,)
    mask : bool array, shape (n,)
    size : int

    Returns
    -------
    int64 array, shape (size,)
    """
    counts = np.zeros(size, np.int64)
    _count(rows, mask, counts)
    return counts


@kernel(array_type(types.int32, 1, readonly=True), _MASK, array_type(types.int64, 1))
def _count(rows: Any, mask: Any, counts: Any) -> None:
    for n in range(len(rows)):
        counts[np.uint64(rows[n])] += mask[n]


def compressed(values: NDArray[Any], mask: Mask, out: NDArray[Any]) -> NDArray[Any]:
    """Return the values of a mask.

    Parameters
    ----------
    values : array of 4 or 8 bytes per value, shape (n,)
    mask : bool array, shape (n,)
    out : array of the same type, shape (n + 1,) or longer
        Memory for the result.
    """
    found = np.zeros(1, np.int64)
    compress, kind = _KERNELS[values.dtype.itemsize]
    compress(values.view(kind), mask, out.view(kind), found)
    return out[: found[0]]


@inlined
def _compress(values: Any, mask: Any, out: Any, found: Any) -> None:
    end = 0
    for n in range(len(values)):
        out[np.uint64(end)] = values[n]  # a value that is not selected is overwritten
        end += mask[n]
    found[0] = end


@kernel(array_type(types.int32, 1, readonly=True), _MASK, array_type(types.int32, 1), _FOUND)
def _compress_short(values: Any, mask: Any, out: Any, found: Any) -> None:
    _compress(values, mask, out, found)


@kernel(array_type(types.int64, 1, readonly=True), _MASK, array_type(types.int64, 1), _FOUND)
def _compress_long(values: Any, mask: Any, out: Any, found: Any) -> None:
    _compress(values, mask, out, found)


_KERNELS = {4: (_compress_short, np.int32), 8: (_compress_long, np.int64)}
