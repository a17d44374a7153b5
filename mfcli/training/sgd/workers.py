"""Threads that train on the blocks of an epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from mfcli.training.sgd.claims import Claims
from mfcli.types import Progress

_INTERVAL = 0.1  # seconds between two reports of progress, which also notice Ctrl-C
_PAUSE = 1e-4  # seconds in which a thread that found no block sleeps

Train = Callable[[int], None]
"""Trains on blocks as worker number 0, 1, ..., until none is ready; releases Python's lock."""

Read = Callable[[Claims], None]
"""Reads blocks from disk, until all are read or threads must stop."""


def _sleep() -> None:
    time.sleep(_PAUSE)


def run_workers(
    train: Train,
    claims: Claims,
    total: int,
    on_progress: Progress,
    read: Read | None = None,
    pause: Callable[[], None] = _sleep,
) -> None:
    """Train on every block of an epoch once.

    Parameters
    ----------
    train : callable
    claims : Claims
        At the start of the epoch; they determine the number of threads.
    total : int
        Number of ratings.
    on_progress : callable
        Called at intervals with the number of ratings done and of all ratings.
    read : callable, optional
        Runs in another thread. By default, all blocks are in memory.
    pause : callable
        Called by a thread that found no block. It returns after a while, or when there may be one.
    """
    workers = len(claims.ratings)
    # The calling thread only waits and reports, because Python delivers Ctrl-C to it.
    with ThreadPoolExecutor(workers + 1) as pool:
        try:
            futures = [pool.submit(_work, train, claims, n, pause) for n in range(workers)]
            if read:
                futures.append(pool.submit(_stopping, claims, read, claims))
            while wait(futures, timeout=_INTERVAL).not_done:
                on_progress(int(claims.ratings.sum()), total)
        except BaseException:
            claims.stop[0] = 1
            raise
    # Raise the error of a worker here.
    for future in futures:
        future.result()


def _work(train: Train, claims: Claims, number: int, pause: Callable[[], None]) -> None:
    _stopping(claims, train, number)
    while not _is_over(claims):
        pause()
        _stopping(claims, train, number)


def _stopping(claims: Claims, work: Callable[[Any], None], argument: Any) -> None:
    """Call a function; stop all threads if it fails."""
    try:
        work(argument)
    except BaseException:
        claims.stop[0] = 1
        raise


def _is_over(claims: Claims) -> bool:
    """Return whether all groups have done all strata, or threads must stop."""
    return bool(claims.stop[0]) or int(claims.leaders.min()) == len(claims.leaders)
