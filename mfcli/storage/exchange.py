"""The last step of a replacement: the new folder takes the place of the old one.

Linux and macOS swap two names in one step. Elsewhere the old folder is set aside first, to a place
from which it is put back if the new one does not take its place (see `temporaries`). The file
systems of containers cannot rename a folder of a lower layer at all (EXDEV); its files are then set
aside one by one.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
from pathlib import Path

_AT_FDCWD = -100  # "relative to the current folder", in calls of Linux
_SWAP = 2  # the flag has the same value in Linux and macOS
_IS_POSSIBLE = {errno.ENOTEMPTY, errno.EEXIST, errno.EXDEV}  # do not rule out an exchange


def exchange(new: Path, target: Path, aside: Path) -> None:
    """Move a folder to a target; a previous target is then at `new` or `aside`.

    Raises
    ------
    OSError
        The previous target is then in its place.
    """
    if not target.exists():
        new.rename(target)
    elif not _swapped(new, target):
        try:
            move(target, aside)
            new.rename(target)
        except OSError:
            move_back(aside, target)
            raise


def check_exchange(empty: Path, target: Path) -> None:
    """Check, without any change, that `exchange` can replace a target.

    A rename onto a folder that is not empty always fails, and the reason tells whether a rename
    elsewhere would work.

    Parameters
    ----------
    empty : Path
        Does not exist; a folder is created here.
    target : Path

    Raises
    ------
    OSError
    """
    (empty / "file").mkdir(parents=True)  # not empty, so that the rename cannot succeed
    try:
        target.rename(empty)
    except OSError as error:
        if error.errno not in _IS_POSSIBLE and os.name != "nt":
            raise


def move(source: Path, target: Path) -> None:
    """Rename a folder, or move its files one by one if the file system cannot rename it.

    Records are moved first, so that readers never take a part of a result for the whole.

    Raises
    ------
    OSError
    """
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV or not source.is_dir():
            raise
        target.mkdir(exist_ok=True)
        for path in sorted(source.iterdir(), key=_is_data):  # False sorts first: records
            move(path, target / path.name)
        source.rmdir()


def move_back(aside: Path, target: Path) -> bool:
    """Undo `move`, even if it was interrupted; return whether nothing is left aside.

    Files that are at the target already are neither replaced nor removed.
    """
    with contextlib.suppress(OSError):
        if not target.exists():
            aside.rename(target)
        elif aside.is_dir() and target.is_dir():
            # Records last: a folder without its record is not read.
            for path in sorted(aside.iterdir(), key=_is_data, reverse=True):
                move_back(path, target / path.name)
            aside.rmdir()
    return not aside.exists()


def _is_data(path: Path) -> bool:
    return path.suffix != ".json"


def _swapped(one: Path, other: Path) -> bool:
    """Swap two names in one step and return True, or return False if the system cannot."""
    paths = os.fsencode(one), os.fsencode(other)
    if sys.platform == "win32":
        return False
    # Python has no function for this. If a file system lacks it, the call fails, and the caller
    # falls back to two renames.
    system = ctypes.CDLL(None)
    if rename := getattr(system, "renamex_np", None):  # macOS
        return not rename(*paths, _SWAP)
    if rename := getattr(system, "renameat2", None):  # Linux
        return not rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _SWAP)
    return False
