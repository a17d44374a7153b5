"""Filters that drop users and items with few ratings before a split."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfcli.config import Config
from mfcli.data import counts_of
from mfcli.errors import DataError, Param
from mfcli.splits.numbering import Numbering
from mfcli.splits.pool import DROPPED, Pool
from mfcli.types import Counts


def filtered(pool: Pool, config: Config) -> tuple[dict[str, Numbering], dict[str, Any]]:
    """Drop users and items with too few ratings from a pool, if a config asks for it.

    Returns
    -------
    numberings : dict of Numbering
        Of "user" and "item": the ids that are left.
    record : dict
        The settings that were used and what was removed; empty if there is no filter.

    Raises
    ------
    DataError
        If nothing is left.
    """
    buckets, before = pool.buckets, len(pool)
    # A minimum of 1 drops nothing, since ids come from ratings.
    if config.min_user <= 1 and config.min_item <= 1:
        return {"user": Numbering(buckets.users.ids), "item": Numbering(buckets.items.ids)}, {}
    users, items = core(pool, config.min_user, config.min_item)
    left = {
        "user": Numbering.of(buckets.users.ids, users > 0),
        "item": Numbering.of(buckets.items.ids, items > 0),
    }
    removed = {
        "users": len(users) - len(left["user"].ids),
        "items": len(items) - len(left["item"].ids),
        "ratings": before - len(pool),
    }
    return left, {"min_user": config.min_user, "min_item": config.min_item, "removed": removed}


def core(pool: Pool, min_user: int, min_item: int) -> tuple[Counts, Counts]:
    """Leave the largest set of ratings in which all users and items have enough (a k-core).

    Parameters
    ----------
    pool : Pool
        All others are dropped.
    min_user, min_item : int
        Smallest number of ratings of each user and of each item, counted within the result.

    Returns
    -------
    users, items : int64 arrays, shapes (n_users,) and (n_items,)
        The number of ratings that are left of each.

    Raises
    ------
    DataError
        If nothing is left.
    """
    users, items = pool.counts("user"), pool.counts("item")
    # A dropped user takes ratings from items, and the other way around. The result does not depend
    # on the order in which ratings are dropped.
    while sum(
        _drop(pool, bucket, users, items, min_user, min_item) for bucket in range(len(pool.buckets))
    ):
        pass
    if not len(pool):
        raise DataError(
            f"no rating is left with at least {min_user} per user and {min_item} per item",
            remedy=["lower ", Param("min_user"), " or ", Param("min_item")],
        )
    return users, items


def _drop(
    pool: Pool, bucket: int, users: Counts, items: Counts, min_user: int, min_item: int
) -> int:
    """Drop ratings of a bucket, subtract them from the counts, and return their number."""
    user, item = pool.columns(bucket, "user", "item")
    gone = (users[user] < min_user) | (items[item] < min_item)
    if gone.any():
        users -= counts_of(user[gone], len(users))
        items -= counts_of(item[gone], len(items))
        pool.assign(bucket, gone, DROPPED)
    return int(np.count_nonzero(gone))
