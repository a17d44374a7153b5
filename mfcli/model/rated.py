"""The items that each user has rated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mfcli.data import Ratings
from mfcli.model.grouping import grouped
from mfcli.model.rated_parts import RatedParts, RatingPieces
from mfcli.types import Counts, Rows


@dataclass(frozen=True)
class Rated:
    """The items that each user has rated, to exclude them.

    Attributes
    ----------
    starts : int64 array, shape (n_users + 2,)
        Start of each user's items. The last user stands for all unknown users (row -1) and has no
        items.
    items : int32 array, shape (n_ratings,)
    """

    starts: Counts
    items: Rows

    @classmethod
    def of(cls, first: Ratings, *others: Ratings) -> Rated:
        """Collect the items of ratings with the same vocabularies; unknown ids (-1) are skipped.

        An item may be in several of them.
        """
        return cls(*grouped(_Pairs(RatedParts.of(first, *others)), len(first.users) + 1))

    @classmethod
    def by(cls, users: Rows, ratings: RatingPieces) -> Rated:
        """Collect the items that some users have rated, in two passes over the ratings.

        Parameters
        ----------
        users : int32 array, shape (m,)
            -1 for an unknown user.
        ratings : RatingPieces
        """
        listed = np.full(ratings.size + 1, -1, np.int32)
        listed[users] = users
        listed[-1] = -1
        return cls(*grouped(_Pairs(ratings, listed), ratings.size + 1))

    @classmethod
    def nothing(cls, users: int) -> Rated:
        """Return that no user has rated any item."""
        return cls(np.zeros(users + 2, np.int64), np.zeros(0, np.int32))

    @classmethod
    def itself(cls, rows: int) -> Rated:
        """Return that each row has rated itself, so that it is not in its own ranking."""
        every = np.arange(rows + 2, dtype=np.int64)
        return cls(np.minimum(every, rows), every[:rows].astype(np.int32))


@dataclass(frozen=True)
class _Pairs:
    """Users and items of ratings, piece by piece, as often as needed; -1 for users to leave out."""

    ratings: RatingPieces
    listed: Rows | None = None

    def __iter__(self) -> Iterator[tuple[Rows, Rows]]:
        for user, item in self.ratings.pieces("user", "item"):
            yield user if self.listed is None else self.listed[user], item
