"""Digests of files that are being written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

_INLINE = 1 << 18  # smaller pieces are not worth a thread
_PIECE = 1 << 22  # bytes that are written while they are hashed
_FLUSHED = 1 << 26  # bytes that are flushed to the disk at once


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class DigestedFile:
    """A new file that is hashed, and flushed to the disk, while it is written.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    sha256 : str
        Of what has been written.
    """

    def __init__(self, path: Path) -> None:
        self._file, self._hash = path.open("wb"), hashlib.sha256()
        self._hashing, self._flushing = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._flushed: Future[None] | None = None
        self._waiting = 0  # bytes that are not on their way to the disk

    def __enter__(self) -> DigestedFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # The threads first: the system may give the number of the file to another one.
        self._hashing.shutdown()
        self._flushing.shutdown()
        self._file.close()
        if kind is None and self._flushed is not None:
            self._flushed.result()  # the system reports an error of the disk only once

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: Any) -> int:
        """Write and hash bytes, which may change as soon as this returns; return their number."""
        view = memoryview(data).cast("B")
        for part in _parts(view):
            hashed = self._hashing.submit(self._hash.update, part) if len(part) > _INLINE else None
            self._file.write(part)
            if hashed is None:
                self._hash.update(part)
            else:
                hashed.result()
            self._flush(len(part))
        return len(view)

    def _flush(self, written: int) -> None:
        """Begin to flush if much has been written, so that less is left at the end."""
        self._waiting += written
        if self._waiting < _FLUSHED or not (self._flushed is None or self._flushed.done()):
            return
        if self._flushed is not None:
            self._flushed.result()
        self._flushed, self._waiting = self._flushing.submit(os.fsync, self._file.fileno()), 0


def _parts(view: memoryview) -> Iterator[memoryview]:
    return (view[start : start + _PIECE] for start in range(0, len(view), _PIECE))
