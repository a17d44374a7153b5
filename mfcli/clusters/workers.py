"""Workers that keep data: actors of Ray, each of which holds an object."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mfcli.clusters.failures import WorkerLostError, after, fetched
from mfcli.clusters.hosted import HEALTH, host_class
from mfcli.clusters.library import exceptions, is_connected, on_node, ray
from mfcli.clusters.nodes import living_nodes
from mfcli.clusters.peers import Peers
from mfcli.clusters.references import Reference
from mfcli.errors import ClusterError, Param, Text, warn

LANES = ("compute", "out", "in", "control")
_PATIENCE = 5.0  # seconds in which a living worker answers


class Workers:
    """Workers that keep data, numbered from 0; see `Cluster.start`.

    Parameters
    ----------
    homes : sequence of str
        The node of each worker.
    threads : sequence of int
        Of each worker.
    retries : int
        How often workers may be replaced.
    make : callable
        ``make(number, *args)`` returns the object that a worker holds.
    args : tuple
    options : dict
        More options of Ray.
    """

    def __init__(
        self,
        homes: Sequence[str],
        threads: Sequence[int],
        retries: int,
        make: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
    ) -> None:
        self._homes, self._threads, self._make, self._args = [*homes], threads, make, args
        self._retries, self._replaced = retries, 0
        groups = dict.fromkeys((*LANES, HEALTH), 1)
        # With more than one thread outside its lanes, an actor starts calls when their arguments
        # are there, so that one lane does not wait for another. Within a lane, each call waits for
        # the end of the one before.
        self._remote = ray().remote(
            num_cpus=0,
            max_restarts=0,
            max_task_retries=0,
            concurrency_groups=groups,
            max_concurrency=2,
            **options,
        )(host_class(LANES))
        self._actors: list[Any] = [None] * len(homes)
        self._ends: dict[tuple[int, str], Reference] = {}
        self._losses = 0
        try:
            self.replace(self._failed([*range(len(homes))]))
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._actors)

    def call(
        self, worker: int, method: str, *args: Any, lane: str = "control", returns: int = 1
    ) -> Any:
        """Call a method of the object of a worker.

        Parameters
        ----------
        worker : int
        method : str
        *args : object
            References are replaced by their values.
        lane : {"control", "compute", "out", "in"}
            Calls of a lane run one after another, in the order in which they were made. Calls of
            different lanes run at the same time. After a loss, those that have not begun when a
            later one begins do not run at all.
        returns : int
            Number of values that the method returns.

        Returns
        -------
        reference, or list of references if `returns` is not 1
        """
        call = getattr(self._actors[worker], f"call_{lane}").options(num_returns=returns + 1)
        before = self._ends.get((worker, lane))
        *results, end = call.remote(self._losses, returns, before, method, *args)
        self._ends[worker, lane] = end
        return results[0] if returns == 1 else results

    def introduce(self) -> None:
        """Give the object of each worker the `Peers`, with its method `meet`; again after a loss.

        Raises
        ------
        WorkerLostError
        """
        peers = Peers([*self._actors], self._losses)
        self.get([self.call(number, "meet", peers) for number in range(len(self))])

    def get(self, references: Any, timeout: float | None = None) -> Any:
        """Return the value of a reference, or a list of the values of several.

        Raises
        ------
        WorkerLostError
            If a worker or an object is lost. It names all workers that are dead.
        MfcliError
            If the method raised an error.
        TimeoutError
        """
        try:
            return fetched(references, timeout)
        except WorkerLostError as error:
            # Calls that wait for what is lost fail, and so would those that come after them.
            self._ends.clear()
            self._losses += 1
            raise WorkerLostError(str(error), self.dead()) from None

    def dead(self) -> tuple[int, ...]:
        """Return the numbers of the workers that are dead."""
        errors = exceptions()
        numbers = [n for n, actor in enumerate(self._actors) if actor is not None]
        pings = [self._actors[number].ping.remote() for number in numbers]
        ray().wait(pings, num_returns=len(pings), timeout=_PATIENCE)
        found = [n for n, actor in enumerate(self._actors) if actor is None]
        for number, ping in zip(numbers, pings, strict=True):
            try:
                ray().get(ping, timeout=0)
            except errors.GetTimeoutError:  # busy
                pass
            except errors.RayError:
                found.append(number)
        return tuple(sorted(found))

    def replace(self, numbers: Iterable[int]) -> None:
        """Start new workers in place of others, on other nodes if theirs are lost.

        Raises
        ------
        ClusterError
            If workers were replaced too often.
        """
        lost = [*numbers]
        while lost:
            if self._replaced == self._retries:
                remedy: Text = ["see the logs of Ray, or raise ", Param("retries")]
                raise ClusterError(f"workers were lost {after(self._retries)}", remedy=remedy)
            self._replaced += 1
            which, again = f"{len(lost)} of {len(self)}", f"{self._replaced} of {self._retries}"
            warn(f"lost {which} workers; replacing them (retry {again})")
            self._end(lost)
            self._move(lost)
            lost = self._failed(lost)

    def close(self) -> None:
        """End the workers."""
        if is_connected():
            self._end(range(len(self._actors)))

    def _failed(self, numbers: list[int]) -> list[int]:
        """Start workers; return the numbers of those that were lost meanwhile.

        Others that are lost are not reported: the caller must learn that they have lost their data.
        """
        try:
            self._start(numbers)
        except WorkerLostError:
            return sorted({*self.dead()} & {*numbers}) or numbers
        return []

    def _start(self, numbers: Iterable[int]) -> None:
        some = [*numbers]
        for number in some:
            # Not elsewhere if that node is slow: nodes must not hold the data of others.
            strategy = on_node(self._homes[number], soft=False)
            remote = self._remote.options(scheduling_strategy=strategy)
            self._actors[number] = remote.remote(self._threads[number])
        self.get([self._actors[n].make.remote(self._make, n, *self._args) for n in some])

    def _end(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._ends = {key: end for key, end in self._ends.items() if key[0] != number}
            if self._actors[number] is not None:
                with contextlib.suppress(exceptions().RayError, ValueError, ConnectionError):
                    ray().kill(self._actors[number])
                self._actors[number] = None

    def _move(self, numbers: Iterable[int]) -> None:
        """Choose nodes that run: those with the fewest workers for their processors."""
        nodes = {node.id: node.cpus for node in living_nodes()}
        if not nodes:
            raise ClusterError("no node of the cluster is left")
        for number in numbers:
            if self._homes[number] not in nodes:
                self._homes[number] = ""
                load = {one: self._homes.count(one) / cpus for one, cpus in nodes.items()}
                self._homes[number] = min(load, key=lambda one: (load[one], one))
