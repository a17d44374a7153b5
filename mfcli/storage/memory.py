"""Available memory, to refuse work that cannot fit."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mfcli.errors import LimitError, Param, Text
from mfcli.storage import cgroups
from mfcli.storage.byte_sizes import bytes_text
from mfcli.storage.process_resources import current_resources

ROOT = Path("/")
_MAPPED = 160 << 20  # bytes of files in memory: libraries, and mapped pieces that are in use
_UNLIMITED = 1 << 62
_STEP = 10**7  # bytes to which limits in messages are rounded


def available_memory(root: Path = ROOT) -> int | None:
    """Return the bytes that this process may still allocate.

    This is the smallest of four amounts: what the machine has free, including swap; what the
    control groups of the process allow; what the limit on its address space allows; and what is
    left of the limit that `resources` has set.

    Parameters
    ----------
    root : Path
        Contains `proc` and `sys`.

    Returns
    -------
    int or None
        None if the system does not report any of them.
    """
    found = [*_machine(root), *cgroups.free_memory(root), *_process(), *_limit(root)]
    return max(min(found), 0) if found else None


def room(fixed: float = 0.0) -> int:
    """Return the bytes that may hold ratings at a time, if `fixed` bytes are needed in any case.

    What does not fit goes through temporary files. See `resources` for a value to test with.
    """
    chosen = current_resources().room
    if chosen is not None:
        return chosen
    available = available_memory()
    return _UNLIMITED if available is None else max(int(available - fixed), 0)


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
    if available is None or need <= available:
        return
    free = f"{bytes_text(available)} are free"
    rule = f"{what} needs about {bytes_text(need)} of memory, {free}"
    enough = _enough(need)
    if enough:
        remedy = [remedy, ", or use at least ", Param("memory", enough)]
    raise LimitError(rule, remedy=remedy)


def _enough(need: float) -> str:
    """Return a limit with which work fits, with some to spare; empty if none is too low."""
    most, left = current_resources().memory, min(_limit(ROOT), default=need)
    if most is None or need <= left:
        return ""
    return f"{int((most + need - left) / _STEP + 1.5) * _STEP // 10**6}MB"


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


def _limit(root: Path) -> Iterator[int]:
    """Yield what this process may still use of the limit that `resources` has set."""
    most = current_resources().memory
    if most is None:
        return
    # Pages of files that are mapped can be dropped, apart from those in use. Systems without this
    # file do not say how much memory of a process is its own; then the limit leaves out libraries.
    lines = cgroups.text(root / "proc/self/status")
    kilobytes = re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+) kB$", lines, re.MULTILINE)
    yield most - _MAPPED - 1024 * sum(map(int, kilobytes))
