"""Processes as a whole: time and peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in a unit of `ru_maxrss`


class Usage(NamedTuple):
    """What one or more processes used.

    Attributes
    ----------
    seconds : float
    peak : float
        Memory in GB.
    """

    seconds: float
    peak: float


def usage(args: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Usage:
    """Run a process in a folder.

    Raises
    ------
    CalledProcessError
        If it fails.
    """
    # Until it executes its program, a new process counts the memory of the one that starts it, so
    # this file is run as a small program that starts it.
    words = [sys.executable, __file__, *args]
    done = subprocess.run(
        words, stdout=subprocess.PIPE, cwd=folder, env=environment, text=True, check=True
    )
    return Usage(*json.loads(done.stdout))


def together(used: Sequence[Usage]) -> Usage:
    """Add processes that run one after another."""
    return Usage(sum(one.seconds for one in used), max(one.peak for one in used))


def _measure(args: Sequence[str]) -> None:
    """Run a process and print its usage."""
    begin = time.perf_counter()
    child = subprocess.Popen(args, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(child.returncode)
    print(json.dumps([seconds, used.ru_maxrss * _UNIT / 1e9]))


if __name__ == "__main__":
    _measure(sys.argv[1:])
