"""Values at their positions among others, in compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.storage import array_type, inlined, kernel
from mfcli.types import Mask

_POSITIONS = array_type(types.uint32, 1, readonly=True)
_PARTS = array_type(types.uint8, 1, readonly=True)
_MASK = array_type(types.boolean, 1)


def place(
    positions: NDArray[np.uint32],
    start: int,
    values: NDArray[Any],
    parts: NDArray[np.uint8],
    part: int,
    out: NDArray[Any],
    chosen: Mask,
) -> None:
    """Put values at their positions, and mark those of one part.

    Parameters
    ----------
    positions : uint32 array, shape (n,)
    start : int
        Position of the first value of `out`.
    values : array of 4 or 8 bytes per value, shape (n,)
    parts : uint8 array, shape (n,)
        The part of each value.
    part : int
    out : array of the same type as `values`, shape (m,)
    chosen : bool array, shape (m,)
    """
    fill, kind = _KERNELS[values.dtype.itemsize]
    fill(positions, start, values.view(kind), parts, part, out.view(kind), chosen)


@inlined
def _place(
    positions: Any, start: Any, values: Any, parts: Any, part: Any, out: Any, chosen: Any
) -> None:
    for n in range(len(positions)):
        at = np.uint64(np.int64(positions[n]) - start)
        out[at] = values[n]
        chosen[at] = parts[n] == part


def _types(kind: Any) -> tuple[Any, ...]:
    given = array_type(kind, 1, readonly=True)
    return _POSITIONS, types.int64, given, _PARTS, types.int64, array_type(kind, 1), _MASK


@kernel(*_types(types.int32))
def _place_short(
    positions: Any, start: Any, values: Any, parts: Any, part: Any, out: Any, chosen: Any
) -> None:
    _place(positions, start, values, parts, part, out, chosen)


@kernel(*_types(types.int64))
def _place_long(
    positions: Any, start: Any, values: Any, parts: Any, part: Any, out: Any, chosen: Any
) -> None:
    _place(positions, start, values, parts, part, out, chosen)


_KERNELS = {4: (_place_short, np.int32), 8: (_place_long, np.int64)}
