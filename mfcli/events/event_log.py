"""Logs of events: files of JSON lines."""

from __future__ import annotations

import os

from mfcli.arguments import path_of
from mfcli.events.event import Event, line_of
from mfcli.events.writer import EventWriter
from mfcli.storage import AppendedLines

START = b'{"event": "'
WHAT = "a log of events"


class EventLog(EventWriter):
    """Appends events to a file, one JSON object a line; several runs may share it.

    A line is written at once, so that other programs can follow. If the file cannot be written
    later, for example because the disk is full, a warning says so once, and the training goes on.

    Parameters
    ----------
    path : path
        A log of events, a missing file, or a pipe that a program reads.

    Raises
    ------
    ArtifactError
        If it is another file, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._lines = AppendedLines(path_of(path, "path"), START, WHAT)

    def _write(self, event: Event) -> None:
        self._lines.append(line_of(event))

    def close(self) -> None:
        self._lines.close()
