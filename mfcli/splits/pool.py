"""The ratings of buckets that are neither held out nor dropped yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data import MANY, NO_PART, Buckets, counts_of
from mfcli.splits.keys import PIECE, keys
from mfcli.splits.ranks import Ranks
from mfcli.types import Counts, Mask

TRAIN, TEST, VALID, DROPPED = 0, 1, 2, NO_PART
"""Numbers of the parts in buckets."""

_SLICE = 1 << 20  # ratings


@dataclass(frozen=True)
class Pool:
    """The ratings of buckets that are in train, from which others are held out.

    Attributes
    ----------
    buckets : Buckets
    seed : int
        Of all random choices.
    """

    buckets: Buckets
    seed: int = 0

    def __len__(self) -> int:
        return self.buckets.size(TRAIN)

    @property
    def is_large(self) -> bool:
        """Whether compiled code is worth the time to load it."""
        return self.buckets.rows > MANY

    def columns(self, bucket: int, *names: str) -> list[NDArray[Any]]:
        """Return columns of the ratings of a bucket that are in the pool."""
        left = self._left(bucket)
        return [column[left] for column in self.buckets.columns(bucket, *names)]

    def keys(self, bucket: int) -> Iterator[NDArray[np.uint64]]:
        """Yield the keys of the ratings of a bucket that are in the pool, piece by piece."""
        rows = self._rows(bucket)
        for n in range(0, len(rows), PIECE):
            yield self.keys_of(rows[n : n + PIECE])

    def _rows(self, bucket: int) -> NDArray[np.uint32]:
        """Return the rows of the ratings of a bucket that are in the pool; filters change none."""
        if len(self.buckets) == 1:  # which is in the order of the files
            rows = np.arange(len(self.buckets.parts(bucket)), dtype=np.uint32)
        elif self.buckets.has_all_rows:
            rows = self.buckets.positions(bucket)
        else:
            rows = self._ranks.of(self.buckets.positions(bucket))
        return rows[self._left(bucket)]

    @cached_property
    def _ranks(self) -> Ranks:
        return Ranks(self.buckets)

    def keys_of(self, rows: NDArray[np.uint32]) -> NDArray[np.uint64]:
        """Return the keys of rows."""
        return keys(self.seed, rows, compiled=self.is_large)

    def all_keys(self) -> Iterator[NDArray[np.uint64]]:
        """Yield the keys of all ratings in the pool, piece by piece, in any order."""
        if len(self) == self.buckets.rows:  # without reading any bucket
            for n in range(0, len(self), PIECE):
                yield self.keys_of(np.arange(n, min(n + PIECE, len(self)), dtype=np.uint32))
            return
        for bucket in range(len(self.buckets)):
            yield from self.keys(bucket)

    def all_pieces(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield a column of all ratings in the pool, in any order."""
        for bucket in range(len(self.buckets)):
            yield from self.columns(bucket, name)

    def slices(self) -> Iterator[tuple[NDArray[np.uint32], dict[str, NDArray[Any]]]]:
        """Yield the rows and the columns of all ratings in the pool, in slices."""
        names = [*self.buckets.types]
        for bucket in range(len(self.buckets)):
            rows = self._rows(bucket)
            columns = self.columns(bucket, *names)
            for n in range(0, len(rows), _SLICE):
                part = (column[n : n + _SLICE] for column in columns)
                yield rows[n : n + _SLICE], dict(zip(names, part, strict=True))

    def counts(self, name: str) -> Counts:
        """Return the number of ratings in the pool of each "user" or "item"."""
        vocabulary = self.buckets.users if name == "user" else self.buckets.items
        counts = np.zeros(len(vocabulary), np.int64)
        for bucket in range(len(self.buckets)):
            counts += self._counts(bucket, name, len(counts))
        return counts

    def _counts(self, bucket: int, name: str, size: int) -> Counts:
        if not self.is_large:
            return counts_of(self.columns(bucket, name)[0], size)
        # Imported here because it loads Numba, which takes longer than to count few ratings.
        from mfcli.data import selected_counts

        (rows,) = self.buckets.columns(bucket, name)
        return selected_counts(rows, self.buckets.parts(bucket) == TRAIN, size)

    def assign(self, bucket: int, mask: Mask, part: int) -> None:
        """Move some ratings of a bucket from the pool to a part.

        Parameters
        ----------
        bucket : int
        mask : bool array
            Of the ratings of the bucket that are in the pool.
        part : int
        """
        parts = self.buckets.parts(bucket).copy()
        parts[self._left(bucket)] = mask * np.uint8(part)
        self.buckets.assign(bucket, parts)

    def _left(self, bucket: int) -> Mask | slice:
        left = self.buckets.parts(bucket) == TRAIN
        return slice(None) if left.all() else left  # a slice copies nothing
