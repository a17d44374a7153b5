"""Which groups a worker owns, and how item groups travel from worker to worker.

Worker w owns consecutive user groups, a to b - 1. It is the home of the item groups with the same
numbers, where they are between epochs. In stratum s, user group g meets item group ``g + s``
(modulo the number of groups), so item groups come from the owner of the next user groups, in
ascending order, and leave to the owner of the previous ones. A worker can train all of its user
groups with the item groups that are there, as far as the order of the strata allows: first the
triangle of blocks with the item groups of its home, then squares with those of each other home.
Item groups of a home travel together, or in a few chunks, so that some are on their way while the
worker trains on the others. After one round they are at home again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.training.sgd.claims import visiting_order
from mfcli.types import Counts


class Chunk(NamedTuple):
    """Consecutive item groups that travel together: `first` to ``end - 1``."""

    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first


class Route(NamedTuple):
    """The groups of all workers.

    Attributes
    ----------
    bounds : tuple of int
        Worker w owns the user groups ``bounds[w]`` to ``bounds[w + 1] - 1``.
    size : int
        Most item groups of a chunk.
    """

    bounds: tuple[int, ...]
    size: int

    @classmethod
    def of(cls, groups: int, workers: int, chunks: int) -> Route:
        """Return a route of about some chunks for each home.

        Parameters
        ----------
        groups : int
            At least as many as workers.
        workers, chunks : int
        """
        bounds = tuple(groups * worker // workers for worker in range(workers + 1))
        return cls(bounds, -(-(groups // workers) // chunks))

    @property
    def groups(self) -> int:
        return self.bounds[-1]

    @property
    def workers(self) -> int:
        return len(self.bounds) - 1

    def owned(self, worker: int) -> slice:
        """Return the user groups of a worker; its home has the same item groups."""
        return slice(self.bounds[worker], self.bounds[worker + 1])

    def owners(self, groups: NDArray[np.int32]) -> NDArray[np.uint16]:
        """Return the worker that owns each of some groups."""
        return (np.searchsorted(self.bounds, groups, side="right") - 1).astype(np.uint16)

    def departures(self, worker: int) -> list[Chunk]:
        """Return what leaves a worker in an epoch, in order; nothing from a single worker."""
        if self.workers == 1:
            return []
        homes = ((worker + n) % self.workers for n in range(self.workers))
        return [chunk for home in homes for chunk in self._chunks(home)]

    def arrivals(self, worker: int) -> list[Chunk]:
        """Return what comes to a worker in an epoch, in order: what leaves the next worker."""
        return self.departures((worker + 1) % self.workers)

    def _chunks(self, home: int) -> list[Chunk]:
        first, end = self.bounds[home], self.bounds[home + 1]
        return [Chunk(n, min(n + self.size, end)) for n in range(first, end, self.size)]

    def strata_before_leaving(self, worker: int, chunk: Chunk) -> int:
        """Return the strata that the first user group of a worker has done with a chunk."""
        return (chunk.end - 1 - self.bounds[worker]) % self.groups + 1

    def strata_at_arrival(self, worker: int, group: int) -> int:
        """Return how many strata an item group has done when it comes to a worker."""
        return (group - self.bounds[worker + 1]) % self.groups + 1

    def slots(self, worker: int) -> int:
        """Return for how many item groups a worker needs memory.

        With one chunk more than its home, it can always take one or give one away.
        """
        owned = self.bounds[worker + 1] - self.bounds[worker]
        return owned if self.workers == 1 else owned + self.size

    def visiting_order(self, worker: int) -> Counts:
        """Return the blocks of a worker in an order in which they can be trained on.

        It is that of arrivals, and among the blocks with one chunk that of a single thread, group
        after group. Each block follows those that it depends on, and so do chunks: none has to come
        before an earlier block is done.
        """
        if self.workers == 1:
            return visiting_order(self.groups, more_users=True)
        groups, (first, end) = self.groups, (self.bounds[worker], self.bounds[worker + 1])
        position = np.arange(first, first + groups + end - first)  # of item groups, not wrapped
        chunk = np.zeros(len(position), np.int64)
        arrived = end - first
        for number, some in enumerate(self.arrivals(worker), start=1):
            chunk[arrived : arrived + len(some)] = number
            arrived += len(some)
        user, stratum = np.divmod(np.arange((end - first) * groups), groups)
        at = user + stratum  # within `position`
        order = np.lexsort((at, -user, chunk[at]))
        numbers: Counts = (stratum * groups + first + user)[order]
        return numbers
