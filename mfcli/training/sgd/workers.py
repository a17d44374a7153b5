"""Threads that train on the blocks of an epoch.

A block may start as soon as all blocks of the earlier strata with the same user group or item group
are done, so that no thread waits for a whole stratum. Among these blocks, the first in
`Blocks.blocks` starts, because most of its rows are in the cache. Two blocks of the same group
never run at the same time and always run in the same order. So the result does not depend on the
timing of threads.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from mfcli.training.sgd.blocks import Block, Blocks
from mfcli.types import Progress

_INTERVAL = 0.1  # seconds between two reports of progress, which also notice Ctrl-C

Advance = Callable[[int], None]
"""Called with the number of further ratings that are done; raises to stop the worker."""

Learn = Callable[[Block, int, Advance], None]
"""Trains on a block as worker number 0, 1, ..."""


class _Stopped(Exception):
    """Stops a worker after an error or Ctrl-C."""


class _Queue:
    """Hands out the blocks of an epoch as soon as they may run, the first in their order first."""

    def __init__(self, blocks: Blocks) -> None:
        self.total, self.done, self.stopped = blocks.ratings, 0, False
        self._groups, self._blocks, self._left = blocks.groups, blocks.blocks, len(blocks.blocks)
        self._places = {(b.stratum, b.user_group): n for n, b in enumerate(blocks.blocks)}
        self._users, self._items = [0] * blocks.groups, [0] * blocks.groups  # strata done
        self._ready = [n for n, block in enumerate(blocks.blocks) if block.stratum == 0]  # a heap
        self._changed = threading.Condition()

    def take(self) -> Block | None:
        """Wait for a block that may run; return None if there are no more."""
        with self._changed:
            # If no block is ready, another worker holds one, and wakes this one when it finishes
            # it.
            while self._left and not self.stopped:
                if self._ready:
                    self._left -= 1
                    return self._blocks[heapq.heappop(self._ready)]
                self._changed.wait()
        return None

    def finish(self, block: Block) -> None:
        """Release the groups of a block for the next stratum."""
        with self._changed:
            self._users[block.user_group] += 1
            self._items[block.item_group] += 1
            # In the next stratum, the user group meets the next item group, and the item group the
            # previous user group.
            self._add_ready(block.stratum + 1, block.user_group)
            self._add_ready(block.stratum + 1, (block.user_group - 1) % self._groups)
            self._changed.notify_all()

    def _add_ready(self, stratum: int, user_group: int) -> None:
        """Add a block if both of its groups have done the blocks of all earlier strata."""
        item_group = (user_group + stratum) % self._groups
        if stratum < self._groups and self._users[user_group] == self._items[item_group] == stratum:
            heapq.heappush(self._ready, self._places[stratum, user_group])

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
    """Train on every block of an epoch once.

    Parameters
    ----------
    blocks : Blocks
    learn : callable
    workers : int
        Number of threads; a single worker runs in the calling thread.
    on_progress : callable
        Called at intervals with the number of ratings done and of all ratings.
    """
    queue = _Queue(blocks)
    if workers == 1:
        _work_alone(queue, learn, on_progress)
        return
    # The calling thread only waits and reports, because Python delivers Ctrl-C to it.
    with ThreadPoolExecutor(workers) as pool:
        try:
            futures = [pool.submit(_work, queue, learn, number) for number in range(workers)]
            while wait(futures, timeout=_INTERVAL).not_done:
                on_progress(queue.done, queue.total)
        except BaseException:
            queue.stop()
            raise
    # Raise the error of a worker here.
    for future in futures:
        future.result()


def _work_alone(queue: _Queue, learn: Learn, on_progress: Progress) -> None:
    def advance(ratings: int) -> None:
        queue.advance(ratings)
        on_progress(queue.done, queue.total)

    while block := queue.take():
        learn(block, 0, advance)
        queue.finish(block)


def _work(queue: _Queue, learn: Learn, number: int) -> None:
    try:
        while block := queue.take():
            learn(block, number, queue.advance)
            queue.finish(block)
    except _Stopped:
        pass
    except BaseException:
        queue.stop()
        raise
