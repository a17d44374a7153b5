"""Follow a log of events: draw its trainings again and again until they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mfcli import events
from mfcli.cli.formatting import count, duration
from mfcli.cli.screen import print_note
from mfcli.cli.status_line import status_line
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.events import LoggedTraining
    from mfcli.training import History

DEFAULT_LOG = "events.jsonl"

_INTERVAL = 0.2  # seconds between two looks at the file
_LEAST = 1.0  # seconds between two pictures
_SHARE = 3  # time between two pictures, as a multiple of the time to draw one
_SILENT = 30.0  # seconds without an event that are worth a word

Draw: TypeAlias = "Callable[[Mapping[str, History]], None]"


def followed_log(files: Sequence[Path]) -> Path:
    """Return the log that the arguments of a command name.

    Raises
    ------
    UsageError
        If they name several files, or one that is not a log.
    """
    if len(files) > 1:
        rule = f"--follow draws one log of events, got {len(files)} files"
        raise UsageError(rule, remedy="omit it, or name one")
    path = files[0] if files else Path(DEFAULT_LOG)
    path = path / DEFAULT_LOG if path.is_dir() else path
    if path.is_file() and path.stat().st_size and not events.is_log(path):
        remedy = f"write one with mfcli train --log {DEFAULT_LOG}, or omit --follow"
        raise UsageError("is not a log of events", place=path, remedy=remedy)
    return path


class LogFollower:
    """Draws the trainings in a log after new epochs.

    Parameters
    ----------
    path : Path
        The log, which may be missing at first.
    draw : callable
        Draws histories by name.
    picture : Path
        What it writes, for messages.

    Attributes
    ----------
    shown : mapping of History
        What was drawn last.
    """

    def __init__(self, path: Path, draw: Draw, picture: Path) -> None:
        self._path, self._draw, self._picture = path, draw, picture
        self._reader = events.LogReader(path)
        self._active: dict[str, LoggedTraining] = {}
        self._reads, self._has_news = 0, False
        self._heard, self._next = time.monotonic(), 0.0
        self.shown: Mapping[str, History] = {}

    def run(self) -> None:
        """Draw until the trainings have ended that have had an event since the start.

        If there has been none, that is the latest training in the log.
        """
        if not self._path.exists():
            print_note(f"waiting for {self._path}")
        with status_line() as show:
            while True:
                self._read()
                is_waiting = any(self._reader.running[run] for run in self._active)
                has_ended = bool(self._active) and not is_waiting
                if self._has_news and (has_ended or time.monotonic() >= self._next):
                    self._redraw()
                if has_ended:
                    return
                show(self._status())
                time.sleep(_INTERVAL)

    @property
    def failures(self) -> list[str]:
        """The messages of errors that ended trainings."""
        ends = [one.end for one in self._active.values() if one.end]
        return [str(end.get("message")) for end in ends if end["event"] == "error"]

    def _read(self) -> None:
        found = self._reader.read() if self._path.exists() else []
        if not found:
            return
        if self._reads == 0:
            found = found[-1:]  # the others may have been killed long ago
        elif self._reads == 1:
            self._active.clear()
        self._active |= {one.run: one for one in found}
        running = self._reader.running  # without those of a file that was replaced
        self._active = {run: one for run, one in self._active.items() if run in running}
        self._heard, self._has_news, self._reads = time.monotonic(), True, self._reads + 1

    def _redraw(self) -> None:
        histories = events.named_histories(self._reader)
        begin = time.monotonic()
        if histories != self.shown:  # unless the events are only those of checkpoints
            self._draw(histories)
            self.shown = histories
        end = time.monotonic()
        self._next, self._has_news = end + max(_LEAST, _SHARE * (end - begin)), False

    def _status(self) -> str:
        """Return what was drawn, and what is waited for."""
        text = f"waiting for {self._path}"
        if self.shown:
            epochs = max(map(len, self.shown.values()))
            text = f"{self._picture}: {count(len(self.shown), 'run')}, epoch {epochs:,}"
        elif self._active:
            text = "waiting for the first epoch"
        silence = time.monotonic() - self._heard
        if self._active and silence > _SILENT:
            text += f"; no event for {duration(silence)}, perhaps the training was killed"
        return f"{text} (Ctrl-C stops)"
