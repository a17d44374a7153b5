"""The workers of gradient descent: what they have loaded, and what happens when one is lost."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mfcli.aligned import aligned
from mfcli.clusters import OBJECT, WorkerLostError
from mfcli.model import Model
from mfcli.training.distributed.descent_worker import HELD_OUT, TRAIN, DescentWorker
from mfcli.training.distributed.exchange import distribute, share
from mfcli.training.distributed.parts import Limits
from mfcli.training.distributed.portions import EpochPart, ValidationPart
from mfcli.training.distributed.routes import Route
from mfcli.training.distributed.sources import Source
from mfcli.training.plan import variant_of
from mfcli.training.sgd.blocks import Groups, check_steps
from mfcli.types import Counts, Floats, Progress

if TYPE_CHECKING:
    from mfcli.clusters import Cluster, Reference

T = TypeVar("T")

_PATIENCE = 60.0  # seconds in which workers that were told to stop do so
_REPORT = 0.5  # seconds between two reports of progress
_AHEAD = 2  # pieces of rows of each worker that are on their way at a time


class DescentCluster:
    """Workers that hold the ratings, and the rows of all members of an ensemble.

    Parameters
    ----------
    cluster : Cluster
    groups : Groups
    route : Route
    counts : tuple of int64 arrays, shapes (users,) and (items,)
        Number of training ratings.
    train : Source
    held_out : Source or None
    starts : sequence of Model
        Initial models, of which the settings matter here.

    Attributes
    ----------
    generation : int
        How often workers were replaced; rows that were set before are lost.
    """

    def __init__(
        self,
        cluster: Cluster,
        groups: Groups,
        route: Route,
        counts: tuple[Counts, Counts],
        train: Source,
        held_out: Source | None,
        starts: Sequence[Model],
    ) -> None:
        self._cluster, self.groups, self._route = cluster, groups, route
        self._counts, self._train, self._held_out = counts, train, held_out
        self._starts, config = starts, starts[0].config
        self._batch_size = min(config.batch_size, len(train))
        check_steps(len(train), groups.count, self._batch_size)
        variant = variant_of(config)
        self._shape = variant.stride // variant.width, variant.width
        limits = Limits.of_driver(-(-len(cluster) // len(cluster.nodes)))
        self._workers = cluster.start(DescentWorker, limits, route)
        weakref.finalize(self, self._workers.close).atexit = False
        self.generation, self._turn = 0, 0
        self._missing = set(range(len(cluster)))  # workers that have not loaded everything
        self._block_counts = np.zeros((groups.count, groups.count), np.int64)
        self._held_out_counts = np.zeros(len(counts[1]), np.int64)

    @property
    def ratings(self) -> int:
        """Number of training ratings."""
        return len(self._train)

    @property
    def held_out(self) -> int:
        """Number of held-out ratings."""
        return len(self._held_out) if self._held_out else 0

    def load(self) -> None:
        """Send all ratings to the workers.

        Raises
        ------
        ClusterError
            As `attempt`.
        """
        self.attempt(lambda: None)

    def attempt(self, action: Callable[[], T]) -> T:
        """Return the result of an action; repeat it, with other workers, if some are lost.

        Raises
        ------
        ClusterError
            If workers are lost too often.
        """
        while True:
            try:
                self._load()
                return action()
            except WorkerLostError as error:
                self._recover(error)

    # Loading, and again after a loss

    def _load(self) -> None:
        """Send to workers what they lack."""
        if not self._missing:
            return
        some, workers = sorted(self._missing), self._workers
        for name, counts in zip(("users", "items"), self._counts, strict=True):
            share(self._cluster, workers, name, counts, some)
        owners = self._route.owners(self.groups.of_row[0])
        distribute(self._cluster, workers, TRAIN, self._train, owners, "user", some)
        self._number_batches(some)
        if self._held_out:
            distribute(self._cluster, workers, HELD_OUT, self._held_out, owners, "user", some)
            self._hold_out(some)
        for member, start in enumerate(self._starts):
            self._on(some, "add_member", member, start.config, start.mu)
        workers.introduce()
        self._missing.clear()

    def _number_batches(self, some: list[int]) -> None:
        for n, counts in zip(some, self._on(some, "pack"), strict=True):
            self._block_counts[:, self._route.owned(n)] = counts
        self._on(some, "number_batches", self._cluster.put(self._block_counts), self._batch_size)

    def _hold_out(self, some: list[int]) -> None:
        if len(some) == len(self._workers):  # otherwise, the sum is known
            self._held_out_counts = np.sum(self._on(some, "held_out_counts"), axis=0)
        counts = self._cluster.put(self._held_out_counts)
        self._on(some, "hold_out", counts, self._starts[0].scale)

    def _on(self, some: Sequence[int], method: str, *args: Any, lane: str = "compute") -> list[Any]:
        """Call a method on some workers, and return the results."""
        workers = self._workers
        found = workers.get([workers.call(n, method, *args, lane=lane) for n in some])
        return list(found)

    def _recover(self, error: WorkerLostError) -> None:
        """Replace dead workers, and those that had not loaded everything."""
        lost = {*error.workers, *self._missing}
        if not lost:  # an object of the store is lost: all begin again
            lost = {*range(len(self._workers))}
        while True:
            try:
                self._stop(lost)
                self._workers.replace(sorted(lost))
                break
            except WorkerLostError as another:
                lost |= {*another.workers}
        self._missing = lost
        self.generation += 1

    def _stop(self, lost: set[int]) -> None:
        """Let the other workers end their calls; those that do not are added to `lost`."""
        workers = self._workers
        others = [n for n in range(len(workers)) if n not in lost]
        stops = {n: workers.call(n, "stop", self._turn) for n in others}
        # What runs in a lane has ended when another call has run there.
        ends = {
            n: [workers.call(n, "progress", 0, lane=lane) for lane in ("compute", "out", "in")]
            for n in others
        }
        for n in others:
            try:
                workers.get([stops[n], *ends[n]], timeout=_PATIENCE)
                workers.get(workers.call(n, "reset"))
            except TimeoutError:
                lost.add(n)

    # What engines ask for

    def run_epoch(self, member: int, epoch: int, on_progress: Progress) -> list[EpochPart]:
        """Run an epoch of a member, and return what each worker contributes to the losses."""
        self._turn += 1
        workers, turn = self._workers, self._turn
        every = range(len(workers))
        calls = [workers.call(n, "run_epoch", member, turn, epoch, lane="compute") for n in every]
        while True:
            try:
                found: list[EpochPart] = workers.get(calls, timeout=_REPORT)
                self._cluster.computing += max(part.computing for part in found)
                return found
            except TimeoutError:
                done = self._on(every, "progress", member, lane="control")
                on_progress(sum(done), self.ratings)

    def _rows_at_once(self, planes: int, width: int) -> int:
        return max(OBJECT // (4 * planes * width), 1)

    def validate(self, member: int) -> list[ValidationPart]:
        """Return what each worker contributes to the losses of the held-out ratings."""
        workers, step = self._workers, self._rows_at_once(1, self._shape[1])
        weights = [
            workers.call(n, "rows", member, 1, start, stop, False, lane="out")
            for n, first, end in self._extents(1)
            for start, stop in _steps(end - first, step)
        ]
        return self._on(range(len(workers)), "validate", member, *weights)

    def set_rows(self, member: int, tables: tuple[Floats, Floats]) -> None:
        """Set the rows of a member, in the order of their places."""
        step = self._rows_at_once(*self._shape)
        pending: deque[Reference] = deque()
        for side, table in enumerate(tables):
            for worker, first, end in self._extents(side):
                for start, stop in _steps(end - first, step):
                    piece = self._cluster.put(table[first + start : first + stop])
                    given = member, side, start, piece
                    pending.append(self._workers.call(worker, "set_rows", *given, lane="in"))
                    if len(pending) > _AHEAD * len(self._workers):
                        self._workers.get(pending.popleft())
        self._workers.get([*pending])

    def rows(self, member: int, *, whole: bool) -> tuple[Floats, Floats]:
        """Return the rows of users and of items in the order of their places.

        All planes if `whole`, otherwise the weights.
        """
        shape = self._shape if whole else (1, self._shape[1])
        step = self._rows_at_once(*shape)
        pending: deque[tuple[Floats, Reference]] = deque()
        tables = tuple(aligned((len(rows), *shape)) for rows in self.groups.rows)
        for side, table in enumerate(tables):
            for worker, first, end in self._extents(side):
                for start, stop in _steps(end - first, step):
                    given = member, side, start, stop, whole
                    rows = self._workers.call(worker, "rows", *given, lane="out")
                    pending.append((table[first + start : first + stop], rows))
                    if len(pending) > _AHEAD * len(self._workers):
                        self._copy(*pending.popleft())
        while pending:
            self._copy(*pending.popleft())
        return tables[0], tables[1]

    def _copy(self, to: Floats, rows: Reference) -> None:
        to[:] = self._workers.get(rows)

    def _extents(self, side: int) -> Iterator[tuple[int, int, int]]:
        """Yield each worker, and the places of its first row and after its last one."""
        for worker in range(len(self._workers)):
            owned = self._route.owned(worker)
            first, end = self.groups.firsts[side][[owned.start, owned.stop]].tolist()
            yield worker, first, end


def _steps(count: int, step: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, step):
        yield start, min(start + step, count)
