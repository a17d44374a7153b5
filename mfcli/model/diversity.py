"""Diverse lists by maximal marginal relevance (J. Carbonell and J. Goldstein, SIGIR 1998).

A list is chosen from a pool of the items with the highest scores. The next item is the one with
the highest

    (1 - d) s_i - d max_j cos(q_i, q_j),        j: the items that are in the list already,

where d is the diversity and s_i the score of item i, shifted and scaled such that it is 0 for the
last and 1 for the first item of the pool. So the first item is always that with the highest score.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from mfcli.model.panels import directions_of
from mfcli.storage import array_type, inlined, kernel
from mfcli.types import Floats, Rows

_TIMES, _LEAST = 10, 100  # size of the pool: this many times the list, and at least this many

_READ_ROWS = array_type(types.int32, 2, readonly=True)
_READ_FLOATS = array_type(types.float32, 2, readonly=True)


class Diversity:
    """Chooses diverse lists from pools of items.

    Parameters
    ----------
    weight : float
        From 0, for the items with the highest scores, to 1.
    factors : float32 array, shape (n_items, k)
        Items without factors are similar to none.
    """

    def __init__(self, weight: float, factors: Floats) -> None:
        self._weight, self._directions = weight, directions_of(factors)

    def pool(self, n: int) -> int:
        """Return the number of items from which lists of n are chosen."""
        return max(_TIMES * n, _LEAST)

    def choose(self, pool: Rows, pool_scores: Floats, items: Rows, scores: Floats) -> None:
        """Fill the lists of some users; see `choose_diverse`."""
        choose_diverse(self._weight, self._directions, pool, pool_scores, items, scores)


@kernel(types.float64, _READ_FLOATS, _READ_ROWS, _READ_FLOATS,
        array_type(types.int32, 2), array_type(types.float32, 2))  # fmt: skip
def choose_diverse(
    weight: Any, directions: Any, pool: Any, pool_scores: Any, items: Any, scores: Any
) -> None:
    """Choose lists by maximal marginal relevance; of equal values, the first in the pool wins.

    Parameters
    ----------
    weight : float
    directions : float32 array, shape (n_items, k)
        Factors of the length 1, or 0.
    pool, pool_scores : int32 and float32 arrays, shape (b, m)
        Best first; -1 after the last item.
    items, scores : int32 and float32 arrays, shape (b, n), n <= m
        Filled with -1 and -infinity; set to the lists and their scores.
    """
    size, k = pool.shape[1], directions.shape[1]
    columns = np.empty((k, size), np.float32)  # so that all similarities are summed at once
    cosines, nearest = np.empty(size, np.float32), np.empty(size, np.float32)
    relevance = np.empty(size, np.float64)
    for user in range(len(pool)):
        count = 0
        while count < size and pool[user, count] >= 0:
            row = directions[pool[user, count]]
            for factor in range(k):
                columns[factor, count] = row[factor]
            count += 1
        _scale(pool_scores[user, :count], weight, relevance)
        nearest[:count] = 0  # nothing is in the list yet
        for place in range(min(count, items.shape[1])):
            best = -1
            highest = -np.inf
            for at in range(count):
                value = relevance[at] - weight * np.float64(nearest[at])
                if value > highest:
                    best, highest = at, value
            items[user, place], scores[user, place] = pool[user, best], pool_scores[user, best]
            relevance[best] = -np.inf  # never again
            cosines[:count] = 0
            for factor in range(k):
                chosen = columns[factor, best]
                for at in range(count):
                    cosines[at] += chosen * columns[factor, at]
            for at in range(count):
                if place == 0 or cosines[at] > nearest[at]:
                    nearest[at] = cosines[at]


@inlined
def _scale(scores: Any, weight: Any, relevance: Any) -> None:
    """Set the relevance to the scores, from 1 for the first to 0 for the last, times 1 - d."""
    if len(scores) == 0:
        return
    first, last = np.float64(scores[0]), np.float64(scores[-1])
    width = first - last
    for at in range(len(scores)):
        # Equal scores do not count.
        relevance[at] = (1 - weight) * ((scores[at] - last) / width if width > 0 else 0.0)
