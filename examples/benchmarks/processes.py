"""Processes as a whole: time and peak memory."""

from __future__ import annotations

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
    begin = time.perf_counter()
    child = subprocess.Popen(args, stdout=subprocess.DEVNULL, cwd=folder, env=environment)
    _, status, used = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, args)
    return Usage(seconds, used.ru_maxrss * _UNIT / 1e9)


def together(used: Sequence[Usage]) -> Usage:
    """Add processes that run one after another."""
    return Usage(sum(one.seconds for one in used), max(one.peak for one in used))
