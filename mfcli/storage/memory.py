"""How much memory there is, so that work that cannot fit is not begun."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mfcli.errors import LimitError

ROOT = Path("/")

_UNLIMITED = 1 << 60  # what version 1 of Linux's control groups writes for "no limit" is above that


def available_memory(root: Path = ROOT) -> int | None:
    """Return the bytes that this process may still take.

    The least of what the machine has free, swap included, and of what the limits of the process and
    of its control groups (containers, batch systems) leave. None where the system does not tell.

    Parameters
    ----------
    root : Path
        Where `proc` and `sys` are.
    """
    found = [*_machine(root), *_control_groups(root), *_process()]
    return max(min(found), 0) if found else None


def check_memory(need: float, what: str, remedy: str) -> None:
    """Refuse work that needs more memory than there is.

    Parameters
    ----------
    need : float
        Bytes, at least.
    what, remedy : str
        For the message.

    Raises
    ------
    LimitError
    """
    there = available_memory()
    if there is not None and need > there:
        raise LimitError(
            f"{what} needs about {need / 1e9:.2f} GB of memory, {there / 1e9:.2f} GB are free;"
            f" {remedy}"
        )


def _machine(root: Path) -> Iterator[int]:
    values = dict(re.findall(r"^(\w+): +(\d+) kB$", _text(root / "proc/meminfo"), re.MULTILINE))
    if "MemAvailable" in values:
        yield 1024 * (int(values["MemAvailable"]) + int(values.get("SwapFree", 0)))


def _control_groups(root: Path) -> Iterator[int]:
    """Yield what the limits of this process's groups, and of those around them, leave."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            top = root / "sys/fs/cgroup" / controllers
            names = _V1 if controllers else _V2
            for part in (Path(path.lstrip("/")), *Path(path.lstrip("/")).parents):
                yield from _group(top / part, *names)


_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = ("memory.max", "memory.current", "inactive_file")


def _group(folder: Path, limit: str, usage: str, cache: str) -> Iterator[int]:
    most, used = _text(folder / limit).strip(), _text(folder / usage).strip()
    if not most.isdigit() or not used.isdigit() or int(most) > _UNLIMITED:
        return
    file = re.search(rf"^{cache} (\d+)$", _text(folder / "memory.stat"), re.MULTILINE)
    yield int(most) - int(used) + (int(file[1]) if file else 0)


def _process() -> Iterator[int]:
    """Yield what the limit on the address space leaves (`ulimit -v`)."""
    try:
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_AS)
        pages = int(_text(ROOT / "proc/self/statm").split()[0])
        if most != resource.RLIM_INFINITY:
            yield most - pages * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, IndexError, ValueError):
        return


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
