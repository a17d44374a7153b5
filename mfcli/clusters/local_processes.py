"""The processes of a cluster on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_PROCESSES = Path("/proc")  # of Linux
_PATIENCE = 2.0  # seconds
_INTERVAL = 0.01  # seconds


def end_processes_in(folder: Path) -> None:
    """End the other processes that have open files in a folder.

    Ray ends its processes itself, but not if this process has to end at once. Those that are left
    would write to the folder while it is removed.
    """
    end = time.monotonic() + _PATIENCE
    while (left := [*_processes_in(folder)]) and time.monotonic() < end:
        for number in left:
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGKILL)
        time.sleep(_INTERVAL)


def _processes_in(folder: Path) -> Iterator[int]:
    """Yield the numbers of the processes; none where the system does not list open files."""
    if not _PROCESSES.is_dir() or not folder.exists():
        return
    for entry in _PROCESSES.iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            # The process may belong to another user, or end meanwhile.
            with contextlib.suppress(OSError):
                files = map(os.readlink, (entry / "fd").iterdir())
                if any(name.startswith(f"{folder}{os.sep}") for name in files):
                    yield int(entry.name)
