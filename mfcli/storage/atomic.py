"""Replacement of files and folders in one step.

The new file or folder is written next to its target under a temporary name, flushed to the disk and
then renamed. A reader sees the old one or the new one, and nothing in between.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from mfcli.errors import ArtifactError

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
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=_temporary_prefix(target), suffix=target.suffix
        )
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())  # mkstemp creates files that only the owner can read
            _flush(temporary)
            temporary.replace(target)
            _flush(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


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
        folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=_temporary_prefix(target)))
        try:
            yield folder
            folder.chmod(0o777 & ~_umask())
            for path in (*folder.rglob("*"), folder):
                _flush(path)
            _exchange(folder, target)
            _flush(target.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


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
    """Check, before long work, that `replacing_file` can write a file.

    Raises
    ------
    ArtifactError
    """
    with writing(target):
        _refuse_folder(target)
        folders = target.absolute().parents
        with tempfile.TemporaryFile(dir=next(path for path in folders if path.exists())):
            pass


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


def _temporary_prefix(target: Path) -> str:
    """Return a prefix with the number of this process; remove files of processes that died."""
    name = f".{target.resolve().name}."
    for path in target.parent.glob(f"{glob.escape(name)}*"):
        owner = path.name.removeprefix(name).partition(".")[0]
        if owner.isdigit() and not _is_running(int(owner)):
            _remove(path)
    return f"{name}{os.getpid()}."


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)  # there is no call that only reads it
    os.umask(mask)
    return mask


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

    Linux swaps the two names in one step. Elsewhere the old folder is renamed first, and renamed
    back if the new one cannot take its place.
    """
    if not target.exists():
        folder.rename(target)
    elif not _swapped(folder, target):
        aside = folder.with_name(folder.name + ".old")
        target.rename(aside)
        try:
            folder.rename(target)
        except OSError:
            aside.rename(target)
            raise
        aside.rename(folder)


def _swapped(folder: Path, target: Path) -> bool:
    """Swap two names in one step and return True, or return False if the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    paths = (os.fsencode(folder), os.fsencode(target))
    return rename is not None and not rename(
        _AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE
    )
