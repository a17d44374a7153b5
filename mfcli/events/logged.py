"""Trainings in a log of events, also while they run.

What is not an event is skipped: the last line of a process that was killed may be cut, and other
programs may write lines of their own.
"""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePath
from typing import Any

from mfcli.errors import ArtifactError
from mfcli.events.event import Event
from mfcli.events.event_log import START, WHAT
from mfcli.storage import open_regular
from mfcli.training import Epoch, History

_START = re.compile(rb'\s*\{\s*"event"\s*:\s*"')  # as other programs may write it
_LONGEST = 64  # bytes in which it must be
_MOST = 1_000_000  # epochs
_HUGE = 1e30  # larger values cannot be plotted
_LISTS = [one.name for one in fields(Epoch) if one.name != "epoch"]


@dataclass
class LoggedTraining:
    """A training in a log: a run, or one fold of it.

    Attributes
    ----------
    run : str
    fold, folds : int
        0 without folds.
    out : str
        The folder of the run; empty if it is not known.
    rows : dict of dict
        The event of each epoch, by its number. Those that a resumed training repeats are replaced.
    end : dict or None
        The event of the result or the error that ended it.
    last : str
        The time of its last event.
    """

    run: str
    fold: int = 0
    folds: int = 0
    out: str = ""
    rows: dict[int, Event] = field(default_factory=dict)
    end: Event | None = None
    last: str = ""

    @property
    def history(self) -> History:
        """The history, with NaN where the log has no entry; there must be an epoch."""
        rows = [self.rows.get(number, {}) for number in range(1, max(self.rows) + 1)]
        return History({
            name: [_number(row.get(name)) for row in rows]
            for name in _LISTS
            if name == "loss" or any(name in row for row in rows)
        })  # fmt: skip

    def take(self, event: Event) -> None:
        kind = event["event"]
        self.last = str(event.get("time") or "")
        if kind == "plan":
            self._begin(event)
        elif kind == "epoch" and _count(event.get("epoch")):
            self.rows[event["epoch"]] = event
        elif kind in ("result", "error"):
            self.end = event

    def _begin(self, plan: Event) -> None:
        """Begin, or continue after the epochs of a checkpoint."""
        done = _count(plan.get("resumed"))
        self.rows = {number: row for number, row in self.rows.items() if number <= done}
        self.folds, self.end = _count(plan.get("folds")), None
        self.out = str(plan.get("out") or "")


class LogReader:
    """Reads a log of events, again and again while it grows.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    trainings : dict of LoggedTraining
        By run and fold, in the order in which they began.
    running : dict of bool
        By run: whether it has not ended, or was killed.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._end, self._file = path, 0, (0, 0)
        self.trainings: dict[tuple[str, int], LoggedTraining] = {}
        self.running: dict[str, bool] = {}

    def read(self) -> list[LoggedTraining]:
        """Read what is new, and return the trainings that it is about, the latest one last.

        A file that was replaced or emptied is read from its start.

        Raises
        ------
        ArtifactError
            If the file cannot be read, or is not a log of events.
        """
        found: dict[int, LoggedTraining] = {}
        for event in filter(None, map(_event_in, self._new_lines())):
            training = self._training(event)
            training.take(event)
            self._note_end(training, event)
            found.pop(id(training), None)
            found[id(training)] = training
        return list(found.values())

    def _note_end(self, training: LoggedTraining, event: Event) -> None:
        is_last = event["event"] == "result" and training.fold == training.folds
        self.running[training.run] = not is_last and event["event"] != "error"
        if event["event"] == "plan":
            # Two trainings cannot write to one folder, so an older one there was killed.
            for other in self.trainings.values():
                if other.run != training.run and other.out and other.out == training.out:
                    self.running[other.run] = False

    def _new_lines(self) -> list[bytes]:
        """Return the lines since the last call; the last one may not be complete yet."""
        with open_regular(self._path, remedy="train again") as file:
            status = os.fstat(file.fileno())
            if (status.st_dev, status.st_ino) != self._file or status.st_size < self._end:
                self._file, self._end = (status.st_dev, status.st_ino), 0
                self.trainings.clear()
                self.running.clear()
            file.seek(self._end)
            content = file.read()
        if not self._end and content and not _is_start(content):
            raise ArtifactError(f"is not {WHAT}", place=self._path)
        whole = content[: content.rfind(b"\n") + 1]
        self._end += len(whole)
        return whole.splitlines()

    def _training(self, event: Event) -> LoggedTraining:
        key = event["run"], _count(event.get("fold"))
        return self.trainings.setdefault(key, LoggedTraining(*key))


def read_log(path: Path) -> dict[str, History]:
    """Read the trainings in a log, by names that tell them apart.

    Raises
    ------
    ArtifactError
        If the file cannot be read, is not a log of events, or holds no epoch yet.
    """
    reader = LogReader(path)
    reader.read()
    found = named_histories(reader)
    if not found:
        raise ArtifactError("holds no epoch of a training yet", place=path)
    return found


def named_histories(reader: LogReader) -> dict[str, History]:
    """Return the trainings of a log that have epochs, by names that tell them apart."""
    trainings = [training for training in reader.trainings.values() if training.rows]
    return dict(zip(_names(trainings), (one.history for one in trainings), strict=True))


def _names(trainings: list[LoggedTraining]) -> list[str]:
    """Name trainings by folder, or else by run, each with its fold."""
    several = len({one.run for one in trainings}) > 1
    for titles in (_folder_title, _run_title):
        names = [titles(one, several) for one in trainings]
        if len(set(names)) == len(names):
            return names
    return [f"{one.run} {one.fold}" for one in trainings]  # folders named like folds


def _folder_title(training: LoggedTraining, several: bool) -> str:
    path = PurePath(training.out)
    if not training.fold:
        return path.name or training.run
    return f"{path.parent.name} fold {training.fold}" if several else f"fold {training.fold}"


def _run_title(training: LoggedTraining, several: bool) -> str:
    fold = f" fold {training.fold}" if training.fold else ""
    folder = "" if training.fold else PurePath(training.out).name
    return f"{folder} {training.run}{fold}".strip()


def is_log(path: Path) -> bool:
    """Return whether a file looks like a log of events."""
    try:
        with open_regular(path) as file:
            return _is_start(file.read(_LONGEST))
    except ArtifactError:
        return False


def _is_start(content: bytes) -> bool:
    return bool(content) and (START.startswith(content) or bool(_START.match(content)))


def _event_in(line: bytes) -> Event | None:
    """Return the event in a line, if there is one."""
    try:
        value: Any = json.loads(line, parse_constant=lambda text: None)
    except (ValueError, RecursionError):
        return None
    is_event = isinstance(value, dict) and isinstance(value.get("event"), str)
    return value if is_event and isinstance(value.get("run"), str) else None


def _count(value: Any) -> int:
    """Return a number of epochs or folds, or 0."""
    return value if type(value) is int and 0 < value <= _MOST else 0


def _number(value: Any) -> float:
    return float(value) if type(value) in (int, float) and abs(value) < _HUGE else math.nan
