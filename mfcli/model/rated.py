"""The items that each user has rated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mfcli.data import Ratings
from mfcli.model.grouping import grouped
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
        parts = [(part.user, part.item) for part in (first, *others)]
        return cls(*grouped(parts, len(first.users) + 1))

    @classmethod
    def nothing(cls, users: int) -> Rated:
        """Return that no user has rated any item."""
        return cls(np.zeros(users + 2, np.int64), np.zeros(0, np.int32))

    @classmethod
    def itself(cls, rows: int) -> Rated:
        """Return that each row has rated itself, so that it is not in its own ranking."""
        every = np.arange(rows + 2, dtype=np.int64)
        return cls(np.minimum(every, rows), every[:rows].astype(np.int32))
