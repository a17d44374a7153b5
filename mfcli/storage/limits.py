"""Remedies for limits of the system, such as the number of open files."""

from __future__ import annotations

import errno

_OPEN_FILES = "raise the limit on open files (see ulimit -n)"
_REMEDIES = {
    errno.EMFILE: _OPEN_FILES,
    errno.ENFILE: _OPEN_FILES,
    errno.ENOMEM: "free some memory, or raise its limit (see ulimit -v)",
}


def remedy_for(error: OSError, usual: str = "") -> str:
    """Return the remedy for an error: raise the limit if one was reached, or else `usual`."""
    return _REMEDIES.get(error.errno or 0, usual)
