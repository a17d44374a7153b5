"""Items that a thread prepares while earlier ones are used."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterable[Item], depth: int = 1) -> Iterator[Item]:
    """Yield items in order, while a thread gets the next ones.

    Parameters
    ----------
    items : iterable
        Used by the thread alone. Its errors are raised at the turn of the item.
    depth : int
        How many items may be ready before they are asked for.
    """
    source, pending = iter(items), deque[Future[list[Item]]]()

    def next_one() -> list[Item]:
        return [*itertools.islice(source, 1)]  # empty at the end

    with ThreadPoolExecutor(1) as pool:
        try:
            for _ in range(depth):
                pending.append(pool.submit(next_one))
            while True:
                pending.append(pool.submit(next_one))
                found = pending.popleft().result()
                if not found:
                    return
                yield found[0]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
