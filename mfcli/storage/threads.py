"""Threads for work that releases the interpreter lock: compiled kernels, NumPy, Arrow."""

from __future__ import annotations

import functools
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Protocol, TypeVar

from mfcli.arguments import check_count
from mfcli.storage import cgroups

ROOT = Path("/")

_share: list[int] = []  # of a worker that shares its machine with others

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def share_threads(threads: int) -> None:
    """Set the number of processors that this process may use, which shares them with others."""
    _share[:] = [threads]


def cores(root: Path = ROOT) -> int:
    """Count the processors that this process may use.

    This is what `share_threads` has set, or else the number of processors it may run on, or the
    processor time that its control groups allow, rounded up, if that is less.

    Parameters
    ----------
    root : Path
        Contains `proc` and `sys`.
    """
    if _share:
        return _share[0]
    allowed = min(cgroups.processors(root), default=math.inf)
    # Rounded up: a limit of 1.5 processors keeps two threads busy most of the time.
    return max(1, math.ceil(min(allowed, _processors())))


def threads_of(threads: int | None) -> int:
    """Return the number of threads that an argument asks for; None is one per core.

    Raises
    ------
    UsageError
        If it is not a whole number above 0.
    """
    if threads is None:
        return cores()
    check_count(threads, "threads", 1)
    return threads


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def each(task: Callable[[int], None], count: int, threads: int) -> None:
    """Run ``task(0)``, ``task(1)``, ..., ``task(count - 1)`` on some threads, this one included.

    Tasks start in this order. After an error or Ctrl-C, tasks that run are finished, and no others
    start. If several fail, the error is that of the first one in the order, whatever their timing.
    """
    waiting, failed = deque(range(count)), dict[int, BaseException]()

    def work() -> None:
        while waiting:
            try:
                number = waiting.popleft()
            except IndexError:  # another thread has taken the last one
                return
            try:
                task(number)
            except BaseException as error:
                failed[number] = error
                waiting.clear()

    others = min(threads, count) - 1
    futures = [_pool(others).submit(work) for _ in range(others)] if others > 0 else []
    try:
        work()
    finally:
        waiting.clear()
        # One that has not started may wait for this very thread, within a task of its own.
        wait([future for future in futures if not future.cancel()])
    if failed:
        raise failed[min(failed)]


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return threads that wait for work; to start new ones takes longer than a small task."""
    return ThreadPoolExecutor(threads)


if hasattr(os, "register_at_fork"):  # threads do not survive a fork
    os.register_at_fork(after_in_child=_pool.cache_clear)


class Apply(Protocol):
    """Applies a function to pieces, as `in_order`."""

    def __call__(
        self, pieces: Iterable[tuple[Piece, int]], work: Callable[[Piece], Result], threads: int, /
    ) -> Iterator[tuple[Result, int]]: ...


def in_order(
    pieces: Iterable[tuple[Piece, int]], work: Callable[[Piece], Result], threads: int
) -> Iterator[tuple[Result, int]]:
    """Yield what `work` makes of each piece, while the next pieces are worked on.

    Parameters
    ----------
    pieces : iterable of (piece, int)
        Pieces, each with the number of bytes read so far. At most `threads` + 2 of them are in
        memory.
    work : callable
        Must release Python's lock for several threads to help.
    threads : int

    Yields
    ------
    result, int
        In the order of the pieces, each with its number of bytes. An error of `work` is raised when
        it is the turn of its piece.
    """
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[tuple[Future[Result], int]] = deque()
        try:
            for piece, position in pieces:
                pending.append((pool.submit(work, piece), position))
                # One piece waits beyond those in work, so no thread is idle while one is yielded.
                if len(pending) > threads + 1:
                    future, done = pending.popleft()
                    yield future.result(), done
            while pending:
                future, done = pending.popleft()
                yield future.result(), done
        finally:
            # Also when the caller stops early: pieces that have not started are dropped.
            pool.shutdown(wait=False, cancel_futures=True)
