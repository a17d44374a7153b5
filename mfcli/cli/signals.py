"""Stopping on Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any, NoReturn

_received: list[int] = []
_RETRY = 0.05  # seconds


def received() -> int:
    """Return the signal that asked this process to stop; 0 if there was none."""
    return _received[-1] if _received else 0


def catch_signals() -> None:
    """Unwind on SIGINT and SIGTERM, so that no partial files are left."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stop)


class _Stopped(KeyboardInterrupt):
    """A subclass, because Python ends by SIGINT if a plain KeyboardInterrupt went through C code.

    Python remembers a KeyboardInterrupt that left code run from C, such as a module while it
    loads, and kills itself with SIGINT at exit, no matter whether the exception was handled.
    """


def _stop(number: int, frame: Any) -> NoReturn:
    """Unwind; the same signal again ends the process at once."""
    signal.signal(number, signal.SIG_DFL)
    _received.append(number)
    sys.unraisablehook = _stop_later
    raise _Stopped


def _stop_later(unraisable: Any) -> None:
    """Stop again if Python dropped the exception, as it does in callbacks of weak references."""
    if unraisable.exc_type is not _Stopped:
        sys.__unraisablehook__(unraisable)
        return
    signal.signal(received(), _stop)
    threading.Timer(_RETRY, os.kill, (os.getpid(), received())).start()
