"""Ratings in buckets of whole users, so that each bucket can be processed alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data.bucket_files import bucket_numbers
from mfcli.data.rating_tables import PART, POSITION, RatingTable, TableInMemory
from mfcli.data.ratings import Ratings, Source
from mfcli.data.selections import selecting
from mfcli.data.sizes import MANY
from mfcli.data.vocabulary import Vocabulary, counts_of
from mfcli.storage import each, read_ahead, room

_WINDOW = 1 << 20  # rows whose ratings are brought into the order of the files together
_WINDOWS = 4  # times as many rows, if memory allows, since larger pieces are read faster
_ROOM = 64  # bytes for each row of a window
_LEAST = 1 << 12  # values of a bucket that are read together
_READERS = 4  # threads that read: disks are faster if they know what is needed next
_PARTS = 256  # numbers that a part can have

NO_PART = 255
"""The number of ratings that are in no part."""


class Buckets:
    """Ratings in buckets of whole users, each in the order of the files.

    Without a limit on memory there is one bucket, which is in memory.

    Parameters
    ----------
    like : Ratings
        Its vocabularies, feedback, source and types of columns are those of all buckets; it may
        lack ratings. The vocabularies hold all ids that were read and count what is left after
        duplicates were merged.
    tables : sequence of RatingTable
    rows : int
        Number of rows that were read.
    """

    def __init__(self, like: Ratings, tables: Sequence[RatingTable], rows: int) -> None:
        self._like, self._tables, self._rows = like, tables, rows
        # (buckets, 256): how many ratings of each bucket are in each part
        self._sizes = np.zeros((len(tables), _PARTS), np.int64)
        self._sizes[:, 0] = [len(table) for table in tables]

    @classmethod
    def of(cls, ratings: Ratings, count: int = 1) -> Buckets:
        """Make buckets of ratings in memory, without duplicates; positions are their indices."""
        columns = {name: getattr(ratings, name) for name in ratings.types}
        if count == 1:
            return cls(ratings, [TableInMemory(columns)], len(ratings))
        number = bucket_numbers(ratings.user, count)
        tables = []
        for bucket in range(count):
            rows = np.flatnonzero(number == bucket)
            taken = {name: column[rows] for name, column in columns.items()}
            tables.append(TableInMemory(taken | {POSITION: rows.astype(np.uint32)}))
        return cls(ratings.take(slice(0, 0)), tables, len(ratings))

    def of_source(self, source: Source) -> Buckets:
        """Return the same ratings with a description of their source."""
        return Buckets(replace(self._like, source=source), self._tables, self._rows)

    def __len__(self) -> int:
        """Return the number of buckets."""
        return len(self._tables)

    @property
    def users(self) -> Vocabulary:
        """All ids that were read, in the order of first appearance; counts without duplicates."""
        return self._like.users

    @property
    def items(self) -> Vocabulary:
        """As `users`."""
        return self._like.items

    @property
    def feedback(self) -> str:
        """Whether the values are ratings ("explicit"), or strengths of events ("implicit")."""
        return self._like.feedback

    @property
    def source(self) -> Source | None:
        """Where the ratings were read from."""
        return self._like.source

    @property
    def rows(self) -> int:
        """Number of rows that were read, duplicates included; positions are below it."""
        return self._rows

    @property
    def has_all_rows(self) -> bool:
        """Whether each row that was read is a rating, so that no duplicates were merged."""
        return sum(map(len, self._tables)) == self._rows

    @property
    def types(self) -> dict[str, np.dtype[Any]]:
        """The types of the columns that exist, by name."""
        return self._like.types

    def ratings(self, bucket: int) -> Ratings:
        """Return the ratings of a bucket, over the vocabularies of all buckets."""
        table = self._tables[bucket]
        columns: dict[str, Any] = {name: table.column(name) for name in self.types}
        return replace(self._like, **columns)

    def columns(self, bucket: int, *names: str) -> tuple[NDArray[Any], ...]:
        """Return some columns of the ratings of a bucket."""
        return tuple(self._tables[bucket].column(name) for name in names)

    def positions(self, bucket: int) -> NDArray[np.uint32]:
        """Return the row of each rating of a bucket among all rows read, in ascending order."""
        return self._tables[bucket].column(POSITION)

    def parts(self, bucket: int) -> NDArray[np.uint8]:
        """Return the number of the part of each rating of a bucket; all are 0 at first."""
        return self._tables[bucket].column(PART)

    def assign(self, bucket: int, parts: NDArray[np.uint8]) -> None:
        """Replace the parts of the ratings of a bucket.

        Parameters
        ----------
        bucket : int
        parts : uint8 array, shape (n,)
        """
        self._tables[bucket].replace(PART, parts)
        self._sizes[bucket] = counts_of(parts, _PARTS)

    def size(self, part: int) -> int:
        """Return the number of ratings in a part."""
        return int(self._sizes[:, part].sum())

    def pieces(self, name: str, part: int) -> Iterator[NDArray[Any]]:
        """Yield a column of the ratings of a part piece by piece, in the order of the files.

        The memory of a piece may be used again for the next one.
        """
        return (piece for _, piece in self.pieces_of_parts(name, [part]))

    def pieces_of_parts(
        self, name: str, parts: Sequence[int]
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield pieces of a column of several parts as `pieces`, each with the number of the part.

        The buckets are read once, so this is faster than one part after the other.
        """
        # One bucket is in order already. Others are read while earlier pieces are used.
        one, rows = len(self) == 1, self._window()
        windows = self._in_order(name) if one else read_ahead(self._merged(name, rows))
        select, memory = selecting(self.rows), np.empty(rows + 1, self.types[name])
        for values, numbers in windows:
            for part in parts:
                yield part, select(values, numbers == part, memory)

    def _in_order(self, name: str) -> Iterator[tuple[NDArray[Any], NDArray[np.uint8]]]:
        """Yield the values of the only bucket, and the numbers of their parts."""
        table = self._tables[0]
        return zip(table.pieces(name, _WINDOW), table.pieces(PART, _WINDOW), strict=True)

    def _window(self) -> int:
        """Return how many rows are brought into the order of the files together."""
        if self.rows <= MANY or len(self) == 1:
            return _WINDOW
        return min(max(room() // _ROOM, _WINDOW), _WINDOWS * _WINDOW)

    def _merged(self, name: str, window: int) -> Iterator[tuple[NDArray[Any], NDArray[np.uint8]]]:
        """Yield values in the order of the files, and the numbers of their parts."""
        count, place = max(window // len(self), _LEAST), _placing(self.rows)
        columns = [_Column(table, name, count) for table in self._tables]
        for start in range(0, self.rows, window):
            size = min(window, self.rows - start)
            # Rows whose ratings were merged into others are in no part.
            values, numbers = np.empty(size, self.types[name]), np.full(size, NO_PART, np.uint8)
            fill = partial(_fill, columns, place, start, values, numbers)
            each(fill, len(columns), _READERS)
            yield values, numbers


def _fill(
    columns: Sequence[_Column],
    place: Callable[..., None],
    start: int,
    values: NDArray[Any],
    numbers: NDArray[np.uint8],
    bucket: int,
) -> None:
    """Put the values of a bucket, and the numbers of their parts, into a window."""
    for positions, parts, piece in columns[bucket].until(start + len(values)):
        place(positions, start, piece, parts, values, numbers)


class _Column:
    """A column of a bucket with positions and parts, read in the order of the files."""

    def __init__(self, table: RatingTable, name: str, count: int) -> None:
        each = (table.pieces(which, count) for which in (POSITION, PART, name))
        self._pieces = zip(*each, strict=True)
        self._rest: tuple[NDArray[Any], ...] | None = next(self._pieces, None)

    def until(self, end: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """Yield positions, parts and values up to a position."""
        while self._rest is not None:
            cut = int(np.searchsorted(self._rest[0], end))
            if cut < len(self._rest[0]):
                yield tuple(column[:cut] for column in self._rest)
                self._rest = tuple(column[cut:] for column in self._rest)
                return
            yield self._rest
            self._rest = next(self._pieces, None)


def _placing(rows: int) -> Callable[..., None]:
    """Return the function `place`, compiled if there are many rows."""
    if rows <= MANY:
        return _place
    # Imported here because it loads Numba, which takes longer than to place few values.
    from mfcli.data.placement import place

    return place


def _place(
    positions: NDArray[np.uint32],
    start: int,
    values: NDArray[Any],
    parts: NDArray[np.uint8],
    out: NDArray[Any],
    numbers: NDArray[np.uint8],
) -> None:
    """Put values and the numbers of their parts at their positions."""
    at = positions - np.uint32(start)
    out[at], numbers[at] = values, parts
