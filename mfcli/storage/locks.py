"""Locks between processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mfcli.errors import ArtifactError
from mfcli.storage.atomic import writing
from mfcli.storage.file_locks import BaseFileLock, Timeout, file_lock
from mfcli.storage.temporaries import registered

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
    is_new = not folder.exists()
    lock = file_lock(folder / _LOCK)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            rule = "another process is writing to this folder"
            remedy = "wait until it ends, or choose another folder"
            raise ArtifactError(rule, place=folder, remedy=remedy) from None
    try:
        with registered(folder / _LOCK, lambda: _release(lock)):
            yield
    finally:
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


def _release(lock: BaseFileLock) -> None:
    # Removed while it is locked, so that no other process has just locked it. Windows does not
    # allow that; there `filelock` removes the file when it releases the lock.
    if lock.is_locked:
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()
