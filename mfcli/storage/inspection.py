"""Looking at what a command would do: within `inspecting`, nothing is written.

Checks of results that would be replaced, and of locks, then only look. They raise the same errors.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

_depth = [0]  # of the process, as its locks and temporary files are


@contextlib.contextmanager
def inspecting() -> Iterator[None]:
    """Write nothing while the block runs: neither results nor locks nor temporary files."""
    _depth[0] += 1
    try:
        yield
    finally:
        _depth[0] -= 1


def is_inspecting() -> bool:
    """Return whether nothing may be written."""
    return _depth[0] > 0


def check_not_inspecting(place: object) -> None:
    """Refuse to write a temporary file while only looking, which would be an error of mfcli."""
    if is_inspecting():
        raise RuntimeError(f"{place}: written in a dry run")


def check_access(target: Path) -> None:
    """Check that a file or folder can be created in its folder, or where that would be created.

    Raises
    ------
    OSError
    """
    folder = existing_folder(target)
    if not os.access(folder, os.W_OK | os.X_OK):
        code = errno.EROFS if _is_read_only(folder) else errno.EACCES
        raise OSError(code, os.strerror(code))


def existing_folder(target: Path) -> Path:
    """Return the folder of a file or folder, or the nearest one above it that exists.

    Raises
    ------
    OSError
        If a file is in the place of a folder: as `mkdir` says it.
    """
    place = target.resolve()
    folder = nearest_folder(place)
    if not folder.is_dir():
        code = errno.EEXIST if folder == place.parent else errno.ENOTDIR
        raise OSError(code, os.strerror(code))
    return folder


def nearest_folder(target: Path) -> Path:
    """Return the folder that would contain a path, or the nearest one above it that exists."""
    return next(folder for folder in target.absolute().parents if os.path.lexists(folder))


def is_locked(lock: Path) -> bool:
    """Return whether a process holds the lock of a file, without changing it."""
    try:
        import fcntl  # missing on Windows
    except ImportError:
        return False
    try:
        handle = os.open(lock, os.O_RDONLY)
    except OSError:  # there is no such file, so nobody has locked it
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(handle)  # which releases the lock
    return False


def _is_read_only(folder: Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
