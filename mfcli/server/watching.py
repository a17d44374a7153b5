"""Watching files, to act when they are replaced."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_INTERVAL = 1.0  # seconds


def watch(known: object, versions: Callable[[], object], act: Callable[[], None]) -> None:
    """Act in another thread, until the process ends, whenever versions of files change.

    Parameters
    ----------
    known : object
        The versions of the files that were used.
    versions : callable
        Returns what changes when a file is replaced.
    act : callable
        Called once after each change, when the files have been the same for one interval.
    """

    def run() -> None:
        used = before = known
        while True:
            time.sleep(_INTERVAL)
            now = versions()
            if now == before and now != used:
                used = now
                act()
            before = now

    threading.Thread(target=run, name="watching", daemon=True).start()
