"""Locks that the system releases when their process dies."""

from __future__ import annotations

from pathlib import Path

import filelock
from filelock import BaseFileLock, Timeout

__all__ = ["BaseFileLock", "Timeout", "file_lock", "taken"]


def file_lock(path: Path) -> BaseFileLock:
    """Return the lock of a file, not yet taken; any thread of this process may release it."""
    # A signal may end the process from the watchdog thread, which must be able to release it.
    return filelock.FileLock(path, timeout=0, thread_local=False)


def taken(lock: BaseFileLock) -> bool:
    """Take a lock and return True, or return False if another process holds it.

    A lock that cannot be taken for another reason, such as a file system without locks, also gives
    False.
    """
    try:
        lock.acquire()
    except (OSError, NotImplementedError, Timeout):
        return False
    return True
