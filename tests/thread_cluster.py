"""A cluster of threads in this process, whose workers can be lost at a chosen moment."""

from __future__ import annotations

import math
import pickle
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any

from mfcli.clusters import Node, WorkerLostError
from mfcli.errors import ClusterError

LANES = ("compute", "out", "in", "control")
_PAUSE = 0.02  # seconds between two looks at whether a worker is lost


class ThreadCluster:
    """Runs tasks at once, and calls of workers in threads.

    Parameters
    ----------
    threads : int
        Of each worker.
    workers : int
    retries : int
    on_call : callable, optional
        ``(workers, number of the call, worker, method)``, before a call of a worker runs; may lose
        workers.
    """

    def __init__(
        self,
        workers: int,
        threads: int = 1,
        retries: int = 3,
        on_call: Callable[[ThreadWorkers, int, int, str], None] | None = None,
    ) -> None:
        self.threads, self.retries, self.computing = (threads,) * workers, retries, 0.0
        self.nodes = (Node("127.0.0.1", workers * threads, 1 << 34, 1 << 28, "0"),)
        self.on_call = on_call or (lambda *call: None)
        self.started: list[ThreadWorkers] = []

    def __len__(self) -> int:
        return len(self.threads)

    def put(self, value: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(sent(value))
        return done

    def get(self, references: Any) -> Any:
        return results(references)

    def map(
        self, function: Any, tasks: Iterable[tuple[Any, ...]], *, shared: Any = (), returns: int = 1
    ) -> Iterator[Any]:
        for task in tasks:
            found = sent(function(*shared, *task))
            yield found if returns == 1 else [self.put(value) for value in found]

    def start(self, make: Callable[..., Any], *args: Any) -> ThreadWorkers:
        workers = ThreadWorkers(self, make, args)
        self.started.append(workers)
        return workers


class ThreadWorkers:
    """Objects, each with a thread for each lane."""

    def __init__(self, cluster: ThreadCluster, make: Callable[..., Any], args: Any) -> None:
        self._cluster, self._make, self._args = cluster, make, args
        self._lost: set[int] = set()
        self._pools: list[dict[str, ThreadPoolExecutor]] = [{} for _ in cluster.threads]
        self._objects: list[Any] = [None] * len(cluster)
        self._tokens: list[object] = [None] * len(cluster)  # of each start of a worker
        self._calls, self._lock, self.replaced = 0, threading.Lock(), 0
        for number in range(len(cluster)):
            self._start(number)

    def __len__(self) -> int:
        return len(self._objects)

    def _start(self, number: int) -> None:
        self._pools[number] = {lane: ThreadPoolExecutor(1) for lane in LANES}
        self._objects[number] = self._make(number, *self._args)
        self._tokens[number] = object()

    def call(
        self,
        worker: int,
        method: str,
        *args: Any,
        lane: str = "control",
        returns: int = 1,
        copies: bool = True,
    ) -> Any:
        with self._lock:
            self._calls += 1
            number = self._calls
        self._cluster.on_call(self, number, worker, method)
        token, holder = self._tokens[worker], self._objects[worker]

        def run() -> Any:
            given = [results(arg) if isinstance(arg, Future) else arg for arg in args]
            self._check(worker, token)
            value = getattr(holder, method)(*(map(sent, given) if copies else given))
            self._check(worker, token)
            return sent(value)

        whole: Any = self._pools[worker][lane].submit(run)
        whole.worker = worker
        if returns == 1:
            return whole
        parts: list[Future[Any]] = [Future() for _ in range(returns)]

        def share(done: Future[Any]) -> None:
            for n, part in enumerate(parts):
                if done.exception():
                    part.set_exception(done.exception())
                else:
                    part.set_result(done.result()[n])

        whole.add_done_callback(share)
        return parts

    def introduce(self) -> None:
        for number in range(len(self)):
            self.get(self.call(number, "meet", ThreadPeers(self), copies=False))

    def _check(self, worker: int, token: object) -> None:
        if worker in self._lost or token is not self._tokens[worker]:
            raise WorkerLostError("lost", (worker,))

    def lose(self, worker: int) -> None:
        """Let a worker end, as if its process was killed."""
        self._lost.add(worker)
        if hasattr(self._objects[worker], "stop"):  # its threads must end as well
            self._objects[worker].stop(1 << 62)

    def get(self, references: Any, timeout: float | None = None) -> Any:
        some = references if isinstance(references, list) else [references]
        end = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            done = wait(some, timeout=_PAUSE, return_when=FIRST_EXCEPTION)
            failed = [one for one in done.done if isinstance(one.exception(), WorkerLostError)]
            if failed or any(getattr(one, "worker", None) in self._lost for one in some):
                raise WorkerLostError("lost", tuple(sorted(self._lost)))
            for one in done.done:
                one.result()
            if not done.not_done:
                return results(references)
            if time.monotonic() > end:
                raise TimeoutError

    def replace(self, numbers: Iterable[int]) -> None:
        if self.replaced == self._cluster.retries:
            raise ClusterError(f"workers were lost after {self.replaced} retries")
        self.replaced += 1
        for number in numbers:
            self.lose(number)
            self._lost.discard(number)
            self._start(number)

    def close(self) -> None:
        for pools in self._pools:
            for pool in pools.values():
                pool.shutdown(wait=False)


class ThreadPeers:
    """The workers that there are when they meet, and not those that replace them."""

    def __init__(self, workers: ThreadWorkers) -> None:
        self._workers, self._tokens = workers, [*workers._tokens]

    def call(self, worker: int, method: str, *args: Any, lane: str) -> None:
        if self._workers._tokens[worker] is self._tokens[worker]:
            self._workers.call(worker, method, *map(sent, args), lane=lane)  # copied at once


def sent(value: Any) -> Any:
    """Return a copy, as of what travels to another process; its arrays are read-only."""
    copy = pickle.loads(pickle.dumps(value, protocol=5))
    for array in copy if isinstance(copy, (list, tuple)) else [copy]:
        if hasattr(array, "setflags"):
            array.setflags(write=False)
    return copy


def results(references: Any) -> Any:
    """Wait for the results of futures."""
    if isinstance(references, Future):
        return references.result()
    return [reference.result() for reference in references]
