"""Which ratings to hold out: one rule for each question that a test can ask.

Every strategy is a function of ratings that returns a mask over them: true where a rating is held
out. Validation ratings are held out from the training ratings by the same rule.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Ratings
from mfcli.errors import DataError

Mask = NDArray[np.bool_]
Strategy = Callable[[Ratings, float, np.random.Generator], Mask]
"""Ratings, the share to hold out, and a random generator."""


def at_random(ratings: Ratings, share: float, rng: np.random.Generator) -> Mask:
    """Hold out a share of all ratings, rounded: can it fill in what is missing?"""
    n = len(ratings)
    held = np.zeros(n, np.bool_)
    held[rng.choice(n, round(share * n), replace=False, shuffle=False)] = True
    return held


def per_user(ratings: Ratings, share: float, rng: np.random.Generator) -> Mask:
    """Hold out a share of each user's ratings, rounded; at least one stays."""
    order = np.lexsort((rng.random(len(ratings)), ratings.user))
    held = np.empty(len(ratings), np.bool_)
    rank, count = _ranks(ratings.user[order])
    held[order] = rank < np.minimum(np.round(share * count), count - 1)
    return held


def leave_last_out(ratings: Ratings, share: float, rng: np.random.Generator) -> Mask:
    """Hold out the last rating of each user who has two or more: what comes next?"""
    order = np.lexsort((_times(ratings), ratings.user))  # stable: of equal times the later row
    held = np.empty(len(ratings), np.bool_)
    rank, count = _ranks(ratings.user[order])
    held[order] = (rank == count - 1) & (count > 1)
    return held


def temporal(ratings: Ratings, share: float, rng: np.random.Generator) -> Mask:
    """Hold out the latest share of all ratings: how will it do tomorrow?

    The cut is a time, so that ratings of the same second stay together: no more than the share is
    held out.
    """
    time = _times(ratings)
    last_kept = len(time) - round(share * len(time)) - 1
    cut = np.partition(time, last_kept)[last_kept] if last_kept >= 0 else time.min() - 1
    return np.asarray(time > cut)


def since(cut: int) -> Strategy:
    """Hold out the ratings at and after a time, in seconds since 1970."""

    def strategy(ratings: Ratings, share: float, rng: np.random.Generator) -> Mask:
        return np.asarray(_times(ratings) >= cut)

    return strategy


def cold_user(ratings: Ratings, share: float, rng: np.random.Generator) -> Mask:
    """Hold out a share of the users with all their ratings: what of newcomers?"""
    users = np.flatnonzero(np.bincount(ratings.user, minlength=len(ratings.users)))
    chosen = rng.choice(users, round(share * len(users)), replace=False)
    is_chosen = np.zeros(len(ratings.users), np.bool_)
    is_chosen[chosen] = True
    return is_chosen[ratings.user]


STRATEGIES: dict[str, Strategy] = {
    "random": at_random,
    "per-user": per_user,
    "leave-last-out": leave_last_out,
    "temporal": temporal,
    "cold-user": cold_user,
}


def core(ratings: Ratings, min_user: int, min_item: int) -> Ratings:
    """Keep users and items with so many ratings each, counted among what is kept (a k-core).

    Parameters
    ----------
    ratings : Ratings
    min_user, min_item : int
        Least ratings of each user and of each item that stay.

    Returns
    -------
    Ratings
        Over vocabularies that hold what stays.

    Raises
    ------
    DataError
        If nothing stays.
    """
    kept = np.arange(len(ratings))
    while True:
        users = np.bincount(ratings.user[kept], minlength=len(ratings.users))
        items = np.bincount(ratings.item[kept], minlength=len(ratings.items))
        stay = (users[ratings.user[kept]] >= min_user) & (items[ratings.item[kept]] >= min_item)
        if stay.all():
            break
        kept = kept[stay]
    if not len(kept):
        raise DataError(
            f"no rating is left with at least {min_user} for each user and {min_item} for each"
            " item; lower --min-user or --min-item"
        )
    return ratings.take(kept).without_empty()


def _ranks(sorted_user: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number each user's ratings from 0, and count them, for ratings sorted by user."""
    starts = np.flatnonzero(np.diff(sorted_user, prepend=-1))
    counts = np.diff(starts, append=len(sorted_user))
    rank = np.arange(len(sorted_user)) - np.repeat(starts, counts)
    return rank, np.repeat(counts, counts)


def _times(ratings: Ratings) -> NDArray[np.int64]:
    if ratings.timestamp is None:
        raise DataError("the ratings have no timestamps to split by; name a column with --time-col")
    return ratings.timestamp
