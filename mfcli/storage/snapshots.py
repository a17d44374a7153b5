"""Consistent reading of folders that another process may replace at any moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from mfcli.errors import ArtifactError, Text
from mfcli.storage.files import MappedFile, exists
from mfcli.storage.temporaries import is_being_replaced, recover

T = TypeVar("T")

_TRIES = 5
_PAUSE = 0.02  # seconds
_LONGEST = 50  # pauses to wait for a folder, about a second


def open_files(
    folder: Path, digests: Mapping[str, str], required: Collection[str], *, remedy: Text
) -> dict[str, MappedFile]:
    """Map files of a folder, and compare what is mapped with their recorded digests.

    Parameters
    ----------
    folder : Path
    digests : mapping of str
        SHA-256 by file name. Only files directly in the folder are read, whatever the names say.
    required : collection of str
        Files that must be listed.
    remedy : Text
        How to obtain correct files, for the message.

    Returns
    -------
    dict of MappedFile
        By file name. Their content stays the same if the folder is replaced.

    Raises
    ------
    ArtifactError
        If a required file is not listed, or a listed one is missing, unreadable or different.
    """
    if not set(required) <= set(digests):
        raise ArtifactError("its record does not list its files", place=folder, remedy=remedy)
    return {name: _open_file(folder, name, digests[name], remedy) for name in digests}


def _open_file(folder: Path, name: str, digest: str, remedy: Text) -> MappedFile:
    if "\0" in name or not name.isprintable():
        rule = f"its record lists a file {name!r}"
        raise ArtifactError(rule, place=folder, remedy=remedy)
    # Only the last part of a name: a manipulated record must not read elsewhere.
    file = MappedFile(folder / Path(name).name, remedy)
    if file.sha256() != digest:
        raise ArtifactError("is damaged (its digest is wrong)", place=file.path, remedy=remedy)
    return file


def whole(records: Sequence[Path], read: Callable[[], T], *, unchanged: bool = False) -> T:
    """Read a folder, and read it again if an error comes from its replacement in the meantime.

    If a process died while it replaced the folder, the old folder is put back first.

    Parameters
    ----------
    records : sequence of Path
        The record in the folder, and others that may be read too.
    read : callable
        Reads the record first, and then the files that it lists with `open_files`.
    unchanged : bool
        Also read again if there was no error: `read` opens a file more than once.

    Raises
    ------
    ArtifactError
        As `read`.
    """
    for _ in range(_TRIES):
        _settle(records)
        # If the records change in the meantime, the replacement may be the cause of an error.
        before = _versions(records)
        try:
            result = read()
        except ArtifactError:
            if _versions(records) == before:
                raise
        else:
            if not unchanged or _versions(records) == before:
                return result
        time.sleep(_PAUSE)
    return read()  # the error of a folder that is replaced all the time


def _settle(records: Sequence[Path]) -> None:
    """Wait until a folder whose record is missing is in place, or put it back."""
    if exists(records[0]):
        return
    for folder in [record.parent.resolve() for record in records]:
        recover(folder)
        for _ in range(_LONGEST):
            if exists(records[0]) or not is_being_replaced(folder):
                break
            time.sleep(_PAUSE)


def _versions(records: Sequence[Path]) -> list[tuple[int, ...] | None]:
    """Identify the files that are now at some paths."""
    return [_version(path) for path in records]


def _version(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    # The inode alone is not enough: it may be reused as soon as a file is removed.
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
