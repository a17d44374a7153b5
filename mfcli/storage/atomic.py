"""Replacement of files and folders in one step.

The new file or folder is written next to its target under a temporary name, flushed to the disk and
then renamed. A reader sees the old one or the new one, and nothing in between.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from mfcli.errors import ArtifactError
from mfcli.storage.temporaries import OLD, moving, temporary_beside

_AT_FDCWD = -100  # "relative to the current folder", in calls of Linux
_RENAME_EXCHANGE = 2
_REMEDY = "choose another place"


@contextlib.contextmanager
def replacing_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path; the file written there becomes `target` if the block succeeds.

    Raises
    ------
    ArtifactError
        If the file cannot be written.
    """
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _refuse_folder(target)
        target = target.resolve()
        with temporary_beside(target) as temporary:
            temporary.touch()
            yield temporary
            _flush(temporary)
            with moving:
                temporary.replace(target)
            _flush(target.parent)


@contextlib.contextmanager
def replacing_folder(target: Path, names: Collection[str]) -> Iterator[Path]:
    """Yield a temporary folder, which becomes `target` if the block succeeds.

    Parameters
    ----------
    target : Path
        Replaced only if it is missing, empty, or contains nothing but `names`.
    names : collection of str
        The files that such a folder may contain.

    Raises
    ------
    ArtifactError
        If the target contains other files or cannot be written.
    """
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _refuse_other_files(target, names)
        target = target.resolve()
        with temporary_beside(target) as folder:
            folder.mkdir()
            yield folder
            for path in (*folder.rglob("*"), folder):
                _flush(path)
            with moving:
                _exchange(folder, target)
            _flush(target.parent)


def check_replaceable(folder: Path, names: Collection[str]) -> None:
    """Check, before long work, that `replacing_folder` can write a folder.

    Raises
    ------
    ArtifactError
    """
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _refuse_other_files(folder, names)
        with tempfile.TemporaryFile(dir=folder.parent):
            pass


def check_writable_file(target: Path) -> None:
    """Check, before long work, that the target of `replacing_file` is not a folder.

    Raises
    ------
    ArtifactError
    """
    with writing(target):
        _refuse_folder(target)


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Convert errors of the system to an `ArtifactError` that names the target."""
    try:
        yield
    except OSError as error:
        # Arrow puts its own words before those of the system: "[Errno 28] No space left ..."
        reason = (error.strerror or str(error)).rpartition("] ")[2]
        rule = f"cannot be written: {reason}"
        raise ArtifactError(rule, place=target, remedy=_REMEDY) from error


def _refuse_folder(target: Path) -> None:
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a directory")


def _refuse_other_files(target: Path, names: Collection[str]) -> None:
    if not target.exists() and not target.is_symlink():
        return
    if target.is_symlink() or not target.is_dir():
        raise ArtifactError("must be a folder to be replaced", place=target, remedy=_REMEDY)
    others = sorted(path.name for path in target.rglob("*") if path.name not in names)
    if others:
        rule = f"holds files that mfcli did not write ({others[0]!r})"
        raise ArtifactError(rule, place=target, remedy=f"{_REMEDY} or move them")


def _flush(path: Path) -> None:
    """Write a file, or the list of files of a folder, to the disk."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _exchange(folder: Path, target: Path) -> None:
    """Move `folder` to `target`; the previous target, if any, is then at `folder`.

    Linux swaps the two names in one step. Elsewhere the old folder is renamed first, to a place
    from which it is put back if the new one does not take its place.
    """
    if not target.exists():
        folder.rename(target)
    elif not _swapped(folder, target):
        aside = folder.with_name(OLD)
        target.rename(aside)
        try:
            folder.rename(target)
        except OSError:
            aside.rename(target)
            raise


def _swapped(folder: Path, target: Path) -> bool:
    """Swap two names in one step and return True, or return False if the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    paths = (os.fsencode(folder), os.fsencode(target))
    return rename is not None and not rename(
        _AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE
    )
