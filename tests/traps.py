"""Splits that kill workers of a cluster. Workers import this module, so it imports no tests."""

from __future__ import annotations

import os
import signal
from dataclasses import fields
from pathlib import Path
from typing import Any

from mfcli.splits import Split


class Trap(Split):
    """A split that kills processes that unpickle it."""

    marks: Path
    spared: int
    killed: int

    @classmethod
    def of_split(cls, split: Split, marks: Path, *, spared: int, killed: int) -> Trap:
        """Make a split that spares a number of processes and then kills a number of them."""
        marks.mkdir()
        made = cls(**{one.name: getattr(split, one.name) for one in fields(Split)})
        vars(made).update(marks=marks, spared=spared, killed=killed)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        values = [getattr(self, one.name) for one in fields(Split)]
        return _sprung, (self.marks, self.spared, self.killed, values)


def _sprung(marks: Path, spared: int, killed: int, values: list[Any]) -> Split:
    for number in range(spared + killed):
        try:
            (marks / str(number)).touch(exist_ok=False)
        except FileExistsError:
            continue
        if number >= spared:
            os.kill(os.getpid(), signal.SIGKILL)
        break
    return Split(*values)
