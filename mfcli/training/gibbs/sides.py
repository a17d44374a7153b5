"""The ratings of each side, row by row, in tasks of about the same size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Ratings
from mfcli.storage import each
from mfcli.training.gibbs.kernels import Side, make_side

_TASK = 1 << 15  # load of one task, in ratings


@dataclass(frozen=True)
class Half:
    """The ratings of a side.

    Attributes
    ----------
    side : Side
    counts : int64 array, shape (n,)
        Ratings of each row.
    bounds : list of int
        Row at which each task begins, and the end of the last one.
    threads : int
        That do the tasks; they do not change the result.
    """

    side: Side
    counts: NDArray[np.int64]
    bounds: list[int]
    threads: int

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which rows have ratings."""
        return self.counts > 0

    def each(self, task: Callable[[int, int], None]) -> None:
        """Do a task for the rows from a first one to before a last one, until all are done."""
        bounds = self.bounds
        each(lambda n: task(bounds[n], bounds[n + 1]), len(bounds) - 1, self.threads)


class Halves(NamedTuple):
    """The same ratings by user and by item.

    Attributes
    ----------
    users, items : Half
    unit : float
        The ratings are in this unit: their standard deviation.
    """

    users: Half
    items: Half
    unit: float


def make_halves(ratings: Ratings, k: int, threads: int) -> Halves:
    """Sort ratings by their users, and by their items.

    Parameters
    ----------
    ratings : Ratings
    k : int
        Factors of the rows: with more of them a row costs more, beside its ratings.
    threads : int
        See `Half`.
    """
    unit = float(ratings.rating.std(dtype=np.float64)) or 1.0
    user, item, rating = ratings.user, ratings.item, ratings.rating / np.float32(unit)
    users = _half(make_side(user, item, rating, len(ratings.users)), k, threads)
    items = _half(make_side(item, user, rating, len(ratings.items)), k, threads)
    return Halves(users, items, unit)


def _half(side: Side, k: int, threads: int) -> Half:
    counts = np.diff(side.starts)
    load = np.cumsum(counts + k)  # k^3 / 3 operations for a row that is factored, k^2 / 2 a rating
    marks = np.arange(_TASK, load[-1], _TASK)
    bounds = np.unique(np.concatenate([[0], np.searchsorted(load, marks), [len(counts)]]))
    return Half(side, counts, bounds.tolist(), threads)
