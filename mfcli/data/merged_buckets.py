"""Buckets of the ratings that were read: times become seconds, and duplicates are merged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.data.buckets import Buckets
from mfcli.data.duplicates import InvalidDuplicate, merged_pairs, repeated_rows
from mfcli.data.pairs import Pairs
from mfcli.data.rating_pieces import Collected
from mfcli.data.rating_tables import POSITION, RatingTable
from mfcli.data.ratings import Ratings
from mfcli.data.sizes import ratings_within
from mfcli.data.vocabulary import Vocabulary, counts_of
from mfcli.storage import room, trim_memory
from mfcli.types import Counts, Progress, Rows

_LEAST = 1 << 16  # ratings of a bucket that is not divided, since that would not save memory


class MergedBuckets(NamedTuple):
    """Ratings without duplicates, and the numbers in `Source`."""

    buckets: Buckets
    duplicates: int
    conflicts: int


def merged_buckets(
    collected: Collected,
    rule: str,
    feedback: str,
    place: Callable[[int], str],
    on_progress: Progress = lambda done, total: None,
) -> MergedBuckets:
    """Merge the ratings of the same user and item, bucket by bucket.

    Parameters
    ----------
    collected : Collected
        Its tables are changed.
    rule : {"keep-last", "mean", "sum", "error"}
        As in `merge_duplicates`.
    feedback : {"explicit", "implicit"}
    place : callable
        As in `merge_duplicates`.
    on_progress : callable
        Called with the number of ratings merged and of all ratings.

    Raises
    ------
    DataError
        For the first rating in the files that breaks a rule.
    """
    merging = _Merging(collected, rule, feedback)
    tables: list[RatingTable] = []
    done = 0
    for table in collected.tables:
        trim_memory()
        most = max(ratings_within(room()), _LEAST)
        for part in table.divided(most, len(collected.users)):
            done += len(part)
            merging.merge(part)
            tables.append(part)
            on_progress(done, collected.rows)
    if merging.invalid:
        raise merging.invalid.error_at(place(merging.invalid.row))
    empty = {name: np.empty(0, kind) for name, kind in tables[0].types.items()}
    buckets = Buckets(merging.over(empty), tables, collected.rows)
    return MergedBuckets(buckets, merging.duplicates, merging.conflicts)


class _Merging:
    """Merges the ratings of one table after the other, and counts what is left."""

    def __init__(self, collected: Collected, rule: str, feedback: str) -> None:
        self._times, self._rule, self._feedback = collected.times, rule, feedback
        self._users, self._items = (
            Vocabulary(ids, np.zeros(len(ids), np.int64))
            for ids in (collected.users, collected.items)
        )
        self.duplicates = self.conflicts = 0
        self.invalid: InvalidDuplicate | None = None

    def merge(self, table: RatingTable) -> None:
        self._to_seconds(table)
        user, item = table.column("user"), table.column("item")
        # Most buckets have no duplicates, and then the other columns are not read.
        rows = repeated_rows(Pairs(user, item, len(self._users), len(self._items)))
        if rows is not None:
            merged = self._merged(table, rows)
            if merged is None:
                return
            user, item = merged.user, merged.item
        _count(self._users, user)
        _count(self._items, item)

    def _merged(self, table: RatingTable, rows: Iterator[Counts]) -> Ratings | None:
        """Merge the ratings of a table; None if some break a rule."""
        ratings = self.over({name: table.column(name) for name in table.types})
        try:
            merged = merged_pairs(ratings, rows, self._rule)
        except InvalidDuplicate as invalid:
            # The first one in the files counts, whatever its bucket.
            row = int(table.column(POSITION)[invalid.row])
            if self.invalid is None or row < self.invalid.row:
                self.invalid = InvalidDuplicate(row, invalid.error)
            return None
        table.replace(POSITION, table.column(POSITION)[merged.kept])
        for name in table.types:
            table.replace(name, getattr(merged.ratings, name))
        self.duplicates += merged.duplicates
        self.conflicts += merged.conflicts
        return merged.ratings

    def _to_seconds(self, table: RatingTable) -> None:
        if "timestamp" in table.types and self._times.is_needed:
            times = self._times.seconds(table.column("timestamp"), table.column(POSITION))
            table.replace("timestamp", times)

    def over(self, columns: dict[str, NDArray[Any]]) -> Ratings:
        """Return columns as ratings."""
        return Ratings(
            columns["user"],
            columns["item"],
            columns["rating"],
            columns.get("timestamp"),
            self._users,
            self._items,
            weight=columns.get("weight"),
            feedback=self._feedback,
        )


def _count(vocabulary: Vocabulary, rows: Rows) -> None:
    counts = counts_of(rows, len(vocabulary))
    np.add(vocabulary.counts, counts, out=vocabulary.counts)
