"""The training ratings sorted by user and by item, and the tasks that work through them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Ratings, counted_values, pairwise_sum
from mfcli.storage import Scratch, each, read_ahead, room
from mfcli.training.normal_equations.rated_pairs import RatedPairs
from mfcli.training.normal_equations.records import (
    Bytes,
    Form,
    Records,
    add_weights,
    count,
    packed,
    roots_of,
)
from mfcli.training.normal_equations.stored_records import InMemory, OnDisk, Stored
from mfcli.training.packing import Codes
from mfcli.types import Counts, Doubles, Floats, Mask, Rows

_TASK = 1 << 15  # cost of one task, in ratings
_RANGE = 1 << 24  # bytes of ratings that are read from disk at a time
_BUFFERS = 8  # of this size must fit: of both sides, in use, ready and being read
_NONE, _NO_CODES = np.empty(0, np.float32), np.empty(0, np.uint32)


class Range(NamedTuple):
    """The ratings of consecutive rows that are in memory at the same time.

    Attributes
    ----------
    bounds : list of int
        First row of each task, and the end of the last one.
    records : Records
    """

    bounds: list[int]
    records: Records

    def each(self, task: Callable[[int, int, Records], None], threads: int) -> None:
        """Call a task with the first row, the end, and the records of each task of these rows."""
        bounds = self.bounds
        each(lambda n: task(bounds[n], bounds[n + 1], self.records), len(bounds) - 1, threads)


@dataclass(frozen=True)
class RatingsByRow:
    """The ratings sorted by the rows of one side.

    Attributes
    ----------
    starts : int64 array, shape (n + 1,)
        Row u has the ratings ``starts[u]`` to ``starts[u + 1] - 1``.
    form : Form
        Of a record.
    stored : Stored
        A record for each rating, with the row of the other side, the rating, and the square root of
        its weight.
    ratings, roots : float32 arrays
        The values of the codes in records, see `Records`.
    sizes : float64 array, shape (n,)
        Number of ratings of each row, each counted by its training weight, but not by the weight
        that depends on its value.
    bounds : list of int
        First row of each task, and the end of the last one.
    ranges : list of int
        First row of each range of rows that is in memory at a time, and the end of the last one;
        bounds of tasks.
    threads : int
        Number of tasks done at the same time; does not change the result.
    """

    starts: Counts
    form: Form
    stored: Stored
    ratings: Floats
    roots: Floats
    sizes: Doubles
    bounds: list[int]
    ranges: list[int]
    threads: int

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def is_weighted(self) -> bool:
        """Whether the ratings have weights."""
        return len(self.roots) > 0 or self.form.root > 0

    @functools.cached_property
    def weight(self) -> float:
        """Sum of the weights of all ratings."""
        if not self.is_weighted:
            return float(len(self))

        def squares(some: slice) -> Doubles:
            return np.square(roots_of(self._records(some.start, some.stop)), dtype=np.float64)

        return pairwise_sum(squares, len(self))

    @functools.cached_property
    def counts(self) -> Counts:
        """Number of ratings of each row."""
        return np.diff(self.starts)

    @functools.cached_property
    def rated(self) -> Mask:
        """Which rows have ratings."""
        return self.counts > 0

    def read_ranges(self) -> Iterator[Range]:
        """Yield the ratings range by range; the next ones are read ahead."""
        reads = (self._range(first, end) for first, end in pairwise(self.ranges))
        yield from read_ahead(reads) if len(self.ranges) > 2 else reads

    def each(self, task: Callable[[int, int, Records], None]) -> None:
        """Call a task with the first row, the end, and the records of each piece of all rows."""
        for some in self.read_ranges():
            some.each(task, self.threads)

    def _range(self, first: int, end: int) -> Range:
        """Read the ratings of the tasks of some rows."""
        low, high = np.searchsorted(self.bounds, [first, end])
        start, stop = int(self.starts[first]), int(self.starts[end])
        return Range(self.bounds[low : high + 1], self._records(start, stop))

    def _records(self, start: int, stop: int) -> Records:
        data = self.stored.read(start, stop)
        return Records(self.starts, start, data, self.form, self.ratings, self.roots)


class BothSides(NamedTuple):
    """The same ratings by user and by item.

    Attributes
    ----------
    users, items : RatingsByRow
    unit : float
        The ratings are divided by it.
    values : tuple of float32 and int64 arrays, optional
        The distinct ratings and how often each occurs; None if there are very many.
    """

    users: RatingsByRow
    items: RatingsByRow
    unit: float
    values: tuple[Floats, Counts] | None


def sort_ratings(
    pairs: RatedPairs,
    k: int,
    threads: int,
    *,
    unit: float = 1.0,
    space: Scratch | None = None,
) -> BothSides:
    """Sort rated pairs by their users, and by their items.

    Parameters
    ----------
    pairs : RatedPairs
    k : int
        Number of factors, on which the cost of a row depends.
    threads : int
        See `RatingsByRow`.
    unit : float
        Divides the ratings.
    space : Scratch, optional
        Holds the result, which is in memory without it.
    """
    values = counted_values(pairs.targets(unit))
    roots = Codes.of(pairs.roots()) if pairs.is_weighted else None
    codes = _Codes(Codes(values[0] if values else None), roots)
    sides = [_Side(pairs, unit, codes, side) for side in range(2)]
    by_row: dict[int, RatingsByRow] = {}

    def sort(side: int) -> None:
        by_row[side] = sides[side].by_row(k, threads, space)

    each(sort, len(sides), threads)
    return BothSides(by_row[0], by_row[1], unit, values)


class _Codes(NamedTuple):
    """The codes of the ratings, and of the roots of their weights, if they have any."""

    ratings: Codes
    roots: Codes | None


class _Side:
    """Rated pairs, to be sorted by one side: users (0) or items (1)."""

    def __init__(self, pairs: RatedPairs, unit: float, codes: _Codes, side: int) -> None:
        self._pairs, self._unit, self._codes, self._side = pairs, unit, codes, side
        counts = len(pairs.train.users), len(pairs.train.items)
        self._rows = counts[side]
        root = codes.roots.size if codes.roots else 0
        self.form = Form.of(counts[1 - side], codes.ratings.size, root)

    def by_row(self, k: int, threads: int, space: Scratch | None) -> RatingsByRow:
        """Sort the pairs, in temporary space if there is one."""
        starts, sizes = self._counts()
        size, ranges = self.form.size, [0, self._rows]
        if space:
            ranges = _range_bounds(starts, max(min(_RANGE, room() // _BUFFERS) // size, 1))
            stored: Stored = OnDisk(self._packed(), starts, size, ranges, space)
        else:
            stored = InMemory(self._packed(), starts, size)
        ratings, roots = self._codes
        return RatingsByRow(
            starts, self.form, stored, ratings.values, roots.values if roots else _NONE, sizes,
            _task_bounds(starts, k, ranges), ranges, threads,
        )  # fmt: skip

    def _counts(self) -> tuple[Counts, Doubles]:
        """Return where the ratings of each row start, and the sum of their weights."""
        starts = np.zeros(self._rows + 1, np.int64)
        sums = np.zeros(self._rows)
        for piece in self._pairs.pieces():
            rows = self._of(piece)[0]
            count(rows, starts[1:])
            if piece.weight is not None:
                add_weights(rows, np.ascontiguousarray(piece.weight), sums)
        sizes = sums if self._pairs.has_weight_column else starts[1:].astype(np.float64)
        np.cumsum(starts, out=starts)
        return starts, sizes

    def _packed(self) -> Iterator[tuple[Rows, Bytes]]:
        for piece in self._pairs.pieces():
            rows, others = self._of(piece)
            targets = self._pairs.target(piece.rating) / np.float32(self._unit)
            roots = self._roots(piece)
            yield rows, packed(others, self._codes.ratings.encode(targets), roots, self.form)

    def _roots(self, piece: Ratings) -> NDArray[np.uint32]:
        weights, codes = self._pairs.weight(piece), self._codes.roots
        return _NO_CODES if weights is None or not codes else codes.encode(np.sqrt(weights))

    def _of(self, piece: Ratings) -> tuple[Rows, Rows]:
        """Return the rows of this side, and those of the other."""
        pair = piece.user, piece.item
        return np.ascontiguousarray(pair[self._side]), np.ascontiguousarray(pair[1 - self._side])


def _range_bounds(starts: Counts, most: int) -> list[int]:
    """Cut the rows into ranges of at most `most` ratings, or of one row."""
    bounds, rows = [0], len(starts) - 1
    while bounds[-1] < rows:
        end = int(np.searchsorted(starts, starts[bounds[-1]] + most, side="right")) - 1
        bounds.append(min(max(end, bounds[-1] + 1), rows))
    return bounds


def _task_bounds(starts: Counts, k: int, ranges: list[int]) -> list[int]:
    """Cut the rows of each range into tasks of about the same cost.

    A rating costs k^2 / 2 operations and a row k^3 / 3, to factor its precision: as much as k
    ratings, roughly.
    """
    counts = np.diff(starts)
    cost = np.cumsum(counts + k)
    # `unique` drops empty tasks: a single row may cost more than several of them.
    marks = np.arange(_TASK, cost[-1], _TASK)
    bounds = np.unique(np.concatenate([ranges, np.searchsorted(cost, marks)]))
    return [int(bound) for bound in bounds]
