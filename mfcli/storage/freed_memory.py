"""Memory that was freed, but that the C library keeps for later."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from mfcli.storage.process_resources import is_limited


def trim_memory() -> None:
    """Give freed memory back to the system, if memory is limited.

    The C library of Linux keeps it, apart from large pieces. Other systems need no such request.
    """
    if is_limited():
        _trim()(0)


@functools.cache
def _trim() -> Callable[[int], Any]:
    if not sys.platform.startswith("linux"):
        return lambda size: None
    import ctypes  # it takes time to load

    # Not in every C library of Linux
    found: Callable[[int], Any] = getattr(ctypes.CDLL(None), "malloc_trim", lambda size: None)
    return found
