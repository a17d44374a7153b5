"""Temporary folders, in which results are written before they take their place.

The temporary folder of `model` is `.model.3f9a01bc.mfcli-tmp`, beside it, so that a rename moves
the result. It contains

    lock     locked while its process lives
    model    the new result
    old      the old result until it is removed; only where the system cannot swap two names

The system releases the lock of a process that dies. A process number proves nothing: numbers are
reused, and every container counts from 1. What a killed process left is removed by the next one
that writes the same result, and the old result is put back if the new one had not taken its place.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from mfcli.storage.exchange import move_back
from mfcli.storage.file_locks import BaseFileLock, file_lock, taken
from mfcli.storage.inspection import check_not_inspecting

LOCK, OLD = "lock", "old"
_SUFFIX = ".mfcli-tmp"

_removers: dict[Path, Callable[[], None]] = {}
moving = threading.RLock()
"""Held while a result takes its place. Reentrant, because a signal may interrupt that."""


def temporary_paths() -> list[Path]:
    """Return the temporary files and folders that this process has at the moment."""
    return list(_removers)


def remove_temporaries() -> None:
    """Remove all temporary files and folders of this process, which must end afterwards.

    May be called from any thread, and more than once. Results that have taken their place stay; a
    result that is being replaced is the old or the new one afterwards.
    """
    # A copy of the values, because another thread may register a path meanwhile.
    with moving:
        for remove in list(_removers.values()):
            remove()


@contextlib.contextmanager
def registered(path: Path, remove: Callable[[], None]) -> Iterator[None]:
    """List a path among the temporaries while the block runs, and remove it afterwards.

    Parameters
    ----------
    path : Path
    remove : callable
        Removes what is at the path, if anything. It may be called more than once.
    """
    _removers[path] = remove  # before the path exists, so that no signal comes in between
    try:
        yield
    finally:
        with moving:
            remove()
        _removers.pop(path, None)  # afterwards: if a signal interrupts `remove`, it runs again


@contextlib.contextmanager
def temporary_beside(target: Path) -> Iterator[Path]:
    """Yield a path that does not exist, in a new temporary folder beside a target.

    What killed processes left there for the same target is removed or put back first.

    Raises
    ------
    OSError
    """
    check_not_inspecting(target)
    recover(target)
    folder = target.with_name(f".{target.name}.{os.urandom(4).hex()}{_SUFFIX}")
    lock = file_lock(folder / LOCK)
    with registered(folder, lambda: _remove(folder, target, lock)):
        folder.mkdir(0o700)  # the result may be private; its own mode is copied later
        # Another process may have removed the empty folder, as that of a dead one; filelock makes
        # it again. On a file system without locks nobody can take the lock and remove the folder.
        taken(lock)
        yield folder / target.name


def recover(target: Path) -> None:
    """Clean up after processes that died while they replaced a target."""
    for folder in _of(target):
        lock = file_lock(folder / LOCK)
        if not (folder / LOCK).exists():
            with contextlib.suppress(OSError):
                folder.rmdir()  # its process died at the start; this fails if it is not empty
        elif taken(lock):  # so its process is dead
            _remove(folder, target, lock)


def is_being_replaced(target: Path) -> bool:
    """Return whether a process that replaces a target has set the old one aside."""
    return any((folder / OLD).exists() for folder in _of(target))


def _of(target: Path) -> list[Path]:
    """Return the temporary folders of a target, of living and dead processes."""
    name = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}{re.escape(_SUFFIX)}")
    try:
        entries = [entry for entry in os.scandir(target.parent) if name.fullmatch(entry.name)]
    except OSError:
        return []
    return [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False)]


def _remove(folder: Path, target: Path, lock: BaseFileLock) -> None:
    """Remove a temporary folder whose lock this process holds, and release the lock."""
    with contextlib.suppress(OSError):
        if _is_in_place(folder / OLD, folder / target.name, target):
            for path in folder.iterdir():
                if path.name != LOCK:
                    remove_tree(path)
            # Unlinked while it is locked, so that no other process has just locked it. Windows does
            # not allow that; there `filelock` removes the file when it releases the lock.
            with contextlib.suppress(PermissionError):
                (folder / LOCK).unlink()
    # The folder can only be removed when the lock file is gone, which on Windows is now.
    lock.release(force=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _is_in_place(old: Path, new: Path, target: Path) -> bool:
    """Put the old result back if the new one did not take its place; return whether one of them is.

    If that fails, the old result must stay where it is.
    """
    return not old.exists() or not new.exists() or move_back(old, target)


def remove_tree(path: Path) -> None:
    """Remove a file or a folder, if it exists and as far as possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
