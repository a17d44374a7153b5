"""Arrays that begin with a cache line, for kernels that read them as whole vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.types import Doubles, Floats

LINE = 16
"""Number of float32 values in a cache line."""


def lanes_of(count: int) -> int:
    """Return the number of lanes of a row of some values: the next multiple of 16."""
    return -(-count // LINE) * LINE


def aligned(shape: tuple[int, ...]) -> Floats:
    """Return zeros that begin with a cache line.

    Parameters
    ----------
    shape : tuple of int

    Returns
    -------
    float32 array
    """
    size = math.prod(shape)
    # NumPy does not align arrays to cache lines, so allocate one more line and skip to its start.
    memory = np.zeros(size + LINE, dtype=np.float32)
    skip = -memory.ctypes.data % (4 * LINE) // 4
    return memory[skip : skip + size].reshape(shape)


def aligned_like(rows: NDArray[Any], length: int) -> NDArray[Any]:
    """Return an array of some length, of rows like others, that begins with a cache line.

    It is not initialized.
    """
    shape, line = (length, *rows.shape[1:]), 4 * LINE
    size = math.prod(shape) * rows.itemsize
    memory = np.empty(size + line, np.uint8)
    skip = -memory.ctypes.data % line
    return memory[skip : skip + size].view(rows.dtype).reshape(shape)


def as_aligned(array: Floats | Doubles) -> Floats:
    """Return an array as float32 that begins with a cache line; copied unless it does already."""
    values: Floats = np.ascontiguousarray(array, np.float32)
    # A kernel that reads a vector from another address ends the process.
    if values.ctypes.data % (4 * LINE) == 0:
        return values
    copy = aligned(values.shape)
    copy[:] = values
    return copy
