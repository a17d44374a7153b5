"""Progress of long work: about ten lines, or on a terminal the bar of `live_bar.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from mfcli.cli.formatting import printable, time_left
from mfcli.cli.time_left import TimeLeft

if TYPE_CHECKING:
    from rich.console import Console

LINES = 10
"""Lines that work prints if there is no bar, approximately."""

_PATIENCE = 10  # seconds before work prints its first line
_LONG = 28  # characters of a name

Unit: TypeAlias = Callable[[float, float], str]
"""Formats the amount done and the total."""


def percent(done: float, total: float) -> str:
    """Format progress in percent."""
    return f"{done / total:.0%}" if total else ""


def byte_count(done: float, total: float) -> str:
    """Format progress in bytes, such as "1.2/3.4 GB"."""
    for size, name in ((1e9, "GB"), (1e6, "MB")):
        if total >= size:
            return f"{done / size:.1f}/{total / size:.1f} {name}"
    return f"{done / 1e3:.1f}/{total / 1e3:.1f} kB"


def counting(noun: str) -> Unit:
    """Return the unit of things that are counted, such as "3/100 trials"."""
    return lambda done, total: f"{done:,.0f}/{total:,.0f} {noun}"


class Work:
    """Work that is shown.

    Parameters
    ----------
    what : str
    unit : Unit
    until : float
        A time of the monotonic clock when it ends in any case.
    on_update : callable
        Called after each update.
    """

    def __init__(
        self, what: str, unit: Unit, until: float, on_update: Callable[[Work], None]
    ) -> None:
        self.what, self._unit, self._on_update = shortened(printable(what)), unit, on_update
        self._left, self.done, self.total = TimeLeft(until), 0.0, 0.0

    def update(self, done: float, total: float) -> None:
        """Show how much is done; a total of 0 is unknown."""
        self.done, self.total = done, total
        self._left.update(done, total)
        self._on_update(self)

    @property
    def amount(self) -> str:
        return self._unit(self.done, self.total) if self.total else ""

    @property
    def left(self) -> str:
        """The time left; empty if it is unknown."""
        seconds = self._left.seconds
        return "" if seconds is None else time_left(seconds)

    @property
    def elapsed(self) -> float:
        return self._left.elapsed


class Display:
    """Shows nothing; subclasses show progress."""

    def work(
        self, what: str, unit: Unit = percent, *, until: float = math.inf, logs: bool = True
    ) -> Work:
        """Return work that is shown from its first update on, in place of other work.

        Parameters
        ----------
        what : str
        unit : Unit
        until : float
            A time of the monotonic clock when it ends in any case.
        logs : bool
            Without a bar, print about ten lines, if the work takes longer than ten seconds.
        """
        return Work(what, unit, until, lambda work: None)

    def log(self, line: str) -> None:
        """Print a line unless there is a bar."""

    def event(self, line: str) -> None:
        """Print a line, above the bar if there is one."""

    def detail(self, text: str) -> None:
        """Show a text below the bar."""

    def close(self) -> None:
        """Remove the bar."""


class Lines(Display):
    """Prints lines to a file, a pipe or a terminal that cannot move its cursor."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tenths: dict[Work, int] = {}

    def work(
        self, what: str, unit: Unit = percent, *, until: float = math.inf, logs: bool = True
    ) -> Work:
        return Work(what, unit, until, self._offer if logs else lambda work: None)

    def log(self, line: str) -> None:
        self._console.print(printable(line), soft_wrap=True)

    event = log

    def _offer(self, work: Work) -> None:
        """Print a line for each tenth; short work prints none, and the result follows the last."""
        tenth = int(LINES * work.done / work.total) if work.total else 0
        if tenth > self._tenths.get(work, 0) and work.done < work.total:
            self._tenths[work] = tenth
            if work.elapsed >= _PATIENCE:
                self.log(", ".join(filter(None, (f"{work.what}: {work.amount}", work.left))))


def shortened(name: str) -> str:
    """Shorten a long name in the middle, because names of files tell most at their ends."""
    half = (_LONG - 3) // 2
    return name if len(name) <= _LONG else f"{name[:half]}...{name[-half:]}"


def line_interval(steps: int) -> int:
    """Return the interval of steps at which work prints about ten lines."""
    return -(-steps // LINES)
