"""Regular files, opened once and mapped into memory.

A file that is opened by its name twice may be two files, if it is replaced in between. What is
checked and what is used must therefore come from one mapping.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import mmap
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mfcli.errors import ArtifactError, Text
from mfcli.storage import lost_mappings
from mfcli.storage.limits import remedy_for
from mfcli.storage.mapped_pages import release_part

_REMEDY = "create it again"
_HASHED = 1 << 26  # bytes that are hashed before their memory is given back


class MappedFile:
    """The content of a regular file, mapped into memory as it is needed.

    Attributes
    ----------
    path : Path
        Where it was opened.
    content : memoryview
        Its bytes. They remain if the file is replaced or removed, but not if it is truncated.
    """

    def __init__(self, path: Path, remedy: Text = _REMEDY) -> None:
        """Open and map a file.

        Raises
        ------
        ArtifactError
            If it is missing, unreadable or not a regular file, or the address space is too small.
        """
        self.path = path
        self.content = memoryview(b"")
        self._mapping: mmap.mmap | None = None
        with open_regular(path, remedy) as file, reading(path):
            if os.fstat(file.fileno()).st_size:  # an empty file cannot be mapped
                mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                lost_mappings.watch(path, mapping)  # before the first page is read
                self.content, self._mapping = memoryview(mapping), mapping

    def sha256(self) -> str:
        """Return the SHA-256 of the content as 64 hexadecimal digits."""
        # Reading the mapping, not the file: what is hashed is what will be used.
        found = hashlib.sha256()
        for start in range(0, len(self.content), _HASHED):
            found.update(self.content[start : start + _HASHED])
            if self._mapping is not None:
                release_part(self._mapping, start, _HASHED)
        return found.hexdigest()

    def stream(self) -> BinaryIO:
        """Return a file object that reads the mapped content."""
        return io.BufferedReader(_Stream(self.content))


def mapped(source: Path | MappedFile, remedy: Text = _REMEDY) -> MappedFile:
    """Return a mapped file; map it if it is a path.

    Raises
    ------
    ArtifactError
        As `MappedFile`.
    """
    return source if isinstance(source, MappedFile) else MappedFile(source, remedy)


@contextlib.contextmanager
def open_regular(path: Path, remedy: Text = _REMEDY) -> Iterator[BinaryIO]:
    """Open a regular file, or a link to one, for reading.

    Raises
    ------
    ArtifactError
        If it is missing, unreadable, or a folder, a pipe, a device or a socket.
    """
    with reading(path):
        _check_regular(path, path.stat(), remedy)  # before, because opening a device has effects
        # In case the file was exchanged: a pipe without a writer would block.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(path, flags)
    with os.fdopen(handle, "rb") as file:
        _check_regular(path, os.fstat(handle), remedy)  # again: the name may have changed its file
        yield file


def _check_regular(path: Path, status: os.stat_result, remedy: Text) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise ArtifactError("must be a regular file", place=path, remedy=remedy)


def exists(path: Path) -> bool:
    """Return whether there is something at a path.

    Raises
    ------
    ArtifactError
        If the system does not say, because a folder is not accessible.
    """
    with reading(path):
        return path.exists()


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Convert errors of the system to an `ArtifactError` that names the file and the cause."""
    try:
        yield
    except OSError as error:
        rule = f"cannot be read: {error.strerror or error}"
        raise ArtifactError(rule, place=path, remedy=remedy_for(error)) from error
    except ValueError as error:  # a NUL or half a character in the name
        raise ArtifactError(f"cannot be read: {error}", place=repr(str(path))) from error


class _Stream(io.RawIOBase):
    """A file object over bytes in memory, without a copy of them."""

    def __init__(self, content: memoryview) -> None:
        self._content, self._position = content, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._content)}
        self._position = max(start[whence] + offset, 0)
        return self._position

    def readinto(self, buffer: Any) -> int:
        piece = self._content[self._position : self._position + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)
