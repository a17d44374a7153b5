"""Files to which whole lines are appended, by several processes at once."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import BinaryIO

from mfcli.errors import ArtifactError
from mfcli.storage.inspection import check_access, check_not_inspecting, is_inspecting
from mfcli.storage.marks import check_not_result
from mfcli.storage.writing import writing

_REMEDY = "choose another file"
_WRITING = 0.05  # seconds in which another process completes a line of which a part is visible


class AppendedLines:
    """A file to which whole lines are appended.

    Each line is written by one call of the system, so that lines of several processes do not mix,
    and a kill leaves all lines before it. If the last line of the file was cut, by a crash or a
    full disk, the next one begins on a line of its own.

    Parameters
    ----------
    path : Path
        A regular file, which may be missing, or a pipe that a program reads.
    start : bytes
        What a file of this kind starts with; another file is not changed.
    what : str
        What the file is, in words for messages.

    Raises
    ------
    ArtifactError
        If the file is of another kind, is a result of mfcli or belongs to one, or cannot be
        written.
    """

    def __init__(self, path: Path, start: bytes, what: str) -> None:
        self.path = path
        with writing(path):
            self._is_cut = _is_cut(path, start, what)
            self._file = _looked_at(path) if is_inspecting() else _opened(path)

    def append(self, line: bytes) -> None:
        """Append a line, which ends with a line break.

        Raises
        ------
        ArtifactError
            If it cannot be written.
        """
        text = b"\n" + line if self._is_cut else line
        rest = text
        with writing(self.path):
            check_not_inspecting(self.path)
            try:
                while rest:
                    rest = rest[os.write(self._file.fileno(), rest) :]
            finally:
                if len(rest) < len(text):
                    self._is_cut = bool(rest)

    def close(self) -> None:
        self._file.close()


def _is_cut(path: Path, start: bytes, what: str) -> bool:
    """Check what a file is, and return whether its last line was cut."""
    if path.is_fifo():
        return False
    if path.exists() and not path.is_file():
        # Opening a device may have effects, and a folder cannot be opened.
        raise ArtifactError("must be a regular file or a pipe", place=path, remedy=_REMEDY)
    check_not_result(path)
    if not path.exists():
        return False
    with path.open("rb") as file:
        found = file.read(len(start))
        if not start.startswith(found):
            raise ArtifactError(f"is not {what}", place=path, remedy=_REMEDY)
        if not found or _is_whole(file):
            return False
        time.sleep(_WRITING)
        return not _is_whole(file)


def _is_whole(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"  # not more: another process may append in the meantime


def _looked_at(path: Path) -> BinaryIO:
    """Check that a file could be opened; whether a program reads a pipe is seen only later."""
    if path.is_file():
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
    elif not path.exists():
        check_access(path)
    return Path(os.devnull).open("ab", buffering=0)


def _opened(path: Path) -> BinaryIO:
    """Open a file to append to; a pipe without a reader is an error, because it would block."""
    path.resolve().parent.mkdir(parents=True, exist_ok=True)  # a link may point to elsewhere
    names = ("O_NONBLOCK", "O_BINARY", "O_NOCTTY", "O_CLOEXEC")
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    for name in names:  # no system has all of them
        flags |= getattr(os, name, 0)
    try:
        handle = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        rule, remedy = "is a pipe that nothing reads", "start its reader first"
        raise ArtifactError(rule, place=path, remedy=remedy) from error
    if os.name == "posix":
        os.set_blocking(handle, True)  # lines wait for a slow reader
    return open(handle, "ab", buffering=0)  # noqa: PTH123 - a handle, not a path
