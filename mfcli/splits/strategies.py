"""The strategies: which ratings to hold out.

A strategy is a function of a pool of ratings and of the fraction to hold out. It looks at all
buckets for what they have in common, such as a cut, and returns a function that marks what is held
out of one bucket. Validation ratings are held out of what test ratings leave by the same strategy.
To add one, write the function, enter it in `STRATEGIES`, and add its name to the choices of the
setting `strategy`. If it has a new setting, enter that in `records.StrategySection` too. The
strategy "k-fold" makes several splits; it is in `folds.py`.

Test and validation ratings are drawn with the same keys. What a first sample leaves has the larger
keys, but still in random order, so the smallest of them are a random sample too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mfcli.config import Config, seconds_of
from mfcli.data import MANY, counts_of
from mfcli.errors import DataError, Param
from mfcli.splits.keys import MOST, USERS, keys
from mfcli.splits.order_statistics import nth_smallest
from mfcli.splits.pool import Pool
from mfcli.types import Counts, Mask, Rows

Marks: TypeAlias = Callable[[int], Mask]
"""Given a bucket, returns which of its ratings in the pool are held out."""

Strategy: TypeAlias = Callable[[Pool, float], Marks]
"""Given a pool and the fraction to hold out, returns what marks it."""


def at_random(pool: Pool, fraction: float) -> Marks:
    """Hold out a fraction of all ratings, rounded. Tests prediction of missing ratings."""
    total, cut = len(pool), MOST
    if (size := round(fraction * total)) < total:
        cut = nth_smallest(pool.all_keys, size, (0, MOST - 1))
    return lambda bucket: _joined([keys < cut for keys in pool.keys(bucket)])


def per_user(pool: Pool, fraction: float) -> Marks:
    """Hold out a fraction of each user's ratings, rounded; each user keeps at least one."""
    users = len(pool.buckets.users)

    def marks(bucket: int) -> Mask:
        (user,) = pool.columns(bucket, "user")
        drawn = np.concatenate([np.zeros(0, np.uint64), *pool.keys(bucket)])
        counts = counts_of(user, users)
        held = np.minimum(np.round(fraction * counts), counts - 1).astype(np.int64)
        return np.asarray(drawn < _smallest_kept(user, drawn, counts, held)[user])

    return marks


def _smallest_kept(
    user: Rows, drawn: NDArray[np.uint64], counts: Counts, held: Counts
) -> NDArray[np.uint64]:
    """Return the smallest key of each user that follows the keys to hold out.

    Parameters
    ----------
    user : int32 array, shape (n,)
    drawn : uint64 array, shape (n,)
        The key of each rating.
    counts : int64 array, shape (n_users,)
        Number of ratings of each user.
    held : int64 array, shape (n_users,)
        Number of ratings to hold out, below that of ratings.
    """
    if len(user) > MANY:
        # Imported here because it loads Numba, which takes longer than to sort few ratings.
        from mfcli.splits.keys_by_user import nth_keys

        return nth_keys(user, drawn, counts, held)
    kept = np.zeros(len(counts), np.uint64)
    starts, some = np.cumsum(counts) - counts, counts > 0
    kept[some] = drawn[np.lexsort((drawn, user))[(starts + held)[some]]]
    return kept


def leave_last_out(pool: Pool, fraction: float) -> Marks:
    """Hold out the last rating of each user with at least two. Tests the next rating."""
    _check_times(pool)
    users = len(pool.buckets.users)

    def marks(bucket: int) -> Mask:
        user, time = pool.columns(bucket, "user", "timestamp")
        latest = np.full(users, np.iinfo(np.int64).min)
        np.maximum.at(latest, user, time)
        candidates = np.flatnonzero(time == latest[user])
        last = np.zeros(users, np.int64)
        # Of two ratings at the same time, the later row is the last one: it is assigned last.
        last[user[candidates]] = candidates
        held = np.zeros(len(user), np.bool_)
        held[last[counts_of(user, users) > 1]] = True
        return held

    return marks


def temporal(pool: Pool, fraction: float) -> Marks:
    """Hold out the latest ratings. Tests predictions of the future.

    The ratings are cut at a time, so that ratings of the same second stay together. At most the
    fraction is held out.
    """
    _check_times(pool)
    total = len(pool)
    # In order of time, the last rating that is kept; others of the same second are kept, too.
    last_kept = total - round(fraction * total) - 1
    if last_kept < 0:
        return _since(np.iinfo(np.int64).min)(pool, fraction)
    return _since(nth_smallest(lambda: pool.all_pieces("timestamp"), last_kept) + 1)(pool, fraction)


def _since(cut: int) -> Strategy:
    """Return the strategy that holds out the ratings from a time on, in seconds since 1970."""

    def strategy(pool: Pool, fraction: float) -> Marks:
        _check_times(pool)
        return lambda bucket: np.asarray(pool.columns(bucket, "timestamp")[0] >= cut)

    return strategy


def cold_user(pool: Pool, fraction: float) -> Marks:
    """Hold out all ratings of a fraction of the users. Tests predictions for new users."""
    # Users without ratings in the pool must not be drawn: nothing would be held out.
    users = np.flatnonzero(pool.counts("user")).astype(np.uint32)
    drawn = keys(pool.seed, users, USERS)
    is_chosen = np.zeros(len(pool.buckets.users), np.bool_)
    is_chosen[users[np.argsort(drawn)[: round(fraction * len(users))]]] = True
    return lambda bucket: is_chosen[pool.columns(bucket, "user")[0]]


STRATEGIES: dict[str, Strategy] = {
    "random": at_random,
    "per-user": per_user,
    "leave-last-out": leave_last_out,
    "temporal": temporal,
    "cold-user": cold_user,
}
"""The strategies that make one split, by name."""


_BY_TIME = ("leave-last-out", "temporal")


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


def _joined(masks: list[Mask]) -> Mask:
    return np.concatenate([np.zeros(0, np.bool_), *masks])


def _check_times(pool: Pool) -> None:
    _check_column(pool.buckets.types)


def check_strategy(columns: Collection[str], config: Config) -> None:
    """Refuse a strategy that needs times for ratings without them.

    Parameters
    ----------
    columns : collection of str
        The columns of the ratings: "user", "item", ...
    config : Config

    Raises
    ------
    DataError
    """
    if config.cut or config.strategy in _BY_TIME:
        _check_column(columns)


def _check_column(columns: Collection[str]) -> None:
    if "timestamp" not in columns:
        raise DataError(
            "the ratings have no timestamps to split by",
            remedy=["name their column with ", Param("columns.timestamp")],
        )
