"""Columns of a bucket of ratings: its ratings, their positions and their parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

POSITION, PART = "position", "part"
"""Columns besides those of the ratings: the row among all rows read, and the part of the split."""

TYPES = {POSITION: np.dtype(np.uint32), PART: np.dtype(np.uint8)}


class RatingTable(Protocol):
    """The columns of a bucket, in memory or on disk."""

    def __len__(self) -> int: ...
    def column(self, name: str) -> NDArray[Any]:
        """Return a column; zeros as parts until they are replaced."""

    def pieces(self, name: str, count: int) -> Iterator[NDArray[Any]]:
        """Yield a column in pieces of at most `count` values."""

    def replace(self, name: str, values: NDArray[Any]) -> None:
        """Replace a column by one of the same length."""


class TableInMemory:
    """The columns of a bucket in memory.

    Parameters
    ----------
    columns : dict of array, shape (n,)
        By name. Without positions, they are 0 to n - 1; without parts, these are 0.
    """

    def __init__(self, columns: dict[str, NDArray[Any]]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns["user"])

    def column(self, name: str) -> NDArray[Any]:
        if name == POSITION and name not in self._columns:
            self._columns[name] = np.arange(len(self), dtype=np.uint32)
        if name == PART and name not in self._columns:
            self._columns[name] = np.zeros(len(self), np.uint8)
        return self._columns[name]

    def pieces(self, name: str, count: int) -> Iterator[NDArray[Any]]:
        column = self.column(name)
        for start in range(0, len(column), count):
            yield column[start : start + count]

    def replace(self, name: str, values: NDArray[Any]) -> None:
        self._columns[name] = values
