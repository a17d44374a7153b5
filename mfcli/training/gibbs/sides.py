"""The training ratings sorted by user and by item, and the tasks that work through them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import types

from mfcli.data import Ratings, counts_of
from mfcli.storage import array_type, each, kernel
from mfcli.types import Counts, Floats, Mask, Rows

_TASK = 1 << 15  # cost of one task, in ratings

_COUNTS = array_type(types.int64, 1)
_INTS = array_type(types.int32, 1)
_READ_INTS = array_type(types.int32, 1, readonly=True)
_FLOATS = array_type(types.float32, 1)
_READ_FLOATS = array_type(types.float32, 1, readonly=True)


@dataclass(frozen=True)
class RatingsByRow:
    """The ratings sorted by the rows of one side.

    Attributes
    ----------
    starts : int64 array, shape (n + 1,)
        Row u has the ratings ``starts[u]`` to ``starts[u + 1] - 1``.
    others : int32 array, shape (ratings,)
        Rows of the other side.
    ratings : float32 array, shape (ratings,)
    bounds : list of int
        First row of each task, and the end of the last one.
    threads : int
        Number of tasks done at the same time; does not change the result.
    """

    starts: Counts
    others: Rows
    ratings: Floats
    bounds: list[int]
    threads: int

    @property
    def arrays(self) -> tuple[Counts, Rows, Floats]:
        """`starts`, `others` and `ratings`, as the kernels take them."""
        return self.starts, self.others, self.ratings

    @functools.cached_property
    def counts(self) -> Counts:
        """Number of ratings of each row."""
        return np.diff(self.starts)

    @functools.cached_property
    def rated(self) -> Mask:
        """Which rows have ratings."""
        return self.counts > 0

    def each(self, task: Callable[[int, int], None]) -> None:
        """Call a task with the first row and the end of each piece of all rows."""
        bounds = self.bounds
        each(lambda n: task(bounds[n], bounds[n + 1]), len(bounds) - 1, self.threads)


class BothSides(NamedTuple):
    """The same ratings by user and by item.

    Attributes
    ----------
    users, items : RatingsByRow
    unit : float
        Standard deviation of the ratings, which are divided by it.
    """

    users: RatingsByRow
    items: RatingsByRow
    unit: float


def sort_ratings(ratings: Ratings, k: int, threads: int) -> BothSides:
    """Sort ratings by their users, and by their items.

    Parameters
    ----------
    ratings : Ratings
    k : int
        Number of factors, on which the cost of a row depends.
    threads : int
        See `RatingsByRow`.
    """
    # If all ratings are equal, there is no unit to divide by.
    unit = float(ratings.rating.std(dtype=np.float64)) or 1.0
    # In units of the standard deviation, one prior suits ratings of any scale.
    user, item, rating = ratings.user, ratings.item, ratings.rating / np.float32(unit)
    users, items = len(ratings.users), len(ratings.items)
    sides = [(user, item, rating, users), (item, user, rating, items)]
    by_row: dict[int, RatingsByRow] = {}

    def sort(side: int) -> None:
        arrays = sorted_by_row(*sides[side])
        by_row[side] = RatingsByRow(*arrays, _task_bounds(arrays[0], k), threads)

    each(sort, len(sides), threads)
    return BothSides(by_row[0], by_row[1], unit)


def sorted_by_row(
    rows: Rows, others: Rows, ratings: Floats, count: int
) -> tuple[Counts, Rows, Floats]:
    """Sort ratings by the `count` rows of one side, keeping the order within each row.

    Returns
    -------
    starts, others, ratings : arrays
        See `RatingsByRow`.
    """
    starts = np.zeros(count + 1, np.int64)
    # A counting sort: one pass over the ratings, and stable.
    np.cumsum(counts_of(rows, count), out=starts[1:])
    sorted_others, sorted_ratings = np.empty(len(rows), np.int32), np.empty(len(rows), np.float32)
    _sort_by_row(rows, others, ratings, starts[:-1].copy(), sorted_others, sorted_ratings)
    return starts, sorted_others, sorted_ratings


def _task_bounds(starts: Counts, k: int) -> list[int]:
    """Cut the rows into tasks of about the same cost.

    A rating costs k^2 / 2 operations and a row k^3 / 3, to factor its precision: as much as k
    ratings, roughly.
    """
    counts = np.diff(starts)
    cost = np.cumsum(counts + k)
    # `unique` drops empty tasks: a single row may cost more than several of them.
    marks = np.arange(_TASK, cost[-1], _TASK)
    bounds = np.unique(np.concatenate([[0], np.searchsorted(cost, marks), [len(counts)]]))
    return [int(bound) for bound in bounds]


@kernel(_READ_INTS, _READ_INTS, _READ_FLOATS, _COUNTS, _INTS, _FLOATS)
def _sort_by_row(
    rows: Any, others: Any, ratings: Any, places: Any, sorted_others: Any, sorted_ratings: Any
) -> None:
    """Copy the ratings of each row, in order, from ``places[row]`` on; move it to their end."""
    for n in range(len(rows)):
        place = places[rows[n]]
        places[rows[n]] = place + 1
        sorted_others[place], sorted_ratings[place] = others[n], ratings[n]
