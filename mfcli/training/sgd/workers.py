"""Threads for compiled code that releases the GIL.

A block may start as soon as its user group and its item group have been through the strata before
it, so that no thread waits for a whole stratum. Two blocks of the same group never run at once and
always run in the same order, hence the result does not depend on which thread was first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from mfcli.training.engines import Progress
from mfcli.training.sgd.blocks import Block, Blocks

_GLANCE = 0.1  # seconds between two reports of progress, and two looks at Ctrl-C

Advance = Callable[[int], None]
"""Told how many more ratings are done; raises if the work is to stop."""

Learn = Callable[[Block, int, Advance], None]
"""Learns a block as worker number 0, 1, ..."""


class _Stopped(Exception):
    """Ends a worker whose work is not wanted any more."""


class _Strata:
    """Hands out the blocks of an epoch, each when it may run."""

    def __init__(self, blocks: Blocks) -> None:
        self.total, self.done, self.stopped = blocks.ratings, 0, False
        self._waiting = list(blocks.blocks)  # stratum by stratum
        self._sight = 2 * blocks.groups  # those further on cannot be ready yet
        self._users, self._items = [0] * blocks.groups, [0] * blocks.groups  # strata done
        self._changed = threading.Condition()

    def take(self) -> Block | None:
        """Wait for a block that may run; None when there are no more."""
        with self._changed:
            while self._waiting and not self.stopped:
                for position, block in enumerate(self._waiting[: self._sight]):
                    if self._ready(block):
                        return self._waiting.pop(position)
                self._changed.wait()
        return None

    def _ready(self, block: Block) -> bool:
        return self._users[block.user_group] == block.stratum == self._items[block.item_group]

    def put_back(self, block: Block) -> None:
        """Let the blocks of the next stratum have this one's groups."""
        with self._changed:
            self._users[block.user_group] += 1
            self._items[block.item_group] += 1
            self._changed.notify_all()

    def advance(self, ratings: int) -> None:
        with self._changed:
            self.done += ratings
        if self.stopped:
            raise _Stopped

    def stop(self) -> None:
        with self._changed:
            self.stopped = True
            self._changed.notify_all()


def run_blocks(blocks: Blocks, learn: Learn, workers: int, on_progress: Progress) -> None:
    """Learn every block of an epoch once.

    Parameters
    ----------
    blocks : Blocks
    learn : callable
    workers : int
        Threads; the caller's own does the work if there is one only.
    on_progress : callable
        Told the ratings done, and all of them, now and then.
    """
    strata = _Strata(blocks)
    if workers == 1:
        _work_alone(strata, learn, on_progress)
        return
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(_work, strata, learn, number) for number in range(workers)]
        try:
            while wait(futures, timeout=_GLANCE).not_done:
                on_progress(strata.done, strata.total)
        except BaseException:
            strata.stop()
            raise
    for future in futures:
        future.result()


def _work_alone(strata: _Strata, learn: Learn, on_progress: Progress) -> None:
    def advance(ratings: int) -> None:
        strata.advance(ratings)
        on_progress(strata.done, strata.total)

    while block := strata.take():
        learn(block, 0, advance)
        strata.put_back(block)


def _work(strata: _Strata, learn: Learn, number: int) -> None:
    try:
        while block := strata.take():
            learn(block, number, strata.advance)
            strata.put_back(block)
    except _Stopped:
        pass
    except BaseException:
        strata.stop()
        raise
