"""Threads for work that releases the interpreter's lock: compiled kernels, NumPy, Arrow."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def cores() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def each(task: Callable[[int], None], count: int, threads: int) -> None:
    """Do tasks 0, 1, ..., count - 1, on several threads if there are several."""
    if min(threads, count) <= 1:
        for number in range(count):
            task(number)
        return
    with ThreadPoolExecutor(min(threads, count)) as pool:
        for _ in pool.map(task, range(count)):
            pass
