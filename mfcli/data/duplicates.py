"""Pairs of a user and an item that are rated more than once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mfcli.data.ratings import Ratings
from mfcli.errors import DataError, Param
from mfcli.types import Counts, Mask


class Merged(NamedTuple):
    """Ratings without duplicates.

    Attributes
    ----------
    ratings : Ratings
    duplicates : int
        Number of ratings that were removed.
    conflicts : int
        How many of them differ in value from the rating that was kept, without a time that tells
        which one is the latest.
    """

    ratings: Ratings
    duplicates: int
    conflicts: int


def merge_duplicates(ratings: Ratings, rule: str, place: Callable[[int], str]) -> Merged:
    """Merge ratings of the same user and item.

    Parameters
    ----------
    ratings : Ratings
    rule : {"keep-last", "mean", "error"}
        The last rating of a pair stays in its place, with its value or with the mean of all. The
        last one is the latest if there are times; without times, and among ratings of the same
        time, it is the one that comes last.
    place : callable
        Returns the file and line of a rating, given its position from 0.

    Returns
    -------
    Merged

    Raises
    ------
    DataError
        If the rule is "error" and a pair is rated twice.
    """
    pair = ratings.user.astype(np.int64)
    # In place: another array of eight bytes per rating would raise the peak of memory.
    pair *= len(ratings.items)
    pair += ratings.item
    if not _repeats(pair):
        return Merged(ratings, 0, 0)
    return _merged(ratings, pair, rule, place)


def _repeats(pair: Counts) -> bool:
    """Return whether a value occurs twice; sorting a copy takes less memory than hashing."""
    ordered = np.sort(pair)
    return bool((ordered[1:] == ordered[:-1]).any())


def _merged(ratings: Ratings, pair: Counts, rule: str, place: Callable[[int], str]) -> Merged:
    order = np.argsort(pair, kind="stable")  # the ratings of a pair stay in their order
    ordered = pair[order]
    # Equal pairs are neighbors now; each run begins where the pair changes.
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    if rule == "error":
        # The first row, in the order of the file, that repeats an earlier one.
        raise _error(ratings, int(order[~begins].min()), place)
    _sort_by_time(ratings, order, begins)
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(order))
    last = order[ends - 1]  # (pairs,)
    conflicts = _conflicts(ratings, order, np.repeat(last, ends - starts))
    if rule == "mean":
        # The sum of each run of equal pairs
        sums = np.add.reduceat(ratings.rating[order], starts, dtype=np.float64)
        rating = ratings.rating.copy()
        rating[last] = sums / (ends - starts)
        ratings = replace(ratings, rating=rating)
    # Sorted, so that the ratings stay in the order of the file.
    kept = ratings.take(np.sort(last))
    kept = kept.over(kept.users.counting(kept.user), kept.items.counting(kept.item))
    return Merged(kept, len(ratings) - len(kept), conflicts)


def _sort_by_time(ratings: Ratings, order: Counts, begins: Mask) -> None:
    """Sort the ratings of each pair by time, in place; `begins` marks the first of each pair."""
    if ratings.timestamp is None:
        return
    times = ratings.timestamp[order]
    # Files are mostly sorted by time, so few pairs need to be sorted.
    late = np.flatnonzero((times[1:] < times[:-1]) & ~begins[1:])
    if not len(late):
        return
    number = np.cumsum(begins)  # of the pair of each rating
    # `late` has the positions before those of late ratings.
    rows = np.flatnonzero(np.isin(number, number[late + 1]))
    # lexsort sorts by its last key first: by pair, then by time; it is stable.
    order[rows] = order[rows[np.lexsort((times[rows], number[rows]))]]


def _conflicts(ratings: Ratings, order: Counts, kept: Counts) -> int:
    """Count the ratings whose value differs from that of the kept rating at the same time."""
    differ = ratings.rating[order] != ratings.rating[kept]
    if ratings.timestamp is not None:
        differ &= ratings.timestamp[order] == ratings.timestamp[kept]
    return int(np.count_nonzero(differ))


def _error(ratings: Ratings, row: int, place: Callable[[int], str]) -> DataError:
    user = ratings.users.ids[ratings.user[row]].as_py()
    item = ratings.items.ids[ratings.item[row]].as_py()
    return DataError(
        f"user {user!r} has rated item {item!r} before",
        place=place(row),
        remedy=["choose with ", Param("duplicates")],
    )
