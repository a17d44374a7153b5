"""Records sorted by their rows, in memory or on disk: a counting sort.

On disk, the rows are divided into ranges whose ratings fit in memory. A first pass appends each
record, and its row, to the space of its range. Then each range is sorted in memory and written over
its unsorted records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Protocol, TypeAlias

import numpy as np

from mfcli.storage import Scratch
from mfcli.training.normal_equations.records import Bytes, empty_records, place, place_rows
from mfcli.training.number_widths import ROW
from mfcli.training.packing import PADDING
from mfcli.types import Counts, Rows

_PIECE = 1 << 20  # ratings of a range that are read at a time

Pieces: TypeAlias = Iterable[tuple[Rows, Bytes]]
"""Row numbers and records of some ratings at a time."""


class Stored(Protocol):
    """Sorted records."""

    def read(self, start: int, stop: int) -> Bytes:
        """Return the records of the ratings `start` to ``stop - 1``."""


class InMemory:
    """Records in memory, sorted by row.

    Parameters
    ----------
    pieces : Pieces
    starts : int64 array, shape (n + 1,)
        Where the ratings of each row begin.
    size : int
        Bytes of a record.
    """

    def __init__(self, pieces: Pieces, starts: Counts, size: int) -> None:
        self._size = size
        self._data = _sorted(pieces, starts, 0, len(starts) - 1, size)

    def read(self, start: int, stop: int) -> Bytes:
        return self._data[start * self._size : stop * self._size + PADDING]


class OnDisk:
    """Records on disk, sorted by row.

    Parameters
    ----------
    pieces : Pieces
    starts : int64 array, shape (n + 1,)
    size : int
    ranges : sequence of int
        First row of each range that is sorted in memory, and the end of the last one.
    space : Scratch
        ``size + ROW`` bytes a rating are used.
    """

    def __init__(
        self, pieces: Pieces, starts: Counts, size: int, ranges: list[int], space: Scratch
    ) -> None:
        self._size, self._space = size, space
        self._offset = space.reserve(int(starts[-1]) * size)
        rows_at = space.reserve(int(starts[-1]) * ROW)
        self._partition(pieces, starts, ranges, rows_at)
        for first, end in pairwise(ranges):
            unsorted = self._unsorted(int(starts[first]), int(starts[end]), rows_at)
            data = _sorted(unsorted, starts, first, end, size)
            if len(data) > PADDING:  # else none of these rows has ratings
                space.write(self._offset + int(starts[first]) * size, data[:-PADDING])

    def read(self, start: int, stop: int) -> Bytes:
        data = empty_records(stop - start, self._size)
        if start < stop:
            self._space.read(self._offset + start * self._size, data[:-PADDING])
        return data

    def _partition(self, pieces: Pieces, starts: Counts, ranges: list[int], rows_at: int) -> None:
        """Write the records and the rows of each range, in the order of the pieces."""
        sizes = np.diff(ranges)
        range_of = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        ends = starts[ranges[:-1]].copy()  # of what is written of each range
        for rows, records in pieces:
            keys = range_of[rows]
            counts = np.bincount(keys, minlength=len(sizes))
            bounds = np.concatenate([[0], np.cumsum(counts)])
            own_rows, own = np.empty_like(rows), empty_records(len(rows), self._size)
            place_rows(keys, rows, bounds[:-1].copy(), own_rows)
            place(keys, records, self._size, bounds[:-1].copy(), 0, own)
            for n in np.flatnonzero(counts).tolist():
                start, stop, end = int(bounds[n]), int(bounds[n + 1]), int(ends[n])
                self._space.write(rows_at + end * ROW, own_rows[start:stop])
                some = own[start * self._size : stop * self._size]
                self._space.write(self._offset + end * self._size, some)
            ends += counts

    def _unsorted(self, start: int, stop: int, rows_at: int) -> Iterator[tuple[Rows, Bytes]]:
        for first in range(start, stop, _PIECE):
            last = min(first + _PIECE, stop)
            rows = np.empty(last - first, np.int32)
            self._space.read(rows_at + first * ROW, rows)
            yield rows, self.read(first, last)


def _sorted(pieces: Pieces, starts: Counts, first: int, end: int, size: int) -> Bytes:
    """Return the records of the rows `first` to ``end - 1``, sorted by row."""
    data = empty_records(int(starts[end] - starts[first]), size)
    places = starts[:-1].copy()
    for rows, records in pieces:
        place(rows, records, size, places, starts[first], data)
    return data
