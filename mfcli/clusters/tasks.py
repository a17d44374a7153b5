"""Stateless tasks, in order."""

from __future__ import annotations

import contextlib
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from mfcli.clusters.failures import WorkerLostError, after, fetched
from mfcli.clusters.hosted import run_task
from mfcli.clusters.library import exceptions, is_connected, on_node, ray
from mfcli.clusters.references import Reference
from mfcli.errors import ClusterError, Param, Text

_AHEAD = 2  # tasks of a worker: one that runs, and one that waits, so that no worker is idle


class Tasks:
    """Runs tasks, one at a time on each worker.

    Parameters
    ----------
    homes : sequence of str
        The node of each worker.
    threads : sequence of int
        Of each worker.
    retries : int
        How often a task runs again after its worker or node was lost.
    options : dict
        More options of Ray.
    """

    def __init__(
        self, homes: Sequence[str], threads: Sequence[int], retries: int, options: dict[str, Any]
    ) -> None:
        self._homes, self._threads, self._retries = homes, threads, retries
        self._remote = ray().remote(num_cpus=0, max_retries=retries, **options)(run_task)

    def __len__(self) -> int:
        """Return the number of workers."""
        return len(self._homes)

    def map(
        self,
        function: Callable[..., Any],
        tasks: Iterable[tuple[Any, ...]],
        shared: tuple[Any, ...],
        returns: int,
    ) -> Iterator[Any]:
        """Yield results in the order of the tasks; see `Cluster.map`."""
        run = _Run(self, (function, *map(put, shared)), iter(tasks), returns)
        try:
            while run.advance():
                # Without a name, which would hold the objects until the next ones are there.
                yield run.first(self._result)
        finally:
            run.cancel()

    def submit(self, worker: int, returns: int, args: Iterable[Any]) -> list[Reference]:
        """Submit a task to a worker; return references to its results and to its end."""
        strategy = on_node(self._homes[worker], soft=True)
        remote = self._remote.options(num_returns=returns + 1, scheduling_strategy=strategy)
        return [*remote.remote(returns, self._threads[worker], *args)]

    def _result(self, references: list[Reference]) -> Any:
        """Return the result of a task, and issue its warnings; return references to several."""
        if len(references) > 2:
            return references[:-1]
        try:
            value, issued = fetched(references)
        except WorkerLostError as error:
            rule = f"a task has lost its worker again {after(self._retries)}: {error}"
            remedy: Text = ["see the logs of Ray, or raise ", Param("retries")]
            raise ClusterError(rule, remedy=remedy) from None
        for warning in issued:
            warnings.warn(warning, stacklevel=3)
        return value


class _Run:
    """The tasks of one call of `map`, each on the worker that has the fewest."""

    def __init__(
        self, tasks: Tasks, shared: tuple[Any, ...], waiting: Iterator[Any], returns: int
    ) -> None:
        self._tasks, self._shared, self._returns = tasks, shared, returns
        self._waiting = waiting
        self._submitted: deque[list[Reference]] = deque()
        self._ends: list[list[Reference]] = [[] for _ in range(len(tasks))]

    def advance(self) -> bool:
        """Submit as many tasks as may be under way; return whether a result is left."""
        room = _AHEAD * len(self._tasks) - len(self._submitted)
        for task in islice(self._waiting, room):
            self._submit(task)
        return bool(self._submitted)

    def first(self, result: Callable[[list[Reference]], Any]) -> Any:
        """Wait for the result of the first task, and remove the task."""
        found = result(self._submitted[0])
        # Not before: Ctrl-C also cancels the task that is waited for.
        self._submitted.popleft()
        return found

    def cancel(self) -> None:
        """Cancel the tasks that nobody waits for."""
        for references in self._submitted if is_connected() else ():
            with contextlib.suppress(exceptions().RayError, ConnectionError, ValueError):
                ray().cancel(references[0])
        self._submitted.clear()

    def _submit(self, task: tuple[Any, ...]) -> None:
        worker = self._freest()
        before = self._ends[worker][-1] if self._ends[worker] else None
        made = self._tasks.submit(worker, self._returns, (before, *self._shared, *task))
        self._submitted.append(made)
        self._ends[worker].append(made[-1])

    def _freest(self) -> int:
        """Return the worker with the fewest tasks, after those that have ended are forgotten."""
        ends = [end for some in self._ends for end in some]
        if ends:
            ended, _ = ray().wait(ends, num_returns=len(ends), timeout=0, fetch_local=False)
            gone = {*ended}
            self._ends = [[end for end in some if end not in gone] for some in self._ends]
        counts = [len(some) for some in self._ends]
        return counts.index(min(counts))


def put(value: Any) -> Reference:
    """Put a value into the store, unless it is there."""
    return value if isinstance(value, ray().ObjectRef) else ray().put(value)
