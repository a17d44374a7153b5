"""Locks between processes."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from mfcli.errors import ArtifactError
from mfcli.storage.file_locks import BaseFileLock, Timeout, file_lock
from mfcli.storage.inspection import check_access, is_inspecting, is_locked
from mfcli.storage.temporaries import registered
from mfcli.storage.writing import writing

_LOCK = ".mfcli.lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder for this process while the block runs; create the folder if it is missing.

    The system releases the lock of a process that dies. A folder that was created here and is still
    empty afterwards is removed.

    Raises
    ------
    ArtifactError
        If another process holds the lock, or the folder cannot be created.
    """
    if is_inspecting():
        _look_at(folder / _LOCK, folder, "folder")
        yield
        return
    is_new = not folder.exists()
    lock = file_lock(folder / _LOCK)
    with writing(folder):
        folder.resolve().mkdir(parents=True, exist_ok=True)  # a link may point to a missing one
        _acquire(lock, folder, "folder")
    try:
        with registered(folder / _LOCK, lambda: _release(lock)):
            yield
    finally:
        if is_new:
            # Fails if the folder is not empty; someone may also have removed it in the meantime.
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Lock a file for this process while the block runs; it need not exist, but its folder must.

    Raises
    ------
    ArtifactError
        If another process holds the lock, or the folder is missing or cannot be written.
    """
    target = path.resolve()  # several names of a file share a lock
    lock = file_lock(target.with_name(f".{target.name}{_LOCK}"))
    with writing(path):
        if not target.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "its folder does not exist")
        if is_inspecting():
            _look_at(Path(lock.lock_file), path, "file")
        else:
            _acquire(lock, path, "file")
    if is_inspecting():
        yield
        return
    with registered(Path(lock.lock_file), lambda: _release(lock)):
        yield


def _acquire(lock: BaseFileLock, place: Path, noun: str) -> None:
    try:
        lock.acquire()
    except Timeout:
        raise _in_use(place, noun) from None


def _look_at(lock: Path, place: Path, noun: str) -> None:
    """Check that a lock could be taken."""
    if is_locked(lock):
        raise _in_use(place, noun)
    with writing(place):
        check_access(lock)


def _in_use(place: Path, noun: str) -> ArtifactError:
    rule = f"another process is writing to this {noun}"
    remedy = f"wait until it ends, or choose another {noun}"
    return ArtifactError(rule, place=place, remedy=remedy)


def _release(lock: BaseFileLock) -> None:
    # Removed while it is locked, so that no other process has just locked it. A process that has
    # opened the file, but not locked it yet, finds it without a name and tries again. Windows does
    # not allow that; there `filelock` removes the file when it releases the lock.
    if lock.is_locked:
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()
