"""The n-th smallest of numbers that are read piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BINS = 1 << 12
_PIECE = 1 << 16  # numbers that fit in the cache of a processor
_FEW = 1 << 18  # numbers that are sorted instead of counted

Pieces = Callable[[], Iterable[NDArray[Any]]]


def nth_smallest(pieces: Pieces, n: int, among: tuple[int, int] | None = None) -> int:
    """Return the number that follows the n smallest ones.

    A histogram tells which bin it is in, then another one of that bin, until few numbers are left.

    Parameters
    ----------
    pieces : callable
        Returns the numbers, arrays of int64 or uint64, each time that it is called.
    n : int
        From 0 to the number of numbers - 1.
    among : pair of int, optional
        Bounds of the numbers, both included; found by one more reading without them.
    """
    low, high = among or _bounds(pieces())
    while low < high:
        shift = max((high - low).bit_length() - (_BINS.bit_length() - 1), 0)
        counts = _histogram(pieces(), low, high, shift)
        before = np.cumsum(counts) - counts
        # The last bin with at most n numbers before it, which is not an empty one.
        place = int(np.searchsorted(before, n, side="right")) - 1
        low, n = low + (place << shift), n - int(before[place])
        high = min(low + (1 << shift) - 1, high)
        if low < high and counts[place] <= _FEW:
            few = np.concatenate([_offsets(piece, low, high) for piece in _small(pieces())])
            return low + int(np.partition(few, n)[n])
    return low


def _bounds(pieces: Iterable[NDArray[Any]]) -> tuple[int, int]:
    found = [(int(piece.min()), int(piece.max())) for piece in pieces if len(piece)]
    return min(low for low, _ in found), max(high for _, high in found)


def _histogram(
    pieces: Iterable[NDArray[Any]], low: int, high: int, shift: int
) -> NDArray[np.int64]:
    """Count numbers from `low` to `high` in bins of 2**`shift` numbers."""
    counts = np.zeros(_BINS, np.int64)
    for piece in _small(pieces):
        bins = _offsets(piece, low, high) >> np.uint64(shift)
        counts += np.bincount(bins.view(np.int64), minlength=_BINS)
    return counts


def _small(pieces: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    for piece in pieces:
        for start in range(0, len(piece), _PIECE):
            yield piece[start : start + _PIECE]


def _offsets(piece: NDArray[Any], low: int, high: int) -> NDArray[np.uint64]:
    """Return numbers from `low` to `high`, minus `low`."""
    # Modulo 2**64, so that numbers below `low` become large, and signed ones need no other code.
    offsets = piece.view(np.uint64) - np.uint64(low % 2**64)
    inside = offsets <= np.uint64(high - low)
    return offsets if inside.all() else offsets[inside]
