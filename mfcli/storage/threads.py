"""Threads for work that releases the interpreter lock: compiled kernels, NumPy, Arrow."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mfcli.storage import cgroups

ROOT = Path("/")


def cores(root: Path = ROOT) -> int:
    """Count the processors that this process may use.

    This is the number of processors it may run on, or the processor time that its control groups
    allow, rounded up, if that is less.

    Parameters
    ----------
    root : Path
        Contains `proc` and `sys`.
    """
    allowed = min(cgroups.processors(root), default=math.inf)
    return max(1, math.ceil(min(allowed, _processors())))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def each(task: Callable[[int], None], count: int, threads: int) -> None:
    """Run ``task(0)``, ``task(1)``, ..., ``task(count - 1)`` on some threads.

    Without other threads, the tasks run in this order.
    """
    if min(threads, count) <= 1:
        for number in range(count):
            task(number)
        return
    with ThreadPoolExecutor(min(threads, count)) as pool:
        for _ in pool.map(task, range(count)):  # raises what a task has raised
            pass
