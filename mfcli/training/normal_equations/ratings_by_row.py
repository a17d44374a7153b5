"""The training ratings sorted by user and by item, and the tasks that work through them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import types

from mfcli.data import Ratings, counts_of
from mfcli.storage import array_type, each, kernel
from mfcli.types import Counts, Doubles, Floats, Mask, Rows

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
    roots : float32 array, shape (ratings,)
        Square roots of the weights; empty if all are 1.
    sizes : float64 array, shape (n,)
        Number of ratings of each row, each counted by its training weight, but not by the weight
        that depends on its value.
    bounds : list of int
        First row of each task, and the end of the last one.
    threads : int
        Number of tasks done at the same time; does not change the result.
    """

    starts: Counts
    others: Rows
    ratings: Floats
    roots: Floats
    sizes: Doubles
    bounds: list[int]
    threads: int

    @property
    def arrays(self) -> tuple[Counts, Rows, Floats, Floats]:
        """`starts`, `others`, `ratings` and `roots`, as the kernels take them."""
        return self.starts, self.others, self.ratings, self.roots

    @property
    def is_weighted(self) -> bool:
        """Whether the ratings have weights."""
        return len(self.roots) > 0

    @functools.cached_property
    def weight(self) -> float:
        """Sum of the weights of all ratings."""
        weights = np.square(self.roots, dtype=np.float64)
        return float(weights.sum()) if self.is_weighted else float(len(self.ratings))

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
        The ratings are divided by it.
    """

    users: RatingsByRow
    items: RatingsByRow
    unit: float


def sort_ratings(
    ratings: Ratings, k: int, threads: int, *, weights: Floats | None = None, unit: float = 1.0
) -> BothSides:
    """Sort rated pairs by their users, and by their items.

    Parameters
    ----------
    ratings : Ratings
    k : int
        Number of factors, on which the cost of a row depends.
    threads : int
        See `RatingsByRow`.
    weights : float32 array, shape (ratings,), optional
        All 1 by default.
    unit : float
        Divides the ratings.
    """
    targets = ratings.rating / np.float32(unit)
    roots = np.empty(0, np.float32) if weights is None else np.sqrt(weights)
    pairs = ratings.user, ratings.item
    sizes = len(ratings.users), len(ratings.items)
    by_row: dict[int, RatingsByRow] = {}

    def sort(side: int) -> None:
        rows, others, count = pairs[side], pairs[1 - side], sizes[side]
        arrays = sorted_by_row(rows, others, targets, count)
        # The order depends on the rows only, so it is the same for the weights.
        own_roots = sorted_by_row(rows, others, roots, count)[2] if len(roots) else roots
        own_sizes = _sizes(rows, ratings.weight, count)
        bounds = _task_bounds(arrays[0], k)
        by_row[side] = RatingsByRow(*arrays, own_roots, own_sizes, bounds, threads)

    each(sort, len(pairs), threads)
    return BothSides(by_row[0], by_row[1], unit)


def unit_of(ratings: Ratings) -> float:
    """Return the standard deviation of ratings, counted by their weights, or 1 if it is 0."""
    if ratings.weight is None:
        return float(ratings.rating.std(dtype=np.float64)) or 1.0
    squares = np.square(ratings.rating.astype(np.float64) - ratings.weighted_mean)
    variance = (squares * ratings.weight).sum() / ratings.weight.sum(dtype=np.float64)
    return math.sqrt(variance) or 1.0


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


def _sizes(rows: Rows, weights: Floats | None, count: int) -> Doubles:
    counts = counts_of(rows, count) if weights is None else np.bincount(rows, weights, count)
    return counts.astype(np.float64)


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
