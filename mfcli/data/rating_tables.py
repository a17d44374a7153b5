"""Columns of a bucket of ratings: its ratings, their positions and their parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

POSITION, PART = "position", "part"
"""Columns besides those of the ratings: the row among all rows read, and the part of the split."""

MOST_ROWS = 1 << 32
"""Number of positions."""

TYPES: dict[str, np.dtype[Any]] = {POSITION: np.dtype(np.uint32), PART: np.dtype(np.uint8)}


class RatingTable(Protocol):
    """The columns of a bucket, in memory or on disk."""

    @property
    def types(self) -> Mapping[str, np.dtype[Any]]:
        """The types of the columns of the ratings, by name."""

    def __len__(self) -> int: ...
    def column(self, name: str) -> NDArray[Any]:
        """Return a column; zeros as parts until they are replaced."""

    def pieces(self, name: str, count: int) -> Iterator[NDArray[Any]]:
        """Yield a column in pieces of at most `count` values."""

    def replace(self, name: str, values: NDArray[Any]) -> None:
        """Replace a column by one of the same length, or all columns by shorter ones."""

    def divided(self, most: int, users: int) -> Iterator[RatingTable]:
        """Yield tables of whole users with at most `most` ratings, if one user has no more.

        They take the place of this one.

        Parameters
        ----------
        most : int
        users : int
            Number of all users.
        """


class TableInMemory:
    """The columns of a bucket in memory.

    Parameters
    ----------
    columns : dict of array, shape (n,)
        By name. Without positions, they are 0 to n - 1; without parts, these are 0.
    """

    def __init__(self, columns: dict[str, NDArray[Any]]) -> None:
        self._columns = columns

    @property
    def types(self) -> Mapping[str, np.dtype[Any]]:
        return {name: c.dtype for name, c in self._columns.items() if name not in TYPES}

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

    def divided(self, most: int, users: int) -> Iterator[RatingTable]:
        yield self  # it is in memory already
