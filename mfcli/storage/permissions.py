"""Permissions of replaced files and folders, which their replacements inherit."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

_ACCESS_LISTS = ("system.posix_acl_access", "system.posix_acl_default")  # of Linux


def copy_permissions(old: Path, new: Path) -> None:
    """Give a file or folder, and all in it, the permissions of what it replaces.

    These are the mode and, where this process may set them, the owner, the group and, on Linux, the
    access control lists. What replaces nothing keeps the permissions with which it was created.
    """
    for path in (new, *new.rglob("*")):
        _copy(old / path.relative_to(new), path)


def _copy(old: Path, new: Path) -> None:
    if not old.exists():
        return
    status = old.stat()
    if hasattr(os, "chown"):
        now = new.stat()
        for user, group in ((status.st_uid, -1), (-1, status.st_gid)):
            # One at a time: only root may give a file away, but many may choose the group. Nothing
            # is set that is right already, because some file systems refuse every change.
            if (user, group) not in ((now.st_uid, -1), (-1, now.st_gid)):
                with contextlib.suppress(OSError):
                    os.chown(new, user, group)
    if hasattr(os, "getxattr"):
        for name in _ACCESS_LISTS:
            with contextlib.suppress(OSError):
                os.setxattr(new, name, os.getxattr(old, name))
    # Last, because a change of the owner clears some bits of the mode.
    new.chmod(stat.S_IMODE(status.st_mode))
