"""Filters that drop users and items with few ratings before a split."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.errors import DataError, Param


def filtered(ratings: Ratings, config: Config) -> tuple[Ratings, dict[str, Any]]:
    """Drop users and items with too few ratings, if a config asks for it.

    Returns
    -------
    ratings : Ratings
    record : dict
        The settings that were used and what was removed; empty if there is no filter.

    Raises
    ------
    DataError
        If nothing is left.
    """
    # A minimum of 1 drops nothing, since ids come from ratings.
    if config.min_user <= 1 and config.min_item <= 1:
        return ratings, {}
    kept = core(ratings, config.min_user, config.min_item)
    removed = {
        "users": len(ratings.users) - len(kept.users),
        "items": len(ratings.items) - len(kept.items),
        "ratings": len(ratings) - len(kept),
    }
    return kept, {"min_user": config.min_user, "min_item": config.min_item, "removed": removed}


def core(ratings: Ratings, min_user: int, min_item: int) -> Ratings:
    """Return the largest part in which all users and items have enough ratings (a k-core).

    Parameters
    ----------
    ratings : Ratings
    min_user, min_item : int
        Smallest number of ratings of each user and of each item, counted within the result.

    Returns
    -------
    Ratings
        With vocabularies that hold only what is left.

    Raises
    ------
    DataError
        If nothing is left.
    """
    # Positions of ratings; ratings themselves are copied only once, at the end.
    kept = np.arange(len(ratings))
    while True:  # a dropped user takes ratings from items, and the other way around
        users = np.bincount(ratings.user[kept], minlength=len(ratings.users))
        items = np.bincount(ratings.item[kept], minlength=len(ratings.items))
        stay = (users[ratings.user[kept]] >= min_user) & (items[ratings.item[kept]] >= min_item)
        if stay.all():
            break
        kept = kept[stay]
    if not len(kept):
        raise DataError(
            f"no rating is left with at least {min_user} per user and {min_item} per item",
            remedy=["lower ", Param("min_user"), " or ", Param("min_item")],
        )
    return ratings.take(kept).without_empty()
