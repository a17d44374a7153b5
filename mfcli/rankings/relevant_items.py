"""The relevant items of each user, and which of them are ranked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import types

from mfcli.data import Ratings, Translation, counts_of
from mfcli.errors import DataError, Text
from mfcli.model import RatedParts, grouped, pairs_in
from mfcli.storage import array_type, kernel
from mfcli.types import Counts, Mask, Rows


@dataclass(frozen=True)
class RelevantItems:
    """The relevant items of each user.

    Attributes
    ----------
    users : int32 array, shape (n_users,)
        Rows in the model, -1 for unknown users; only users with relevant items.
    counts : int64 array, shape (n_users,)
        Relevant items of each user, including items that the model does not know.
    starts, rows : int64 and int32 arrays
        User number n likes the items ``rows[starts[n]:starts[n + 1]]`` of the model.
    items : int
        Number of items in the model.
    """

    users: Rows
    counts: Counts
    starts: Counts
    rows: Rows
    items: int

    @classmethod
    def of(
        cls,
        ratings: Ratings,
        rated: RatedParts,
        *,
        relevant: float | None,
        remedy: Text,
    ) -> RelevantItems:
        """Collect relevant ratings, except for items that their user rated in training.

        Parameters
        ----------
        ratings : Ratings
            Any vocabularies.
        rated : RatedParts
            What each user rated in training, in rows of the model.
        relevant : float or None
            Smallest rating of a relevant item; None if every item is relevant.
        remedy : str or parts of an error
            What to do if no rating is relevant.

        Raises
        ------
        DataError
            If no rating is relevant.
        """
        new = _New.of(ratings, rated, relevant)
        counts = np.zeros(len(ratings.users), np.int64)
        for user, _ in new:
            counts += np.bincount(user, minlength=len(counts))
        active = counts > 0
        if not active.any():
            rule = "no rating is of an item that its user did not rate in training"
            if relevant is not None:
                rule = (
                    "no rating of an item that its user did not rate in training is at least"
                    f" {relevant:g}"
                )
            raise DataError(rule, remedy=remedy)
        starts, rows = grouped(new, len(counts))
        every = np.arange(len(counts), dtype=np.int32)
        row = Translation(ratings.users, rated.users)(every)  # of each user in the model
        # Users without relevant items have no range, so the others are adjacent.
        starts = np.append(starts[:-1][active], starts[-1])
        return cls(row[active], counts[active], starts, rows, len(rated.items))

    @property
    def per_item(self) -> Counts:
        """The number of users to whom each item of the model is relevant."""
        return counts_of(self.rows, self.items)

    def take(self, part: slice) -> RelevantItems:
        """Return some consecutive users."""
        starts = self.starts[part.start : part.stop + 1]
        rows = self.rows[starts[0] : starts[-1]]
        return replace(
            self,
            users=self.users[part],
            counts=self.counts[part],
            starts=starts - starts[0],
            rows=rows,
        )

    def sample(self, size: int, rng: np.random.Generator) -> RelevantItems:
        """Draw at most a number of users at random; they keep their order."""
        if size >= len(self.users):
            return self
        drawn = np.sort(rng.choice(len(self.users), size, replace=False))
        known = np.diff(self.starts)  # items in the model; `counts` includes unknown items
        is_drawn = np.zeros(len(self.users), np.bool_)
        is_drawn[drawn] = True
        return replace(
            self,
            users=self.users[drawn],
            counts=self.counts[drawn],
            starts=np.append(0, np.cumsum(known[drawn])),
            rows=self.rows[: self.starts[-1]][np.repeat(is_drawn, known)],
        )

    def hits(self, start: int, items: Rows) -> Mask:
        """Return whether ranked items, shape (m, n), are relevant to the users from `start` on."""
        found: Mask = np.zeros(items.shape, np.bool_)
        seen = np.full(self.items, -1, np.int32)
        mark_hits(self.starts[start : start + len(items) + 1], self.rows, items, seen, found)
        return found


@dataclass(frozen=True)
class _New:
    """The users and items of the relevant ratings that are not training ratings.

    Attributes
    ----------
    ratings : Ratings
    items : Translation
        To the rows of the model.
    mask : bool array, shape (n,)
    """

    ratings: Ratings
    items: Translation
    mask: Mask

    @classmethod
    def of(cls, ratings: Ratings, rated: RatedParts, relevant: float | None) -> _New:
        mask, start = ~pairs_in(rated, ratings), 0
        for rating in ratings.pieces("rating") if relevant is not None else ():
            mask[start : start + len(rating)] &= rating >= relevant
            start += len(rating)
        return cls(ratings, Translation(ratings.items, rated.items), mask)

    def __iter__(self) -> Iterator[tuple[Rows, Rows]]:
        start = 0
        pieces = (self.ratings.pieces(name) for name in ("user", "item"))
        for user, item in zip(*pieces, strict=True):
            mask = self.mask[start : start + len(user)]
            start += len(user)
            yield user[mask], self.items(item[mask])


@kernel(array_type(types.int64, 1, readonly=True), array_type(types.int32, 1, readonly=True),
        array_type(types.int32, 2, readonly=True), array_type(types.int32, 1),
        array_type(types.boolean, 2))  # fmt: skip
def mark_hits(starts: Any, rows: Any, items: Any, seen: Any, hits: Any) -> None:
    """Mark the items of each user that are among the user's relevant items.

    Parameters
    ----------
    starts, rows : int64 and int32 arrays
        User n likes the items ``rows[starts[n]:starts[n + 1]]``.
    items : int32 array, shape (m, n)
        -1 for none.
    seen : int32 array, shape (n_items,)
        Scratch, filled with -1.
    hits : bool array, shape (m, n)
        Filled with False.
    """
    for user in range(items.shape[0]):
        for at in range(starts[user], starts[user + 1]):
            seen[rows[at]] = user
        for place in range(items.shape[1]):
            item = items[user, place]
            hits[user, place] = item >= 0 and seen[item] == user
