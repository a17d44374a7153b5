"""Ratings in random order, whose columns are made piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Vocabulary
from mfcli.splits.numbering import Numbering
from mfcli.splits.partition import Partition
from mfcli.splits.pool import Pool
from mfcli.storage import room, space
from mfcli.types import Progress

_SORTED = 1 << 20  # ratings that are sorted together
_NEED = 48  # bytes per rating while they are sorted
_POSITION = np.dtype(np.uint32)


@dataclass(frozen=True)
class Shuffle:
    """The ratings of a pool in the order of their keys, before they are brought into it.

    Attributes
    ----------
    pool : Pool
    numberings : mapping of Numbering
        The rows of the split for "user" and "item".
    users, items : Vocabulary
        Of the split.
    """

    pool: Pool
    numberings: Mapping[str, Numbering]
    users: Vocabulary
    items: Vocabulary

    @contextmanager
    def ordered(self, on_sorted: Progress = lambda done, total: None) -> Iterator[Shuffled]:
        """Yield the ratings in order; those that do not fit in memory are on disk meanwhile.

        Parameters
        ----------
        on_sorted : callable, optional
            Called with the number of ranges of keys that are sorted, and of all.
        """
        total, types = len(self.pool), self.pool.buckets.types
        size = _POSITION.itemsize + sum(kind.itemsize for kind in types.values())
        bits = (total // min(_SORTED, room() // _NEED + 1)).bit_length()
        with space(total * size, "shuffling ratings") as made:
            ranges = Partition(made, 1 << bits)
            self._divide(ranges)
            self._sort(ranges, on_sorted)
            yield Shuffled(self, ranges)

    def _divide(self, ranges: Partition) -> None:
        """Divide the ratings into ranges of keys."""
        for rows, columns in self.pool.slices():
            ranges.add(_high_bits(self.pool.keys_of(rows), ranges.bits), {"row": rows, **columns})

    def _sort(self, ranges: Partition, on_sorted: Progress) -> None:
        """Sort each range by its keys."""
        for number in range(ranges.count):
            rows = ranges.read("row", number, _POSITION)
            order = _order(self.pool.keys_of(rows), ranges.bits)
            for name, kind in self.pool.buckets.types.items():
                ranges.replace(name, number, ranges.read(name, number, kind)[order])
            on_sorted(number + 1, ranges.count)


@dataclass(frozen=True)
class Shuffled:
    """Ratings in the order of their keys.

    Attributes
    ----------
    shuffle : Shuffle
    ranges : Partition
        Columns in sorted ranges of keys.
    """

    shuffle: Shuffle
    ranges: Partition

    def __len__(self) -> int:
        return len(self.shuffle.pool)

    @property
    def users(self) -> Vocabulary:
        return self.shuffle.users

    @property
    def items(self) -> Vocabulary:
        return self.shuffle.items

    @property
    def types(self) -> dict[str, np.dtype[Any]]:
        """As in `Ratings`."""
        return self.shuffle.pool.buckets.types

    def pieces(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield a column piece by piece."""
        ranges, kind = range(self.ranges.count), self.types[name]
        pieces = (self.ranges.read(name, number, kind) for number in ranges)
        numberings = self.shuffle.numberings
        return map(numberings[name].of_split, pieces) if name in numberings else pieces


def _order(keys: NDArray[np.uint64], common: int) -> NDArray[Any]:
    """Return the positions of distinct keys in ascending order, given keys whose first bits agree.

    NumPy sorts numbers several times as fast as their positions. So positions take the place of the
    last bits of the keys; in the rare case that some of the other bits are equal, it sorts the
    positions after all.
    """
    low = np.uint64(len(keys).bit_length())
    packed = (keys << np.uint64(common)) >> low << low
    packed |= np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    if (packed[1:] >> low == packed[:-1] >> low).any():
        return np.argsort(keys)
    packed &= (np.uint64(1) << low) - np.uint64(1)
    return packed.view(np.int64)


def _high_bits(keys: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    """Return the highest bits of keys: 0 to 63 of them."""
    return (keys >> np.uint64(1)) >> np.uint64(63 - bits)
