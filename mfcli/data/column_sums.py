"""Sums of long columns that are read piece by piece, with the bits that NumPy gives for the whole.

NumPy adds up float32 values as float64 in parts of 8,192, one after another. Values that are
float64 already are added in pairs: the sum of each half, recursively.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from mfcli.types import Doubles, Floats

_PIECE = 1 << 20  # values in memory at a time


def column_sum(pieces: Iterable[Floats]) -> float:
    """Return ``column.sum(dtype=float64)``.

    Parameters
    ----------
    pieces : iterable of float32 arrays
        All but the last have a multiple of 8,192 values.
    """
    total = np.float64(0)
    for piece in pieces:
        total = np.add.reduce(piece, dtype=np.float64, initial=total)
    return float(total)


def pairwise_sum(part: Callable[[slice], Doubles], size: int) -> float:
    """Return the sum of float64 values.

    Parameters
    ----------
    part : callable
        Returns some of the values, at most 2^20.
    size : int
        Number of values.
    """

    def total(start: int, stop: int) -> float:
        if stop - start <= _PIECE:
            return float(part(slice(start, stop)).sum())
        half = (stop - start) // 2
        middle = start + half - half % 8
        return total(start, middle) + total(middle, stop)

    return total(0, size)
