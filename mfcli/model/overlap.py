"""Find the ratings that a model was trained on among other ratings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from mfcli.data import Ratings
from mfcli.storage import array_type, kernel
from mfcli.types import Counts, Mask, Rows

_READ_ROWS = array_type(types.int32, 1, readonly=True)
_READ_STARTS = array_type(types.int64, 1, readonly=True)


def trained_pairs(train: Ratings, ratings: Ratings) -> Mask:
    """Mark the ratings whose pair of a user and an item has a training rating.

    Both are grouped by user, so that the items of one user at a time are marked. This takes linear
    time; a search among sorted pairs would take many times as long.

    Parameters
    ----------
    train : Ratings
    ratings : Ratings
        With any vocabularies; ids are matched.

    Returns
    -------
    bool array, shape (n,)
        In the order of `ratings`.
    """
    found: Mask = np.zeros(len(ratings), np.bool_)
    own = ratings.within(train.users, train.items)
    users = len(train.users) + 1  # the last one stands for all unknown users
    user = np.where(own.user < 0, np.int32(users - 1), own.user)
    every = np.arange(len(ratings), dtype=np.int32)
    seen = np.full(len(train.items), -1, np.int32)
    known = _grouped(train.user, train.item, users)
    mark_pairs(*known, *_grouped(user, every, users), own.item, seen, found)
    return found


def _grouped(rows: Rows, values: Rows, count: int) -> tuple[Counts, Rows]:
    """Return the start of each row's values, and the values grouped by row."""
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=count), out=starts[1:])
    grouped = np.empty(len(rows), np.int32)
    group_values(rows, values, starts[:-1].copy(), grouped)
    return starts, grouped


@kernel(_READ_ROWS, _READ_ROWS, array_type(types.int64, 1), array_type(types.int32, 1))
def group_values(rows: Any, values: Any, places: Any, grouped: Any) -> None:
    """Copy the values of each row, in order, from ``places[row]`` on; move it to their end."""
    for n in range(len(rows)):
        grouped[places[rows[n]]] = values[n]
        places[rows[n]] += 1


@kernel(_READ_STARTS, _READ_ROWS, _READ_STARTS, _READ_ROWS, _READ_ROWS,
        array_type(types.int32, 1), array_type(types.boolean, 1))  # fmt: skip
def mark_pairs(
    starts: Any, items: Any, own_starts: Any, order: Any, own_items: Any, seen: Any, found: Any
) -> None:
    """Mark the pairs of each user that are among the user's training ratings.

    Parameters
    ----------
    starts, items : int64 and int32 arrays
        User u was trained on ``items[starts[u]:starts[u + 1]]``.
    own_starts, order : int64 and int32 arrays
        User u has the pairs ``order[own_starts[u]:own_starts[u + 1]]``.
    own_items : int32 array, shape (n,)
        Item of each pair; -1 if it is unknown.
    seen : int32 array, shape (n_items,)
        Scratch, filled with -1.
    found : bool array, shape (n,)
        Filled with False.
    """
    for user in range(len(starts) - 1):
        for at in range(starts[user], starts[user + 1]):
            seen[items[at]] = user
        for at in range(own_starts[user], own_starts[user + 1]):
            pair = order[at]
            item = own_items[pair]
            found[pair] = item >= 0 and seen[item] == user
