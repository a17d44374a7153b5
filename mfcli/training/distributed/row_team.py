"""Gibbs sampling and als on a cluster: rows are computed where their ratings are.

Each worker has the ratings of consecutive users, and those of consecutive items. In a half-step,
all workers receive the rows of the other side, compute their own, and the driver gathers them. A
row is a function of its ratings and of what was sent, so it has the same bits on any worker: if
one is lost, another loads its ratings and computes the rows that are missing.

The engines stay on the driver. The effects of `prior implicit` are drawn one after another, each
given those before, so the driver sorts the ratings too and draws them itself.
"""

from __future__ import annotations

import functools
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mfcli.clusters import OBJECT, WorkerLostError
from mfcli.data import pairwise_sum
from mfcli.errors import ClusterError
from mfcli.training.distributed.exchange import distribute, share
from mfcli.training.distributed.parts import Limits
from mfcli.training.distributed.row_worker import OTHER, SIDES, Computed, Job, RowWorker
from mfcli.training.distributed.sources import Source
from mfcli.training.normal_equations.rated_rows import Arrays, Packed, RowStep
from mfcli.types import Counts, Doubles, Mask

if TYPE_CHECKING:
    from mfcli.clusters import Cluster, Reference

Result = TypeVar("Result")

_PIECES = 4  # of a worker: rows are gathered while others are computed
_LEAST = 1 << 10  # rows of a piece; a call takes about a millisecond
_AHEAD = 3  # calls of a worker at a time, so that the store holds few results
_COMPUTE = "compute"  # lane


class Piece(NamedTuple):
    """Rows that a worker computes in one call: `first` to ``end - 1`` of their side."""

    worker: int
    first: int
    end: int

    @property
    def rows(self) -> slice:
        return slice(self.first, self.end)


class RowTeam:
    """The workers of a training, which hold the ratings by user and by item.

    Parameters
    ----------
    cluster : Cluster
    source : Source
        Of the training ratings.
    counts : tuple of int64 arrays
        Number of ratings of each user, and of each item.
    job : Job
    width : int
        Of a row.
    """

    def __init__(
        self,
        cluster: Cluster,
        source: Source,
        counts: tuple[Counts, Counts],
        job: Job,
        width: int,
    ) -> None:
        self._cluster, self._source = cluster, source
        k, threads = job.config.k, cluster.threads
        self._counts = dict(zip(SIDES, counts, strict=True))
        self._bounds = {side: row_bounds(n, k, threads) for side, n in self._counts.items()}
        self._pieces = {side: pieces_of(b, 8 * width + 16) for side, b in self._bounds.items()}
        limits = Limits.of_driver(-(-len(cluster) // max(len(cluster.nodes), 1)))
        self._workers = cluster.start(RowWorker, limits, job)
        weakref.finalize(self, self._workers.close).atexit = False
        self._received = set[int]()  # workers that have the other side's rows of a half-step
        self._losses = 0  # of objects, while all workers run
        self._load_all(range(len(cluster)))

    def compute(
        self,
        side: str,
        step: RowStep,
        other: Packed,
        shared: Arrays,
        given: Arrays,
        found: Arrays,
        rated: Mask,
    ) -> None:
        """Compute all rows of a side that have ratings; see `RatedRows.compute`.

        Raises
        ------
        ClusterError
            If workers are lost too often.
        """
        missing = [*self._pieces[side]]
        seconds: defaultdict[int, float] = defaultdict(float)
        self._received.clear()

        def work() -> None:
            self._send(other, {piece.worker for piece in missing})
            for piece, computed in self._computed(missing, side, step, shared, given, found):
                _store(computed.found, found, piece.rows, rated)
                seconds[piece.worker] += computed.seconds
                missing.remove(piece)

        self._surely(work)
        self._cluster.computing += max(seconds.values(), default=0.0)

    def _send(self, other: Packed, workers: set[int]) -> None:
        """Send the rows of the other side to the workers that do not have them."""
        wanted = workers - self._received
        for name, array in zip(OTHER, other, strict=True):
            share(self._cluster, self._workers, name, array, wanted)
        self._received |= wanted

    def _computed(
        self,
        pieces: Iterable[Piece],
        side: str,
        step: RowStep,
        shared: Arrays,
        given: Arrays,
        found: Arrays,
    ) -> Iterator[tuple[Piece, Computed]]:
        common = self._cluster.put(shared)

        def call(piece: Piece) -> Reference:
            some = tuple(_part(array, piece.rows) for array in given)
            shapes = [(_part(array, piece.rows).shape, array.dtype) for array in found]
            return self._workers.call(
                piece.worker, "compute", side, piece.first, piece.end, step, common, some, shapes,
                lane=_COMPUTE,
            )  # fmt: skip

        yield from self._in_turn([*pieces], call)

    def _in_turn(
        self, pieces: Iterable[Piece], call: Callable[[Piece], Reference]
    ) -> Iterator[tuple[Piece, Any]]:
        """Make a call for each piece, few of each worker at a time, and yield the results."""
        waiting: dict[int, deque[Piece]] = defaultdict(deque)
        for piece in pieces:
            waiting[piece.worker].append(piece)
        running: deque[tuple[Piece, Reference]] = deque()

        def begin(worker: int) -> None:
            if waiting[worker]:
                piece = waiting[worker].popleft()
                running.append((piece, call(piece)))

        for _ in range(_AHEAD):
            for worker in [*waiting]:
                begin(worker)
        while running:
            piece, reference = running.popleft()
            result = self._workers.get(reference)
            del reference  # else its object stays in the store
            begin(piece.worker)
            yield piece, result

    def sizes(self, side: str) -> Doubles:
        """Return the `RatedRows.sizes` of a side; checks what the workers have."""
        return self._surely(lambda: self._read_sizes(side, self._pieces[side]))

    def _read_sizes(self, side: str, pieces: Iterable[Piece]) -> Doubles:
        out, counts = np.zeros(len(self._counts[side])), self._counts[side]

        def call(piece: Piece) -> Reference:
            given = side, piece.first, piece.end, counts[piece.rows]
            return self._workers.call(piece.worker, "sizes", *given, lane=_COMPUTE)

        for piece, sizes in self._in_turn(pieces, call):
            out[piece.rows] = sizes
        return out

    def weight(self, side: str) -> float:
        """Return the sum of the weights of all ratings, with the bits of `RatingsByRow.weight`."""
        size, slices = int(self._counts[side].sum()), list[slice]()

        def listed(some: slice) -> Doubles:
            slices.append(some)
            return np.zeros(1)

        pairwise_sum(listed, size)
        sums = self._surely(lambda: self._weight_sums(side, slices))
        return pairwise_sum(lambda some: np.array([sums[some.start]]), size)

    def _weight_sums(self, side: str, slices: list[slice]) -> dict[int, float]:
        """Return the sums of the weights of some ratings in the order of rows, by their start."""
        ends = np.append(0, np.cumsum(self._counts[side]))[self._bounds[side]]
        sums, own = dict[int, float](), defaultdict[int, list[slice]](list)
        for some in slices:
            first = int(np.searchsorted(ends, some.start, "right")) - 1
            if some.stop <= ends[first + 1]:
                own[first].append(some)
            else:  # of several workers, and added up as if they were of one
                sums[some.start] = float(np.concatenate([*self._weights(side, some, ends)]).sum())
        for worker, parts in own.items():
            given = [_moved(some, int(ends[worker])) for some in parts]
            found = self._workers.get(self._workers.call(worker, "weight_sums", side, given))
            sums |= {some.start: one for some, one in zip(parts, found, strict=True)}
        return sums

    def _weights(self, side: str, some: slice, ends: Counts) -> Iterator[Doubles]:
        for worker, (start, stop) in enumerate(pairwise(ends.tolist())):
            part = slice(max(some.start, start), min(some.stop, stop))
            if part.start < part.stop:
                call = self._workers.call(worker, "weights", side, _moved(part, start))
                yield self._workers.get(call)

    def _surely(self, work: Callable[[], Result]) -> Result:
        """Do some work, again with new workers if some are lost."""
        while True:
            try:
                return work()
            except WorkerLostError as lost:
                self._load_all(self._replaced(lost))

    def _load_all(self, workers: Iterable[int]) -> None:
        """Load the ratings of workers, and of those that are lost in the meantime."""
        needed = {*workers}
        while needed:
            try:
                self._load(needed)
                return
            except WorkerLostError as lost:
                needed |= self._replaced(lost)

    def _replaced(self, lost: WorkerLostError) -> set[int]:
        """Replace the workers that are lost, and return their numbers."""
        if lost.workers:
            self._workers.replace(lost.workers)
            self._received -= {*lost.workers}
        elif self._losses == self._cluster.retries:
            rule = f"objects of the store were lost again after {self._losses} retries: {lost}"
            raise ClusterError(rule, remedy="see the logs of Ray; resume when it is repaired")
        else:
            self._losses += 1
        return {*lost.workers}

    def _load(self, workers: set[int]) -> None:
        sorting: list[Reference] = []
        for side in SIDES:
            bounds = self._bounds[side]
            owners = np.repeat(np.arange(len(bounds) - 1, dtype=np.uint16), np.diff(bounds))
            distribute(self._cluster, self._workers, side, self._source, owners, side, workers)
            cuts = defaultdict[int, list[int]](list)
            for piece in self._pieces[side]:
                cuts[piece.worker] = [*(cuts[piece.worker] or [piece.first]), piece.end]
            # One side is sorted while the other one is sent.
            sorting += [
                self._workers.call(worker, "sort", side, rows, lane=_COMPUTE)
                for worker, rows in cuts.items()
                if worker in workers
            ]
        self._workers.get(sorting)
        for side in SIDES:
            self._read_sizes(side, [one for one in self._pieces[side] if one.worker in workers])


class TeamRows:
    """The rows of one side, which the workers of a team compute: `RatedRows`.

    Parameters
    ----------
    team : RowTeam
    side : {"user", "item"}
    counts : int64 array, shape (n,)
    threads : int
        As in `RatedRows`.
    is_weighted : bool
        As in `RatedRows`.
    has_weight_column : bool
        Whether the ratings have weights of their own.
    """

    def __init__(
        self,
        team: RowTeam,
        side: str,
        counts: Counts,
        threads: int,
        *,
        is_weighted: bool,
        has_weight_column: bool,
    ) -> None:
        self.team, self._side, self.counts, self.threads = team, side, counts, threads
        self.is_weighted, self.rated = is_weighted, counts > 0
        self.sizes = team.sizes(side) if has_weight_column else counts.astype(np.float64)

    def __len__(self) -> int:
        return int(self.counts.sum())

    @functools.cached_property
    def weight(self) -> float:
        """Sum of the weights of all ratings."""
        return self.team.weight(self._side) if self.is_weighted else float(len(self))

    def compute(
        self, step: RowStep, other: Packed, shared: Arrays, given: Arrays, found: Arrays
    ) -> None:
        """Compute all rows; see `RatedRows`."""
        self.team.compute(self._side, step, other, shared, given, found, self.rated)


def row_bounds(counts: Counts, k: int, threads: tuple[int, ...]) -> list[int]:
    """Divide rows into consecutive ranges whose costs are in proportion to threads.

    As for the tasks of `RatingsByRow`, a row costs as much as k ratings.

    Returns
    -------
    list of int
        The first row of each range, and the end of the last one.
    """
    cost, shares = np.cumsum(counts + k), np.cumsum(threads)
    marks = cost[-1] * (shares[:-1] / shares[-1])
    return [0, *np.searchsorted(cost, marks).tolist(), len(counts)]


def pieces_of(bounds: list[int], size: int) -> list[Piece]:
    """Divide the rows of each worker into pieces, given the bytes of a result."""
    pieces = list[Piece]()
    for worker, (first, end) in enumerate(pairwise(bounds)):
        most = max(min(-(-(end - first) // _PIECES), OBJECT // size), _LEAST)
        pieces += [Piece(worker, row, min(row + most, end)) for row in range(first, end, most)]
    return pieces


def _part(array: NDArray[Any], rows: slice) -> NDArray[Any]:
    """Return some rows of an array; all of one without rows."""
    return array[rows] if len(array) else array


def _moved(some: slice, by: int) -> slice:
    return slice(some.start - by, some.stop - by)


def _store(computed: Arrays, found: Arrays, rows: slice, rated: Mask) -> None:
    for array, values in zip(found, computed, strict=True):
        if len(array):
            mask = rated[rows].reshape(-1, *[1] * (array.ndim - 1))
            np.copyto(array[rows], values, where=mask)
