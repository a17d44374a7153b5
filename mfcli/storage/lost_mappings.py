"""What happens if a mapped file is truncated, or its disk fails, while it is in use.

The system sends SIGBUS to the thread that reads the lost page. Nothing can take the place of that
page, so the process must end. A handler in Python does not run, because the thread never returns to
the interpreter; a C function that calls Python does. It runs where the page was read, in the middle
of a copy or a computation and never while memory is allocated, so that it can name the file.
"""

from __future__ import annotations

import mmap
import signal
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mfcli.errors import ArtifactError

_mappings: weakref.WeakKeyDictionary[mmap.mmap, Path] = weakref.WeakKeyDictionary()
_installed: list[Any] = []  # keeps the C function alive
_handlers: list[Callable[[ArtifactError], object]] = []


def on_lost_mapping(handler: Callable[[ArtifactError], object]) -> None:
    """Choose what happens if a mapped file is lost; by default, the system ends the process.

    For programs that own their process, such as the command line.

    Parameters
    ----------
    handler : callable
        Called with an error that names the file; must end the process with `os._exit`.
    """
    _handlers[:] = [handler]


def mappings() -> list[mmap.mmap]:
    """Return the mappings in use."""
    return list(_mappings)


def watch(path: Path, mapping: mmap.mmap) -> None:
    """Remember a mapping, so that an error can name its file."""
    _mappings[mapping] = path
    # Installed with the first mapping only, since `ctypes` takes time to load.
    if _handlers and not _installed and hasattr(signal, "SIGBUS"):
        import ctypes

        kind = ctypes.CFUNCTYPE(None, ctypes.c_int)
        _installed.append(kind(lambda number: _handlers[-1](_error())))
        # `signal.signal` of Python would only set a flag, which nobody reads; see above.
        system = ctypes.CDLL(None)
        system.signal.argtypes, system.signal.restype = [ctypes.c_int, kind], ctypes.c_void_p
        system.signal(signal.SIGBUS, _installed[-1])


def _error() -> ArtifactError:
    """Name the file that is shorter than its mapping."""
    for mapping, path in list(_mappings.items()):
        if mapping.size() < len(mapping):
            rule = "was truncated while it was read"
            return ArtifactError(rule, place=path, remedy="create it again")
    return ArtifactError("a file can no longer be read: its disk or network failed")
