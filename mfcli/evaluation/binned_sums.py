"""Sums of values by bin, accumulated in pieces so that memory stays bounded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.types import Doubles, Rows

_MANY = 1 << 18  # bins, more than the values that are added at a time


class BinnedSums:
    """For each bin, the number of values in it and the sums of several columns over them.

    Parameters
    ----------
    bins : int
    columns : str
        Names of the columns.

    Attributes
    ----------
    counts : float64 array, shape (bins,)
        Values in each bin.
    """

    def __init__(self, bins: int, *columns: str) -> None:
        self.counts: Doubles = np.zeros(bins)  # exact up to 2**53
        self._names = columns
        # Of many bins, few get a value at a time, so the sums of each are adjacent.
        self._sums = np.zeros((len(columns), bins), order="F" if bins > _MANY else "C")

    def __getitem__(self, column: str) -> Doubles:
        """Return the sums of a column, float64 of shape (bins,)."""
        sums: Doubles = self._sums[self._names.index(column)]
        return sums

    def add(self, index: NDArray[Any], **columns: NDArray[Any]) -> None:
        """Add values to bins.

        Parameters
        ----------
        index : integer array, shape (n,)
            The bin of each value, counted from 0.
        columns : arrays, shape (n,)
            A value for each column by name.
        """
        if len(self.counts) > _MANY:
            # Imported here because it loads Numba, which takes longer than to fill few bins.
            from mfcli.evaluation.compiled_sums import add_to_bins

            values = np.array([columns[name] for name in self._names], np.float64)
            add_to_bins(index, values, self.counts, self._sums.T)
            return
        index = index.astype(np.intp, copy=False)  # bincount would convert it for each column
        self.counts += np.bincount(index, minlength=len(self.counts))
        for name, sums in zip(self._names, self._sums, strict=True):
            sums += np.bincount(index, weights=columns[name], minlength=len(sums))

    def merge(self, other: BinnedSums) -> None:
        """Add the sums of another object with the same bins and columns."""
        self.counts += other.counts
        self._sums += other._sums

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.counts.nbytes + self._sums.nbytes

    def mean(self, column: str) -> Doubles:
        """Return the mean of a column in each bin; NaN for an empty bin."""
        means: Doubles = np.full(len(self.counts), np.nan)
        return np.divide(self[column], self.counts, out=means, where=self.counts > 0)


class Bins:
    """Bins of equal width from `low` to `high`; the outer bins also hold the values beyond them."""

    def __init__(self, low: float, high: float, count: int) -> None:
        self.low, self.count = low, count
        # With a single value, any width puts it into the first bin.
        self.width = (high - low) / count if high > low else 1.0

    def of(self, values: NDArray[Any]) -> Rows:
        """Return the bin of each value."""
        place = (values - self.low) / self.width
        # The highest value lies on the last edge, and predictions may lie outside of the scale.
        return np.clip(np.floor(place), 0, self.count - 1).astype(np.int32)

    def edges(self) -> Doubles:
        """Return the edges of the bins, shape (count + 1,)."""
        edges: Doubles = self.low + self.width * np.arange(self.count + 1.0)
        return edges
