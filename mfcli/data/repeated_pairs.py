"""Users who have rated an item twice: found in compiled code, without sorting.

The items are brought into the order of the users by counting, and then each user in turn leaves a
mark at each item. Threads work on parts of the ratings, then on parts of the users.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numba import types

from mfcli.data.pairs import Pairs
from mfcli.storage import array_type, cores, each, kernel
from mfcli.types import Mask
from mfcli.vectors import prefetch_value

_GROUP = 32  # ratings that are moved together
_MOST_THREADS = 4  # each has an array with a number per user, and one with a number per item

_ROWS = array_type(types.int32, 1)
_GIVEN = array_type(types.int32, 1, readonly=True)
_COUNTS = array_type(types.int64, 1)
_GIVEN_COUNTS = array_type(types.int64, 1, readonly=True)
_MASK = array_type(types.boolean, 1)


def repeating_users(pairs: Pairs) -> Mask:
    """Mark the users who have rated an item more than once.

    Parameters
    ----------
    pairs : Pairs

    Returns
    -------
    bool array, shape (users,)
    """
    n, users, threads = len(pairs.user), pairs.users, min(cores(), _MOST_THREADS)
    parts = [slice(*ends) for ends in pairwise(np.linspace(0, n, threads + 1, dtype=np.int64))]
    # (threads, users): where the next item of each user in each part of the ratings goes.
    places = np.zeros((threads, users), np.int64)
    each(lambda t: _count(pairs.user[parts[t]], places[t]), threads, threads)
    ends = _to_places(places)
    grouped = np.empty(n, np.int32)

    def group(t: int) -> None:
        _group(pairs.user[parts[t]], pairs.item[parts[t]], places[t], grouped)

    each(group, threads, threads)
    repeating = np.zeros(users, np.bool_)
    # Parts of the users with about equally many ratings.
    bounds = np.searchsorted(ends, np.linspace(0, n, threads + 1)[1:-1])
    first = [0, *bounds.tolist(), users]

    def mark(t: int) -> None:
        marks = np.full(pairs.items, -1, np.int32)
        _mark(grouped, ends, first[t], first[t + 1], marks, repeating)

    each(mark, threads, threads)
    return repeating


def _to_places(counts: Any) -> Any:
    """Turn numbers of ratings, in place, into where they begin; return the ends of the users."""
    ends = np.cumsum(counts.sum(axis=0))
    before = np.cumsum(counts, axis=0)  # of each user, up to and with each part
    np.subtract(ends - before[-1], -(before - counts), out=counts)
    return ends


@kernel(_GIVEN, _COUNTS)
def _count(user: Any, counts: Any) -> None:
    for n in range(len(user)):
        counts[np.uint64(user[n])] += 1


@kernel(_GIVEN, _GIVEN, _COUNTS, _ROWS)
def _group(user: Any, item: Any, places: Any, grouped: Any) -> None:
    where = np.empty(_GROUP, np.uint64)
    for start in range(0, len(user), _GROUP):
        group = min(_GROUP, len(user) - start)
        # The memory of a group is loaded at once: to wait for each takes longer than all else.
        for n in range(group):
            prefetch_value(places, np.uint64(user[start + n]))
        for n in range(group):
            u = np.uint64(user[start + n])
            where[n] = places[u]
            places[u] += 1
            prefetch_value(grouped, where[n])
        for n in range(group):
            grouped[where[n]] = item[start + n]


@kernel(_GIVEN, _GIVEN_COUNTS, types.int64, types.int64, _ROWS, _MASK)
def _mark(grouped: Any, ends: Any, first: int, stop: int, marks: Any, repeating: Any) -> None:
    at = ends[first - 1] if first > 0 else 0
    for user in range(first, stop):
        repeats = False
        while at < ends[user]:
            item = np.uint64(grouped[at])
            repeats |= marks[item] == user
            marks[item] = user
            at += 1
        repeating[user] = repeats
