"""Keeping a process as it is while it is connected to Ray.

Ray sets handlers of signals, in Python and in C. It prints messages of other machines to stdout,
sets variables of the environment, and warns through a logger.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from mfcli.clusters.library import forget_variables, ray

_ACTION = 512  # bytes, more than any system needs for the action of a signal


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let Ray print nothing while the block runs, and restore the environment at its end."""
    logger, before = logging.getLogger("ray"), dict(os.environ)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with _no_messages():
            yield
    finally:
        logger.setLevel(level)
        forget_variables(before)


@contextlib.contextmanager
def _no_messages() -> Iterator[None]:
    """Drop messages of other machines, such as that a worker was lost, which Ray has no option for.

    Errors say what matters, in one line.
    """
    ray()
    from ray._private import worker

    name = "print_to_stdstream"
    original = getattr(worker, name, None)
    if original is None:
        yield
        return
    setattr(worker, name, lambda *args, **options: None)
    try:
        yield
    finally:
        setattr(worker, name, original)


@contextlib.contextmanager
def same_signals() -> Iterator[None]:
    """Restore the handlers of signals that the block changes; drop the warnings of libraries."""
    numbers = [n for n in signal.valid_signals() if n not in _FIXED]
    handlers = {number: signal.getsignal(number) for number in numbers}
    actions = _actions(numbers)
    has_faults = faulthandler.is_enabled()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if faulthandler.is_enabled() and not has_faults:
            faulthandler.disable()
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler and handler is not None:
                signal.signal(number, handler)
        _restore(actions)


_FIXED = {getattr(signal, name, None) for name in ("SIGKILL", "SIGSTOP")}


def _system() -> Any:
    import ctypes

    return None if os.name == "nt" else ctypes.CDLL(None)


def _actions(numbers: Iterable[int]) -> dict[int, Any]:
    """Return what the system does on each signal, in its own format: code in C may handle some."""
    system = _system()
    if system is None:
        return {}
    import ctypes

    found = {number: ctypes.create_string_buffer(_ACTION) for number in numbers}
    return {n: kept for n, kept in found.items() if system.sigaction(int(n), None, kept) == 0}


def _restore(actions: dict[int, Any]) -> None:
    for number, action in actions.items():
        _system().sigaction(int(number), action, None)
