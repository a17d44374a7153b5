"""Pairs of users and items, without their ratings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mfcli.data.ratings import Ratings
from mfcli.types import Counts, Rows


class Pairs(NamedTuple):
    """Pairs of known users and items.

    Attributes
    ----------
    user, item : int32 array, shape (n,)
        Rows of the vocabularies.
    users, items : int
        Sizes of the vocabularies.
    """

    user: Rows
    item: Rows
    users: int
    items: int

    def numbers(self) -> Counts:
        """Return a number for each pair; equal pairs have equal numbers."""
        number = self.user.astype(np.int64)
        number *= self.items  # in place, since memory is short here
        number += self.item
        return number


def pairs_of(ratings: Ratings) -> Pairs:
    """Return the pairs of ratings."""
    return Pairs(ratings.user, ratings.item, len(ratings.users), len(ratings.items))
