"""Values at their positions among others, in compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.storage import array_type, inlined, kernel

_POSITIONS = array_type(types.uint32, 1, readonly=True)
_PARTS = array_type(types.uint8, 1, readonly=True)
_NUMBERS = array_type(types.uint8, 1)


def place(
    positions: NDArray[np.uint32],
    start: int,
    values: NDArray[Any],
    parts: NDArray[np.uint8],
    out: NDArray[Any],
    numbers: NDArray[np.uint8],
) -> None:
    """Put values and the numbers of their parts at their positions.

    Parameters
    ----------
    positions : uint32 array, shape (n,)
    start : int
        Position of the first value of `out`.
    values : array of 4 or 8 bytes per value, shape (n,)
    parts : uint8 array, shape (n,)
        The part of each value.
    out : array of the same type as `values`, shape (m,)
    numbers : uint8 array, shape (m,)
    """
    fill, kind = _KERNELS[values.dtype.itemsize]
    fill(positions, start, values.view(kind), parts, out.view(kind), numbers)


@inlined
def _place(positions: Any, start: Any, values: Any, parts: Any, out: Any, numbers: Any) -> None:
    for n in range(len(positions)):
        at = np.uint64(np.int64(positions[n]) - start)
        out[at] = values[n]
        numbers[at] = parts[n]


def _types(kind: Any) -> tuple[Any, ...]:
    given = array_type(kind, 1, readonly=True)
    return _POSITIONS, types.int64, given, _PARTS, array_type(kind, 1), _NUMBERS


@kernel(*_types(types.int32))
def _place_short(
    positions: Any, start: Any, values: Any, parts: Any, out: Any, numbers: Any
) -> None:
    _place(positions, start, values, parts, out, numbers)


@kernel(*_types(types.int64))
def _place_long(
    positions: Any, start: Any, values: Any, parts: Any, out: Any, numbers: Any
) -> None:
    _place(positions, start, values, parts, out, numbers)


_KERNELS = {4: (_place_short, np.int32), 8: (_place_long, np.int64)}
