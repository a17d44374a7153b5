"""Available memory, to refuse work that cannot fit."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mfcli.errors import LimitError, Text
from mfcli.storage import cgroups

ROOT = Path("/")


def available_memory(root: Path = ROOT) -> int | None:
    """Return the bytes that this process may still allocate.

    This is the smallest of three amounts: what the machine has free, including swap; what the
    control groups of the process allow; and what the limit on its address space allows.

    Parameters
    ----------
    root : Path
        Contains `proc` and `sys`.

    Returns
    -------
    int or None
        None if the system does not report any of them.
    """
    found = [*_machine(root), *cgroups.free_memory(root), *_process()]
    return max(min(found), 0) if found else None


def check_memory(need: float, what: str, remedy: Text) -> None:
    """Refuse work that needs more memory than is available.

    Parameters
    ----------
    need : float
        Bytes.
    what : str
        The work, such as "reading data.csv".
    remedy : Text

    Raises
    ------
    LimitError
    """
    available = available_memory()
    if available is not None and need > available:
        raise LimitError(
            f"{what} needs about {need / 1e9:.2f} GB of memory, {available / 1e9:.2f} GB are free",
            remedy=remedy,
        )


def _machine(root: Path) -> Iterator[int]:
    lines = cgroups.text(root / "proc/meminfo")
    values = dict(re.findall(r"^(\w+): +(\d+) kB$", lines, re.MULTILINE))
    # The kernel's own estimate, which counts caches that it can drop; free swap comes on top.
    if "MemAvailable" in values:
        yield 1024 * (int(values["MemAvailable"]) + int(values.get("SwapFree", 0)))


def _process() -> Iterator[int]:
    """Yield what the limit on the address space allows (`ulimit -v`)."""
    try:
        import resource  # missing on Windows

        most, _ = resource.getrlimit(resource.RLIMIT_AS)  # the soft limit is the one that applies
        # The first number is the size of the address space, in pages.
        pages = int(cgroups.text(ROOT / "proc/self/statm").split()[0])
        if most != resource.RLIM_INFINITY:
            yield most - pages * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, IndexError, ValueError):
        return
