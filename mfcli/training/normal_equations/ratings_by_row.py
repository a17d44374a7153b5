"""The training ratings sorted by user and by item, and the tasks that work through them.

A worker of a cluster sorts the ratings of a range of users or items, whose rows it computes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.data import counted_values, pairwise_sum
from mfcli.storage import Scratch, each, read_ahead, room
from mfcli.training.normal_equations.rated_pairs import PairPiece, RatedPairs
from mfcli.training.normal_equations.rated_rows import Arrays, Packed, RatedRows, RowStep, RowTask
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
    """The ratings sorted by the rows of one side, or of a range of them.

    Attributes
    ----------
    starts : int64 array, shape (n + 1,)
        Row u has the ratings ``starts[u]`` to ``starts[u + 1] - 1``.
    origin : int
        Row 0 here is this row of the side.
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
    origin: int
    form: Form
    stored: Stored
    ratings: Floats
    roots: Floats
    sizes: Doubles
    bounds: list[int]
    ranges: list[int]
    threads: int

    def __len__(self) -> int:
        return int(self.starts[-1] - self.starts[0])

    @property
    def is_weighted(self) -> bool:
        """Whether the ratings have weights."""
        return len(self.roots) > 0 or self.form.root > 0

    @functools.cached_property
    def weight(self) -> float:
        """Sum of the weights of all ratings."""
        if not self.is_weighted:
            return float(len(self))
        return pairwise_sum(lambda some: self.weights(some.start, some.stop), len(self))

    def weights(self, start: int, stop: int) -> Doubles:
        """Return the weights of the ratings `start` to ``stop - 1``, which have weights."""
        return np.square(roots_of(self._records(start, stop)), dtype=np.float64)

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

    def compute(
        self, step: RowStep, other: Packed, shared: Arrays, given: Arrays, found: Arrays
    ) -> None:
        """Compute all rows; see `RatedRows`."""
        for some in self.read_ranges():
            some.each(
                lambda first, last, records: step(
                    RowTask(first, last, self.origin, records), other, shared, given, found
                ),
                self.threads,
            )

    def between(self, first: int, end: int) -> RatingsByRow:
        """Return the ratings of the rows `first` to ``end - 1``, which are ranges as a whole."""
        bounds, ranges = (
            [row - first for row in rows if first <= row <= end]
            for rows in (self.bounds, self.ranges)
        )
        starts, sizes = self.starts[first : end + 1], self.sizes[first:end]
        return replace(
            self, starts=starts, sizes=sizes, origin=self.origin + first, bounds=bounds,
            ranges=ranges,
        )  # fmt: skip

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
    users, items : RatedRows
    unit : float
        The ratings are divided by it.
    values : tuple of float32 and int64 arrays, optional
        The distinct ratings and how often each occurs; None if there are very many.
    here : tuple of RatingsByRow, optional
        By user and by item in this process; None if only the workers of a cluster have them.
    """

    users: RatedRows
    items: RatedRows
    unit: float
    values: tuple[Floats, Counts] | None
    here: tuple[RatingsByRow, RatingsByRow] | None


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
    codes = _Codes.of(pairs, values)
    shape = len(pairs.train.users), len(pairs.train.items)
    sides = [_Side(pairs, unit, codes, side, [0, rows]) for side, rows in enumerate(shape)]
    by_row: dict[int, RatingsByRow] = {}

    def sort(side: int) -> None:
        by_row[side] = sides[side].by_row(k, threads, space)

    each(sort, len(sides), threads)
    here = by_row[0], by_row[1]
    return BothSides(*here, unit, values, here)


def sort_rows(
    pairs: RatedPairs,
    side: int,
    cuts: Sequence[int],
    k: int,
    threads: int,
    *,
    unit: float = 1.0,
    space: Scratch | None = None,
) -> RatingsByRow:
    """Sort the rated pairs of consecutive users (side 0) or items (1); see `sort_ratings`.

    Parameters
    ----------
    pairs : RatedPairs
        All pairs of these rows, and no others.
    side : int
    cuts : sequence of int
        The first row, those where ranges of rows begin that are computed apart, and the end.
    k, threads, unit, space
        As for `sort_ratings`.
    """
    codes = _Codes.of(pairs, counted_values(pairs.targets(unit)))
    return _Side(pairs, unit, codes, side, cuts).by_row(k, threads, space)


class _Codes(NamedTuple):
    """The codes of the ratings, and of the roots of their weights, if they have any."""

    ratings: Codes
    roots: Codes | None

    @classmethod
    def of(cls, pairs: RatedPairs, values: tuple[Floats, Counts] | None) -> _Codes:
        """Return the codes of pairs, given the distinct ratings."""
        roots = Codes.of(pairs.roots()) if pairs.is_weighted else None
        return cls(Codes(values[0] if values else None), roots)


class _Side:
    """Rated pairs, to be sorted by consecutive rows of one side: users (0) or items (1)."""

    def __init__(
        self, pairs: RatedPairs, unit: float, codes: _Codes, side: int, cuts: Sequence[int]
    ) -> None:
        self._pairs, self._unit, self._codes, self._side = pairs, unit, codes, side
        counts = len(pairs.train.users), len(pairs.train.items)
        self._origin = cuts[0]
        self._cuts = [cut - cuts[0] for cut in cuts]
        self._rows = self._cuts[-1]
        root = codes.roots.size if codes.roots else 0
        self.form = Form.of(counts[1 - side], codes.ratings.size, root)

    def by_row(self, k: int, threads: int, space: Scratch | None) -> RatingsByRow:
        """Sort the pairs, in temporary space if there is one."""
        starts, sizes = self._counts()
        size, ranges = self.form.size, self._cuts
        if space:
            most = max(min(_RANGE, room() // _BUFFERS) // size, 1)
            ranges = sorted({*ranges, *_range_bounds(starts, most)})
            stored: Stored = OnDisk(self._packed(), starts, size, ranges, space)
        else:
            stored = InMemory(self._packed(), starts, size)
        ratings, roots = self._codes
        return RatingsByRow(
            starts, self._origin, self.form, stored, ratings.values,
            roots.values if roots else _NONE, sizes, _task_bounds(starts, k, ranges), ranges,
            threads,
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

    def _roots(self, piece: PairPiece) -> NDArray[np.uint32]:
        weights, codes = self._pairs.weight(piece), self._codes.roots
        return _NO_CODES if weights is None or not codes else codes.encode(np.sqrt(weights))

    def _of(self, piece: PairPiece) -> tuple[Rows, Rows]:
        """Return the rows of this side, from the first one on, and those of the other."""
        pair = piece.user, piece.item
        rows = pair[self._side] - np.int32(self._origin) if self._origin else pair[self._side]
        return np.ascontiguousarray(rows), np.ascontiguousarray(pair[1 - self._side])


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
