"""What a command would read and write, and what it needs: the plan of a dry run."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfcli.errors import LimitError, Param
from mfcli.storage import available_memory, bytes_text, nearest_folder

PROCESS = 240_000_000
"""Bytes of Python, its libraries and the compiled kernels."""


@dataclass(frozen=True)
class Input:
    """What is read: its place, the bytes that it has now, and what it contains, in words."""

    path: str
    bytes: int
    contents: str


@dataclass(frozen=True)
class Output:
    """What is written: its place, about how many bytes, and those of the older one, if any."""

    path: str
    bytes: int
    replaces: int | None


@dataclass(frozen=True)
class Needed:
    """Bytes that are needed, about, and those that are free, if it is known.

    Attributes
    ----------
    need : int
    free : int or None
    place : str or None
        The folder of files; None for memory.
    """

    need: int
    free: int | None
    place: str | None = None


@dataclass(frozen=True)
class Forecast:
    """What a command would do.

    Attributes
    ----------
    facts : dict of str
        How it would work, by name.
    reads : list of Input
    writes : list of Output
    memory : Needed
        Without the pages of files that are mapped, which the system can drop.
    temporary : Needed or None
        Temporary space, if what does not fit in memory goes to the disk.
    space : Needed
        Space for what is written.
    seconds : float
    assumed : list of str
        What the estimates are based on, one sentence each.
    """

    facts: dict[str, str]
    reads: list[Input]
    writes: list[Output]
    memory: Needed
    temporary: Needed | None
    space: Needed
    seconds: float
    assumed: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return the forecast as plain values."""
        return dataclasses.asdict(self)


def memory_of(need: int) -> Needed:
    """Return what a process needs that allocates some bytes, and what it may use."""
    available = available_memory()
    # What this process has is free for the work as well, since it is counted there.
    return Needed(PROCESS + need, None if available is None else available + PROCESS)


def space_of(target: Path, outputs: Sequence[Output]) -> Needed:
    """Return the space that outputs need near a target.

    Raises
    ------
    LimitError
        If there is less. The command itself would fail when it writes.
    """
    # Older results are replaced at the end, so their space does not help.
    need, folder = sum(one.bytes for one in outputs), nearest_folder(target.resolve())
    free = free_space(folder)
    if need > free:
        rule = f"the results need about {bytes_text(need)} of space, {bytes_text(free)} are free"
        raise LimitError(rule, place=folder, remedy=["choose another ", Param("out")])
    return Needed(need, free, str(folder))


def free_space(folder: Path) -> int:
    """Return the bytes that are free on the disk of a folder."""
    return shutil.disk_usage(folder).free


def output(path: Path, size: int) -> Output:
    """Describe a file or a folder that will be written."""
    return Output(str(path), size, size_of(path) if path.exists() else None)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
