"""Counts and sums by bin, added up piece by piece so that memory stays bounded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


class Tally:
    """For each bin, how many values fell into it, and the sums of some columns over them.

    Parameters
    ----------
    bins : int
    columns : str
        Names of the columns that are summed.
    """

    def __init__(self, bins: int, *columns: str) -> None:
        self.counts = np.zeros(bins)
        self._names = columns
        self._sums = np.zeros((len(columns), bins))

    def __getitem__(self, column: str) -> Doubles:
        """Return the sums of a column, float64 of shape (bins,)."""
        sums: Doubles = self._sums[self._names.index(column)]
        return sums

    def add(self, index: NDArray[Any], **columns: NDArray[Any]) -> None:
        """Add values of shape (n,) to the bins `index` (integers from 0)."""
        index = index.astype(np.intp, copy=False)  # once, not for each column
        self.counts += np.bincount(index, minlength=len(self.counts))
        for name, sums in zip(self._names, self._sums, strict=True):
            sums += np.bincount(index, weights=columns[name], minlength=len(sums))

    def merge(self, other: Tally) -> None:
        self.counts += other.counts
        self._sums += other._sums

    def mean(self, column: str) -> Doubles:
        """Return the means of a column; NaN where a bin is empty."""
        means: Doubles = np.full(len(self.counts), np.nan)
        return np.divide(self[column], self.counts, out=means, where=self.counts > 0)


class Bins:
    """Equal bins from `low` to `high`; what lies beyond falls into the first or the last."""

    def __init__(self, low: float, high: float, count: int) -> None:
        self.low, self.count = low, count
        self.width = (high - low) / count if high > low else 1.0

    def of(self, values: NDArray[Any]) -> NDArray[np.int32]:
        """Return the bin of each value."""
        place = (values - self.low) / self.width
        return np.clip(np.floor(place), 0, self.count - 1).astype(np.int32)

    def edges(self) -> Doubles:
        """Return the ends of the bins, shape (count + 1,)."""
        edges: Doubles = self.low + self.width * np.arange(self.count + 1.0)
        return edges
