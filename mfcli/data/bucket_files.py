"""Buckets of ratings in temporary space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data.rating_tables import PART, POSITION, TYPES, RatingTable
from mfcli.storage import Segments, check_memory
from mfcli.types import Rows

_DIVIDED = 1 << 18  # ratings that are in memory while a bucket is divided
_MOST = 1 << 9  # buckets that are written at a time, so that what is written at once is not small


class BucketFiles:
    """Writes ratings to buckets of whole users.

    Parameters
    ----------
    segments : Segments
    count : int
        Number of buckets; 512 if it is larger.
    step : int
        The rows of all users are equal modulo this number, as in a bucket that is divided again.
    """

    def __init__(self, segments: Segments, count: int, step: int = 1) -> None:
        self._segments, self._count, self._step = segments, min(count, _MOST), step
        self._types: dict[str, np.dtype[Any]] = {}

    def append(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Append ratings with their positions, which follow those before."""
        self._types = {name: column.dtype for name, column in columns.items()}
        number = bucket_numbers(columns["user"], self._count, self._step)
        self._segments.distribute(number, columns, lambda name, bucket: (self, bucket, name))

    def tables(self) -> list[TableOnDisk]:
        """Return the buckets that have ratings."""
        step = self._step * self._count
        keys = [(self, bucket) for bucket in range(self._count)]
        tables = [TableOnDisk(self._segments, key, self._types, step) for key in keys]
        return [table for table in tables if len(table)]


class TableOnDisk:
    """The columns of a bucket in temporary space.

    Parameters
    ----------
    segments : Segments
    key : tuple
        Of its columns; their names follow.
    types : mapping of NumPy type
        Of the columns, by name.
    step : int
        The rows of all its users are equal modulo this number.
    """

    def __init__(
        self,
        segments: Segments,
        key: tuple[Any, ...],
        types: Mapping[str, np.dtype[Any]],
        step: int,
    ) -> None:
        self._segments, self._key, self._step = segments, key, step
        self.types = {name: kind for name, kind in types.items() if name != POSITION}

    def __len__(self) -> int:
        return self._segments.length((*self._key, POSITION)) // TYPES[POSITION].itemsize

    def column(self, name: str) -> NDArray[Any]:
        if self._is_missing(name):
            return np.zeros(len(self), TYPES[PART])
        return self._segments.read((*self._key, name), self._type(name))

    def pieces(self, name: str, count: int) -> Iterator[NDArray[Any]]:
        if not self._is_missing(name):
            return self._segments.pieces((*self._key, name), self._type(name), count)
        sizes = (min(count, len(self) - start) for start in range(0, len(self), count))
        return (np.zeros(size, TYPES[PART]) for size in sizes)

    def replace(self, name: str, values: NDArray[Any]) -> None:
        self._segments.replace((*self._key, name), values)

    def divided(self, most: int, users: int) -> Iterator[RatingTable]:
        if len(self) <= most:
            yield self
        elif self._step >= users:
            # Of one user, whose ratings cannot be divided
            need = len(self) * sum(kind.itemsize for kind in self.types.values())
            check_memory(need, f"{len(self):,} ratings of one user", "merge or remove them")
            yield self
        else:
            for part in self._parts(-(-2 * len(self) // max(most, 1))):
                yield from part.divided(most, users)

    def _parts(self, count: int) -> list[TableOnDisk]:
        files = BucketFiles(self._segments, count, self._step)
        names = (*self.types, POSITION)
        for columns in zip(*(self.pieces(name, _DIVIDED) for name in names), strict=True):
            files.append(dict(zip(names, columns, strict=True)))
        for name in names:
            self._segments.drop((*self._key, name))
        return files.tables()

    def _is_missing(self, name: str) -> bool:
        return name == PART and not self._segments.length((*self._key, PART))

    def _type(self, name: str) -> np.dtype[Any]:
        return TYPES[name] if name in TYPES else self.types[name]


def bucket_numbers(user: Rows, count: int, step: int = 1) -> Rows:
    """Return the bucket of each rating, given the row of its user.

    Rows are numbers in the order of first appearance, so that they are spread evenly.
    """
    rows = user if step == 1 else user // np.int32(step)
    return rows % np.int32(count)
