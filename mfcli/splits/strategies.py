"""The strategies: which ratings to hold out.

A strategy is a function of ratings that returns a mask, true for the ratings that are held out.
Validation ratings are held out from the training ratings by the same strategy. To add one, write
the function, enter it in `STRATEGIES`, and add its name to the choices of the setting `strategy`.
If it has a new setting, enter that in `records.StrategySection` too. The strategy "k-fold" makes
several splits; it is in `folds.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mfcli.config import Config, seconds_of
from mfcli.data import MANY, Ratings
from mfcli.errors import DataError, Param
from mfcli.types import Counts, Mask, Rows

Strategy: TypeAlias = Callable[[Ratings, float, np.random.Generator], Mask]
"""Given ratings, the fraction to hold out and a random generator, returns what is held out."""


def at_random(ratings: Ratings, fraction: float, rng: np.random.Generator) -> Mask:
    """Hold out a fraction of all ratings, rounded. Tests prediction of missing ratings."""
    n = len(ratings)
    if n > MANY:
        # Imported here because it loads Numba, which takes longer than to draw few ratings.
        from mfcli.splits.samples import sample

        return sample(n, round(fraction * n), rng)
    held = np.zeros(n, np.bool_)
    # The order of the chosen rows does not matter in a mask, so it need not be shuffled.
    held[rng.choice(n, round(fraction * n), replace=False, shuffle=False)] = True
    return held


def per_user(ratings: Ratings, fraction: float, rng: np.random.Generator) -> Mask:
    """Hold out a fraction of each user's ratings, rounded; each user keeps at least one."""
    # Sort by user, then by a random number: the first ones of each user are a random sample.
    order = np.lexsort((rng.random(len(ratings)), ratings.user))
    held = np.empty(len(ratings), np.bool_)
    rank, count = _ranks(ratings.user[order])
    # `order` is a permutation, so every entry of `held` is set.
    held[order] = rank < np.minimum(np.round(fraction * count), count - 1)
    return held


def leave_last_out(ratings: Ratings, fraction: float, rng: np.random.Generator) -> Mask:
    """Hold out the last rating of each user with at least two. Tests the next rating."""
    # The sort is stable: of two ratings at the same time, the later row is the last one.
    order = np.lexsort((_times(ratings), ratings.user))
    held = np.empty(len(ratings), np.bool_)
    rank, count = _ranks(ratings.user[order])
    held[order] = (rank == count - 1) & (count > 1)
    return held


def temporal(ratings: Ratings, fraction: float, rng: np.random.Generator) -> Mask:
    """Hold out the latest ratings. Tests predictions of the future.

    The ratings are cut at a time, so that ratings of the same second stay together. At most the
    fraction is held out.
    """
    time = _times(ratings)
    # In order of time, the last rating that is kept; others of the same second are kept, too.
    last_kept = len(time) - round(fraction * len(time)) - 1
    # A partition instead of a sort: only the time at this position matters.
    cut = np.partition(time, last_kept)[last_kept] if last_kept >= 0 else time.min() - 1
    return np.asarray(time > cut)


def _since(cut: int) -> Strategy:
    """Return the strategy that holds out the ratings from a time on, in seconds since 1970."""

    def strategy(ratings: Ratings, fraction: float, rng: np.random.Generator) -> Mask:
        return np.asarray(_times(ratings) >= cut)

    return strategy


def cold_user(ratings: Ratings, fraction: float, rng: np.random.Generator) -> Mask:
    """Hold out all ratings of a fraction of the users. Tests predictions for new users."""
    # Users without ratings in this part must not be drawn: nothing would be held out.
    users = np.flatnonzero(np.bincount(ratings.user, minlength=len(ratings.users)))
    chosen = rng.choice(users, round(fraction * len(users)), replace=False)
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
"""The strategies that make one split, by name."""


def strategies_of(config: Config) -> tuple[Strategy, Strategy]:
    """Return the strategies for the test ratings and for the validation ratings."""
    if config.cut:  # a second cut at the same time would hold out nothing
        return _since(seconds_of(config.cut)), temporal
    return STRATEGIES[config.strategy], STRATEGIES[config.strategy]


def used_settings(config: Config, removed: dict[str, Any]) -> dict[str, Any]:
    """Return the name of the strategy and the settings that were used, for records.

    Parameters
    ----------
    config : Config
    removed : dict
        What filters removed, with their settings; empty if there were none.
    """
    used = {"name": config.strategy} | config.used("split")
    unrecorded = ("strategy", "min_user", "min_item")
    return {name: value for name, value in used.items() if name not in unrecorded} | removed


def _ranks(sorted_user: Rows) -> tuple[Counts, Counts]:
    """Number each user's ratings from 0, and count them.

    Parameters
    ----------
    sorted_user : int32 array, shape (n,)
        Ascending.

    Returns
    -------
    rank, count : int64 arrays, shape (n,)
    """
    # Where the user changes, which includes the first position.
    starts = np.flatnonzero(np.diff(sorted_user, prepend=-1))
    counts = np.diff(starts, append=len(sorted_user))
    rank = np.arange(len(sorted_user)) - np.repeat(starts, counts)  # position within the user
    return rank, np.repeat(counts, counts)


def _times(ratings: Ratings) -> NDArray[np.int64]:
    if ratings.timestamp is None:
        raise DataError(
            "the ratings have no timestamps to split by",
            remedy=["name their column with ", Param("columns.timestamp")],
        )
    return ratings.timestamp
