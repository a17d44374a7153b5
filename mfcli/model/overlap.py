"""Find the ratings that a model was trained on among other ratings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types

from mfcli.data import Ratings
from mfcli.model.grouping import grouped
from mfcli.model.rated import Rated
from mfcli.model.rated_parts import RatedParts
from mfcli.model.user_ranges import user_ranges
from mfcli.storage import array_type, kernel
from mfcli.types import Mask, Rows

_WORK = "comparing the ratings with those for training"
_EACH = 32  # bytes for each user: where the items of a range begin

_READ_ROWS = array_type(types.int32, 1, readonly=True)
_READ_STARTS = array_type(types.int64, 1, readonly=True)


def trained_pairs(train: Ratings, ratings: Ratings) -> Mask:
    """Mark the ratings whose pair of a user and an item has a training rating.

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
    return pairs_in(RatedParts.of(train), ratings)


def pairs_in(rated: RatedParts, ratings: Ratings) -> Mask:
    """Mark the ratings whose user has rated their item.

    Both are grouped by user, so that the items of one user at a time are marked. This takes linear
    time; a search among sorted pairs would take many times as long.

    Parameters
    ----------
    rated : RatedParts
    ratings : Ratings
        With any vocabularies; ids are matched. Unknown ids have not rated, or are not rated.

    Returns
    -------
    bool array, shape (n,)
    """
    found: Mask = np.zeros(len(ratings), np.bool_)
    seen = np.full(len(rated.items), -1, np.int32)
    pairs = RatedParts((ratings,), rated.users, rated.items)
    every = np.arange(rated.size, dtype=np.int32)
    size = 8 * len(ratings) / max(rated.size, 1) + _EACH
    known = {"excluded": rated}
    for part in user_ranges(every, known, fixed=found.nbytes, each=size, work=_WORK):
        trained = Rated.by(part.users, part.known["excluded"])
        own = [grouped(_Pairs(pairs, part.users, name), rated.size) for name in ("place", "item")]
        (starts, places), (_, items) = own
        mark_pairs(trained.starts, trained.items, starts, places, items, seen, found)
        seen[:] = -1
    return found


@dataclass(frozen=True)
class _Pairs:
    """The users of pairs, and their items or places among all pairs, as often as needed."""

    pairs: RatedParts
    users: Rows
    what: str

    def __iter__(self) -> Iterator[tuple[Rows, Rows]]:
        start, own = 0, None
        if len(self.users) < self.pairs.size:
            own = np.full(self.pairs.size + 1, -1, np.int32)  # the last one is that of the row -1
            own[self.users] = self.users
        for user, item in self.pairs.pieces("user", "item"):
            places = np.arange(start, start + len(user), dtype=np.int32)
            start += len(user)
            values = item if self.what == "item" else np.where(item >= 0, places, np.int32(-1))
            yield user if own is None else own[user], values


@kernel(_READ_STARTS, _READ_ROWS, _READ_STARTS, _READ_ROWS, _READ_ROWS,
        array_type(types.int32, 1), array_type(types.boolean, 1))  # fmt: skip
def mark_pairs(
    starts: Any, items: Any, own_starts: Any, places: Any, own_items: Any, seen: Any, found: Any
) -> None:
    """Mark the pairs of each user that are among the user's training ratings.

    Parameters
    ----------
    starts, items : int64 and int32 arrays
        User u was trained on ``items[starts[u]:starts[u + 1]]``.
    own_starts, places, own_items : int64 and int32 arrays
        User u has the pairs at ``places[own_starts[u]:own_starts[u + 1]]``, with these items.
    seen : int32 array, shape (n_items,)
        Scratch, filled with -1.
    found : bool array, shape (n,)
        Set to True for the pairs that are found.
    """
    for user in range(len(own_starts) - 1):
        for at in range(starts[user], starts[user + 1]):
            seen[items[at]] = user
        for at in range(own_starts[user], own_starts[user + 1]):
            if seen[own_items[at]] == user:
                found[places[at]] = True
