"""Stopping on signals: Ctrl-C, SIGTERM and SIGHUP, and Ctrl-Break on Windows.

The handler raises an exception in the main thread, so that commands say how to resume and remove
what they began. That alone is not reliable: Python drops an exception that is raised in a callback
(of a weak reference, a destructor, compiled code), libraries may catch it, and a handler cannot run
during a long call of compiled code. A watchdog thread, which the system wakes at once, therefore
asks the handler to raise again whenever the exception is lost, and ends the process if it takes too
long. Temporary files are removed at the end, when nothing can interrupt that any more.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

_PATIENCE = 1.5  # seconds to unwind after a signal
_INTERVAL = 0.02  # seconds between two checks of the watchdog
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # no system has all of them
_SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]


class _Stopped(KeyboardInterrupt):
    """A subclass, because Python ends by SIGINT if a plain KeyboardInterrupt went through C code.

    Python remembers a KeyboardInterrupt that left code run from C, such as a module while it
    loads, and kills itself with SIGINT at exit, no matter whether the exception was handled.
    """


class _State:
    """What is known about the signal that stops this process.

    Attributes
    ----------
    number : int
        The signal; 0 if there was none.
    raised : weak reference or None
        To the exception. It is dead when the exception is lost. While the exception unwinds the
        main thread, or clean-up runs because of it, Python keeps it alive.
    again : bool
        The watchdog asks the handler to raise once more.
    ending : bool
        The command has ended; the handler must not raise.
    kept : set of int
        Signals that do not stop the process now.
    """

    number: int = 0
    raised: weakref.ref[_Stopped] | None = None
    again: bool = False
    ending: bool = False

    def __init__(self) -> None:
        self.kept: set[int] = set()


_state = _State()


def received() -> int:
    """Return the signal that asked this process to stop; 0 if there was none."""
    return _state.number


def run_until_signal(command: Callable[[], object]) -> None:
    """Run a command; a signal ends the process with the status 128 + its number.

    Only for the main thread of a process that has nothing else to do.

    Parameters
    ----------
    command : callable
        On the first signal, a KeyboardInterrupt is raised in it. On the second one, or if it takes
        longer than 1.5 seconds to end, the process ends at once.
    """
    try:
        try:
            _catch_signals()
            command()
        finally:
            _state.ending = True
    except BaseException:
        # Any exception, because modules that are interrupted while they load raise anything.
        _state.ending = True  # the line above may have been interrupted
        if not _state.number:
            _release_signals()
            raise
    if _state.number:
        atexit._run_exitfuncs()  # libraries remove their temporary files
        _end_process()
    _release_signals()


@contextlib.contextmanager
def on_hangup(act: Callable[[], None]) -> Iterator[None]:
    """Let SIGHUP call a function in another thread within a block, instead of stopping the process.

    If the process was started on a terminal that is gone, SIGHUP stops it nevertheless.
    """
    if not hasattr(signal, "SIGHUP"):  # Windows
        yield
        return
    on_terminal, before = os.isatty(2), signal.getsignal(signal.SIGHUP)

    def handle(number: int, frame: Any) -> None:
        if on_terminal and not os.isatty(2):
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            # Not here: the next signal may arrive while this function holds a lock that it needs.
            with contextlib.suppress(RuntimeError):  # a limit on threads
                _thread.start_new_thread(act, ())

    _state.kept.add(signal.SIGHUP)
    signal.signal(signal.SIGHUP, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
        _state.kept.discard(signal.SIGHUP)


def _catch_signals() -> None:
    read, write = os.pipe()
    if os.name != "nt":
        os.set_blocking(write, False)  # required; Python 3.11 cannot do it on Windows
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in _SIGNALS:
        # `nohup` ignores SIGHUP, which must stay so. Shells make background jobs ignore
        # SIGINT, but `kill -INT` must stop them.
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)
    # Without Python's `threading`, some of whose locks the main thread may hold when a signal
    # arrives. Without the thread, if there is a limit on threads, exceptions may be lost.
    with contextlib.suppress(RuntimeError):
        _thread.start_new_thread(_watch, (read, threading.get_ident()))


def _release_signals() -> None:
    """Restore the default handlers, because Python cannot run others while it shuts down."""
    for number in _SIGNALS:
        if signal.getsignal(number) is _handle:
            signal.signal(number, signal.SIG_DFL)


def _handle(number: int, frame: Any) -> NoReturn:
    """Unwind the main thread; end the process if it is the second signal."""
    is_first = not _state.number
    _state.number = _state.number or number
    if _state.ending or not (is_first or _state.again):
        _end_process()
    _state.again = False
    _silence_consequences()
    raise _exception()  # must not be a variable: the traceback would keep it alive


def _exception() -> _Stopped:
    made = _Stopped()
    _state.raised = weakref.ref(made)
    return made


def _silence_consequences() -> None:
    """Print no tracebacks: whatever fails from now on, fails because of the signal."""
    sys.excepthook = sys.unraisablehook = threading.excepthook = _ignore


def _ignore(*_: object) -> None:
    pass


def _watch(wakeup: int, main_thread: int) -> None:
    """Wait for the number of a signal in the pipe, then make sure that the process ends."""
    number = 0
    while number not in _SIGNALS or number in _state.kept:
        number = os.read(wakeup, 1)[0]  # signals that other code handles come here too
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        time.sleep(_INTERVAL)
        lost = _state.raised is not None and _state.raised() is None
        if lost and not (_state.again or _state.ending):
            _state.again = True
            _send(number, main_thread)
    # The handler may not have run: the main thread has been in compiled code all the time.
    _state.number = _state.number or number
    _remove_and_exit()


def _send(number: int, main_thread: int) -> None:
    """Send a signal to the main thread, which it wakes if it waits for something."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main_thread, number)
    else:
        _thread.interrupt_main(signal.Signals(number))


def _end_process() -> NoReturn:
    """End the process from the main thread."""
    _state.ending = True
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    _remove_and_exit()


def _remove_and_exit() -> NoReturn:
    try:
        # Not imported here: the main thread may be interrupted in the middle of that import.
        storage = sys.modules.get("mfcli.storage.temporaries")
        if remove := getattr(storage, "remove_temporaries", None):
            remove()
    finally:
        os._exit(128 + _state.number)  # the status that shells give to a process that a signal ends
