"""Files in a cache folder that only this user can write.

Anyone who can write a file of compiled code can run code as the user who loads it. A folder is
therefore used only if it belongs to this user and nobody else may enter it. It is opened and then
checked, and files are opened relative to it, so that replacing one of its parents by another folder
or a link has no effect. On Windows, other users cannot write to the folders of a user.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from mfcli.storage.temporaries import registered

_MODE = 0o700
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_READ |= getattr(os, "O_NONBLOCK", 0)  # do not wait for a writer of a named pipe
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def cache_folder(name: str) -> Path:
    """Return the place for cached files of this user, without creating it.

    Raises
    ------
    OSError
        If the user has no home folder. The working folder never takes its place.
    """
    if sys.platform == "win32":
        given, usual = os.environ.get("LOCALAPPDATA", ""), "AppData/Local"
    elif sys.platform == "darwin":
        given, usual = "", "Library/Caches"
    else:
        given, usual = os.environ.get("XDG_CACHE_HOME", ""), ".cache"
    # Relative paths are invalid by the XDG specification, and would depend on the working folder.
    base = Path(given) if Path(given).is_absolute() else Path(f"~/{usual}").expanduser()
    if not base.is_absolute():
        raise FileNotFoundError("no home folder")
    return base / "mfcli" / name


def read_private(folder: Path, name: str) -> bytes:
    """Read a file of a private folder.

    Raises
    ------
    OSError
        If it is missing, or someone else may have written it.
    """
    with (
        _opened(folder) as (place, handle),
        os.fdopen(os.open(place + name, _READ, dir_fd=handle), "rb") as file,
    ):
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not _is_private(status, 0o022):
            raise PermissionError(f"{name} is not a file of this user alone")
        return file.read()


def write_private(folder: Path, name: str, data: bytes) -> None:
    """Write a file of a private folder, replacing an older one in one step.

    Raises
    ------
    OSError
        If it cannot be written, or the folder is not private.
    """
    folder.mkdir(_MODE, parents=True, exist_ok=True)
    new = f"{name}.{os.urandom(4).hex()}.new"  # random: processes may compile at the same time
    with _opened(folder) as (place, handle):

        def remove() -> None:
            with contextlib.suppress(OSError):
                os.unlink(place + new, dir_fd=handle)

        with registered(folder / new, remove):
            with os.fdopen(os.open(place + new, _WRITE, 0o600, dir_fd=handle), "wb") as file:
                file.write(data)
            os.replace(place + new, place + name, src_dir_fd=handle, dst_dir_fd=handle)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[tuple[str, int | None]]:
    """Open a private folder; yield what to put before names in it, and its handle, if any."""
    if os.name == "nt":
        yield f"{folder}{os.sep}", None
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if not _is_private(os.fstat(handle), 0o077):
            raise PermissionError(f"{folder} is not a folder of this user alone")
        yield "", handle
    finally:
        os.close(handle)


def _is_private(status: os.stat_result, forbidden: int) -> bool:
    """Return whether a file or folder is of this user, without certain rights of others."""
    return os.name == "nt" or (status.st_uid == os.geteuid() and not status.st_mode & forbidden)
