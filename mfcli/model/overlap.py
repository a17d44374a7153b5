"""Find the ratings that a model was trained on among other ratings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from mfcli.data import Ratings
from mfcli.model.grouping import grouped
from mfcli.model.rated import Rated
from mfcli.storage import array_type, kernel
from mfcli.types import Mask

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
    return pairs_in(Rated.of(train), ratings.within(train.users, train.items))


def pairs_in(rated: Rated, ratings: Ratings) -> Mask:
    """Mark the ratings whose user has rated their item.

    Parameters
    ----------
    rated : Rated
    ratings : Ratings
        In the same rows; pairs with an unknown id (-1) are not marked.

    Returns
    -------
    bool array, shape (n,)
    """
    found: Mask = np.zeros(len(ratings), np.bool_)
    every = np.arange(len(ratings), dtype=np.int32)
    own = grouped([(ratings.user, every)], len(ratings.users))
    seen = np.full(len(ratings.items), -1, np.int32)
    mark_pairs(rated.starts, rated.items, *own, ratings.item, seen, found)
    return found


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
    for user in range(len(own_starts) - 1):
        for at in range(starts[user], starts[user + 1]):
            seen[items[at]] = user
        for at in range(own_starts[user], own_starts[user + 1]):
            pair = order[at]
            item = own_items[pair]
            found[pair] = item >= 0 and seen[item] == user
