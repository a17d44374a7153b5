"""Remedies for errors of the system that are the fault of no file."""

from __future__ import annotations

import errno

_OPEN_FILES = "raise the limit on open files (see ulimit -n)"
_REMEDIES = {
    errno.EMFILE: _OPEN_FILES,
    errno.ENFILE: _OPEN_FILES,
    errno.ENOMEM: "free some memory, or raise its limit (see ulimit -v)",
}


def remedy_for(error: OSError, usual: str = "") -> str:
    """Return what to do about an error: for a limit, to raise it; otherwise what is usual."""
    return _REMEDIES.get(error.errno or 0, usual)
