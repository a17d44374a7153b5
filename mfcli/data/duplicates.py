"""Pairs of a user and an item that are rated more than once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mfcli.data.ratings import Ratings
from mfcli.errors import DataError, Param
from mfcli.types import Counts


def merge_duplicates(
    ratings: Ratings, rule: str, place: Callable[[int], str]
) -> tuple[Ratings, int]:
    """Merge ratings of the same user and item.

    Parameters
    ----------
    ratings : Ratings
    rule : {"keep-last", "mean", "error"}
        The last rating of a pair stays in its place, with its value or with the mean of all.
    place : callable
        Returns the file and line of a rating, given its position from 0.

    Returns
    -------
    ratings : Ratings
    merged : int
        Number of ratings that were removed.

    Raises
    ------
    DataError
        If the rule is "error" and a pair is rated twice.
    """
    pair = ratings.user.astype(np.int64)
    pair *= len(ratings.items)
    pair += ratings.item
    if not _repeats(pair):
        return ratings, 0
    return _merged(ratings, pair, rule, place)


def _repeats(pair: Counts) -> bool:
    """Return whether a value occurs twice; sorting a copy takes less memory than hashing."""
    ordered = np.sort(pair)
    return bool((ordered[1:] == ordered[:-1]).any())


def _merged(
    ratings: Ratings, pair: Counts, rule: str, place: Callable[[int], str]
) -> tuple[Ratings, int]:
    order = np.argsort(pair, kind="stable")  # the ratings of a pair stay in their order
    ordered = pair[order]
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    if rule == "error":
        raise _error(ratings, int(order[~begins].min()), place)
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(order))
    last = order[ends - 1]
    if rule == "mean":
        sums = np.add.reduceat(ratings.rating[order], starts, dtype=np.float64)
        rating = ratings.rating.copy()
        rating[last] = sums / (ends - starts)
        ratings = replace(ratings, rating=rating)
    kept = ratings.take(np.sort(last))
    kept = kept.over(kept.users.counting(kept.user), kept.items.counting(kept.item))
    return kept, len(ratings) - len(kept)


def _error(ratings: Ratings, row: int, place: Callable[[int], str]) -> DataError:
    user = ratings.users.ids[ratings.user[row]].as_py()
    item = ratings.items.ids[ratings.item[row]].as_py()
    return DataError(
        f"user {user!r} has rated item {item!r} before",
        place=place(row),
        remedy=["choose with ", Param("duplicates")],
    )
