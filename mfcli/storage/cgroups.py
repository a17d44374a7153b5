"""Limits of Linux control groups, which containers and batch systems set on memory and processors.

A process belongs to one group for each controller (version 1) or to one group for all of them
(version 2). Groups are nested, and the limits of all surrounding groups apply. See
https://docs.kernel.org/admin-guide/cgroup-v2.html and
https://docs.kernel.org/admin-guide/cgroup-v1/index.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_UNLIMITED = 1 << 60  # version 1 writes a number above this for "no limit"


def free_memory(root: Path) -> Iterator[int]:
    """Yield the bytes that each group still allows.

    Memory that caches files counts as free, because the system reclaims it.

    Parameters
    ----------
    root : Path
        Contains `proc` and `sys`.
    """
    for version, group in _groups(root, "memory"):
        names = {1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")}
        limit, usage, cache = names.get(version, ("memory.max", "memory.current", "inactive_file"))
        most, used = text(group / limit).strip(), text(group / usage).strip()
        if most.isdigit() and used.isdigit() and int(most) < _UNLIMITED:
            statistics = text(group / "memory.stat")
            cached = re.search(rf"^{cache} (\d+)$", statistics, re.MULTILINE)
            yield int(most) - int(used) + (int(cached[1]) if cached else 0)


def processors(root: Path) -> Iterator[float]:
    """Yield the number of processors whose time each group allows; it may be a fraction.

    Parameters
    ----------
    root : Path
        Contains `proc` and `sys`.
    """
    for version, group in _groups(root, "cpu"):
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if version == 1 else ("cpu.max",)
        values = " ".join(text(group / name) for name in names).split()
        # No limit is "max" in version 2 and -1 in version 1: neither is a number of digits.
        if len(values) == 2 and all(value.isdigit() for value in values) and int(values[1]):
            yield int(values[0]) / int(values[1])  # microseconds of processor time per period


def text(path: Path) -> str:
    """Return the content of a file; nothing if it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _groups(root: Path, controller: str) -> Iterator[tuple[int, Path]]:
    """Yield the version and folder of the groups of this process and of the groups around them."""
    for line in text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)  # "4:cpu,cpuacct:/a/b", or "0::/a/b" in version 2
        # Version 1 lists the controllers of each hierarchy; version 2 has one line without any.
        if controllers and controller not in controllers.split(","):
            continue
        group = Path(path.lstrip("/"))
        # A hierarchy is mounted under its controllers' names, and linked under each name.
        for top in {controller, controllers} if controllers else {""}:
            # Inside a container, the path may not exist here; files that cannot be read are
            # skipped.
            for part in (group, *group.parents):
                yield (1 if controllers else 2), root / "sys/fs/cgroup" / top / part
