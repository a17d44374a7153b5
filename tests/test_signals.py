"""A signal ends a command at any moment, even if its exception is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends signals of POSIX")

BEGIN = """
import ctypes, os, signal, sys, threading, time, weakref
from mfcli.cli import run_until_signal

def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)

def wait():
    for _ in range(1000):
        time.sleep(0.01)
    print("not stopped")
"""
END = "\nrun_until_signal(command)\nprint('went on')\n"

LOSSES = {
    "in a destructor": """
class Sends:
    def __del__(self):
        send()
        for _ in range(1000): pass

def lose():
    Sends()
    wait()
""",
    "in a callback of a weak reference": """
class Any: pass

def lose():
    one = Any()
    kept = weakref.ref(one, lambda _: [send(), *range(1000)])
    del one
    wait()
""",
    "in a callback from C": """
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

@compare
def equal(a, b):
    send()
    return 0 * sum(range(1000))

def lose():
    ctypes.CDLL(None).qsort((ctypes.c_int * 2)(), 2, 4, equal)
    wait()
""",
    "by a library that catches everything": """
def lose():
    try:
        send()
        time.sleep(5)
    except BaseException:
        pass
    wait()
""",
}

COMMAND = """
def command():
    try:
        lose()
    except KeyboardInterrupt:
        print("stopped")
        raise
"""


def run(script: str, folder: Path) -> tuple[int, str, str]:
    """Run a script; return its exit status, and what it printed."""
    command = [sys.executable, "-c", BEGIN + script + END]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("how", LOSSES)
def test_a_lost_exception_is_raised_again(tmp_path: Path, how: str) -> None:
    assert run(LOSSES[how] + COMMAND, tmp_path) == (143, "stopped\n", "")


def test_clean_up_is_not_interrupted(tmp_path: Path) -> None:
    """The exception stays alive while `finally` and `except` run, so nothing is raised again."""
    script = """
def command():
    try:
        try:
            send(signal.SIGINT)
            wait()
        finally:
            wait_a_little()
    except BaseException:
        wait_a_little()
        print("cleaned up")
        sys.exit(5)

def wait_a_little():
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        pass
"""
    assert run(script, tmp_path) == (130, "cleaned up\n", "")


STUCK = """
from pathlib import Path
from mfcli.storage.temporaries import registered

def command():
    path = Path("temporary")
    path.touch()
    with registered(path, path.unlink):
        stay()
"""

STAYS = {
    "an exception is kept but not raised": """
def stay():
    try:
        send()
        time.sleep(5)
    except BaseException as error:
        kept = error
        time.sleep(20)
""",
    "compiled code runs, so that no handler can": """
def stay():
    threading.Timer(0.2, send).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # does not interrupt the call
    ctypes.CDLL(None).sleep(20)
""",
    "clean-up waits forever": """
def stay():
    try:
        send()
        time.sleep(5)
    finally:
        threading.Event().wait()
""",
}


@pytest.mark.parametrize("how", STAYS)
def test_a_command_that_does_not_end_is_ended(tmp_path: Path, how: str) -> None:
    begin = time.perf_counter()
    assert run(STAYS[how] + STUCK, tmp_path) == (143, "", "")
    assert time.perf_counter() - begin < 10
    assert list(tmp_path.iterdir()) == []


def test_a_second_signal_ends_the_command_at_once(tmp_path: Path) -> None:
    script = """
def stay():
    try:
        send(signal.SIGINT)
        time.sleep(5)
    finally:
        send(signal.SIGINT)
        time.sleep(0.5)
        print("not ended")
"""
    assert run(script + STUCK, tmp_path) == (130, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_command_ends_with_its_own_status_without_a_signal(tmp_path: Path) -> None:
    assert run("command = lambda: sys.exit(3)", tmp_path) == (3, "", "")
    script = "command = lambda: None\n"
    assert run(script, tmp_path) == (0, "went on\n", "")


def test_a_signal_after_the_command_ends_the_process_quietly(tmp_path: Path) -> None:
    script = "import atexit\natexit.register(send)\ncommand = lambda: sys.exit(0)"
    assert run(script, tmp_path) == (-signal.SIGTERM, "", "")


def test_hangups_are_ignored_under_nohup(tmp_path: Path) -> None:
    script = "command = lambda: send(signal.SIGHUP)"
    # The tests themselves may run under nohup.
    default, ignored = (f"signal.signal(signal.SIGHUP, signal.SIG_{x})\n" for x in ("DFL", "IGN"))
    assert run(default + script, tmp_path) == (129, "", "")
    assert run(ignored + script, tmp_path) == (0, "went on\n", "")


def test_importing_leaves_signals_alone() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    import mfcli.cli.main  # noqa: F401

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("loads", ["mfcli", "mfcli.__main__"])
def test_the_entry_point_handles_signals_before_it_loads_anything(loads: str) -> None:
    code = f"import sys; old = set(sys.modules); import {loads}; print(*set(sys.modules) - old)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"mfcli", loads}
