"""Pairs of a user and an item that are rated more than once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from mfcli.data.formats.numbers import INFINITE
from mfcli.data.pairs import Pairs, pairs_of
from mfcli.data.ratings import Ratings
from mfcli.data.sizes import MANY
from mfcli.data.vocabulary import counts_of
from mfcli.errors import DataError, Param
from mfcli.types import Counts, Doubles, Mask

_RULE = Param("duplicates")


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
    kept : int64 array, shape (n,), optional
        The positions of the ratings that were kept; None if all were.
    """

    ratings: Ratings
    duplicates: int
    conflicts: int
    kept: Counts | None = None


class InvalidDuplicate(Exception):
    """A rating of a pair that is rated several times breaks a rule.

    Attributes
    ----------
    row : int
        Its position.
    error : DataError
        Without a place.
    """

    def __init__(self, row: int, error: DataError) -> None:
        self.row, self.error = row, error

    def error_at(self, place: str) -> DataError:
        """Return the error with the place of the rating."""
        self.error.place = place
        return self.error


def merge_duplicates(ratings: Ratings, rule: str, place: Callable[[int], str]) -> Merged:
    """Merge ratings of the same user and item.

    Parameters
    ----------
    ratings : Ratings
    rule : {"keep-last", "mean", "sum", "error"}
        The last rating of a pair stays in its place, with its value and weight, or with the mean or
        the sum of all. The last one is the latest if there are times; without times, and among
        ratings of the same time, it is the one that comes last.
    place : callable
        Returns the file and line of a rating, given its position from 0.

    Returns
    -------
    Merged

    Raises
    ------
    DataError
        If the rule is "error" and a pair is rated twice, or if a sum does not fit in float32.
    """
    rows = repeated_rows(pairs_of(ratings))
    if rows is None:
        return Merged(ratings, 0, 0)
    try:
        merged = merged_pairs(ratings, rows, rule)
    except InvalidDuplicate as invalid:
        raise invalid.error_at(place(invalid.row)) from None
    kept = merged.ratings
    counted = kept.over(kept.users.counting(kept.user), kept.items.counting(kept.item))
    return merged._replace(ratings=counted)


def merged_pairs(ratings: Ratings, rows: Iterable[Counts], rule: str) -> Merged:
    """As `merge_duplicates`, but the vocabularies stay as they are.

    Parameters
    ----------
    ratings : Ratings
    rows : iterable of int64 array
        The `repeated_rows` of all its pairs.
    rule : str

    Raises
    ------
    InvalidDuplicate
        For the first rating that breaks a rule.
    """
    found = [_repeated(ratings, some) for some in rows]
    if rule == "error":
        raise _repeats_another(ratings, min(each.first for each in found))
    stay = np.ones(len(ratings), np.bool_)
    for each in found:
        stay[each.removed] = False
    if rule in ("mean", "sum"):
        _check_sums(found, rule)
        combined = {name: _combined(ratings, name, found, rule) for name in found[0].sums}
        ratings = replace(ratings, **combined)
    kept = np.flatnonzero(stay)
    conflicts = 0 if rule in ("sum", "mean") else sum(each.conflicts for each in found)
    return Merged(ratings.take(stay), len(ratings) - len(kept), conflicts, kept)


def _combined(ratings: Ratings, name: str, found: list[_Repeated], rule: str) -> Any:
    """Return a column in which the rating of each pair that is kept has the mean or the sum."""
    column = getattr(ratings, name).copy()
    for each in found:
        column[each.last] = each.combined(name, rule)
    return column


def _check_sums(found: list[_Repeated], rule: str) -> None:
    """Refuse the first rating whose sum is too large, of the rating or of the weight."""
    large = [
        (int(row), name, float(value))
        for each in found
        for name in each.sums
        for row, value in each.large(name, rule)
    ]
    if not large:
        return
    row, name, value = min(large)
    error = DataError(
        f"the {name}s of a user and an item add up to more than float32 can hold",
        value=value,
        remedy=["divide them by a constant, or choose another rule with ", _RULE],
    )
    raise InvalidDuplicate(row, error)


def repeated_rows(pairs: Pairs) -> Iterator[Counts] | None:
    """Return positions that contain all repeated pairs, in parts of whole users, if there are any.

    Returns
    -------
    iterator of int64 array, or None
        None if no pair occurs twice.
    """
    buckets = _buckets(pairs)
    first = next(buckets, None)
    return None if first is None else chain([first], buckets)


def _buckets(pairs: Pairs) -> Iterator[Counts]:
    """Yield positions of ratings that contain all repeated pairs, in buckets of whole users.

    All ratings of a user are in one bucket, so each bucket can be searched alone.
    """
    if len(pairs.user) <= MANY:
        if _repeats(pairs.numbers()):
            yield np.arange(len(pairs.user))
        return
    # Imported here because it loads Numba, which takes longer than to sort few ratings.
    from mfcli.data.repeated_pairs import repeating_users

    repeating = repeating_users(pairs)
    if not repeating.any():
        return
    counts = counts_of(pairs.user, pairs.users)
    ends = np.cumsum(np.where(repeating, counts, 0))
    # Buckets of about equal size; ratings of other users are in none.
    bucket = np.where(repeating, (ends - 1) // MANY, -1)
    for number in np.unique(bucket[repeating]):
        yield np.flatnonzero(bucket[pairs.user] == number)


def _repeats(pair: Counts) -> bool:
    """Return whether a value occurs twice; sorting a copy takes less memory than hashing."""
    ordered = np.sort(pair)
    return bool((ordered[1:] == ordered[:-1]).any())


class _Repeated(NamedTuple):
    """Pairs that are rated several times, by the positions of their ratings among all ratings.

    Attributes
    ----------
    first : int
        The first rating that repeats an earlier one.
    removed : int64 array, shape (n,)
        The ratings that are not kept.
    last : int64 array, shape (pairs,)
        The rating of each pair that is kept.
    sums : dict of float64 array, shape (pairs,)
        The sums of the ratings, and of the weights if there are any, of each pair.
    sizes : int64 array, shape (pairs,)
        The number of ratings of each pair.
    conflicts : int
        As in `Merged`.
    """

    first: int
    removed: Counts
    last: Counts
    sums: dict[str, Doubles]
    sizes: Counts
    conflicts: int

    def combined(self, name: str, rule: str) -> Doubles:
        """Return the mean or the sum of a column of each pair."""
        return self.sums[name] / self.sizes if rule == "mean" else self.sums[name]

    def large(self, name: str, rule: str) -> Iterator[tuple[Any, Any]]:
        """Yield the positions and values of the results that do not fit in float32."""
        values = self.combined(name, rule)
        rows = values >= INFINITE
        return zip(self.last[rows], values[rows], strict=True)


def _repeated(everything: Ratings, rows: Counts) -> _Repeated:
    ratings = everything.take(rows)
    pair = pairs_of(ratings).numbers()
    order = np.argsort(pair, kind="stable")  # the ratings of a pair stay in their order
    ordered = pair[order]
    # Equal pairs are neighbors now; each run begins where the pair changes.
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    first = int(order[~begins].min())
    _sort_by_time(ratings, order, begins)
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(order))
    sizes, last = ends - starts, order[ends - 1]
    conflicts = _conflicts(ratings, order, np.repeat(last, sizes))
    several = sizes > 1
    columns = {"rating": ratings.rating, "weight": ratings.weight}
    # The sum of each run of equal pairs
    sums = {
        name: np.add.reduceat(column[order], starts, dtype=np.float64)[several]
        for name, column in columns.items()
        if column is not None
    }
    removed = np.delete(order, ends - 1)
    return _Repeated(
        int(rows[first]), rows[removed], rows[last[several]], sums, sizes[several], conflicts
    )


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


def _repeats_another(ratings: Ratings, row: int) -> InvalidDuplicate:
    user = ratings.users.ids[ratings.user[row]].as_py()
    item = ratings.items.ids[ratings.item[row]].as_py()
    rule = f"user {user!r} has rated item {item!r} before"
    return InvalidDuplicate(row, DataError(rule, remedy=["choose with ", _RULE]))
