"""Logs of events: files of JSON lines."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from mfcli.arguments import path_of
from mfcli.errors import ArtifactError, warn
from mfcli.events.event import Event, line_of
from mfcli.storage import AppendedLines

START = b'{"event": "'
WHAT = "a log of events"


class EventLog:
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
        self._has_failed = False

    def take(self, event: Event) -> None:
        """Append an event.

        Warns
        -----
        MfcliWarning
            The first time that the file cannot be written.
        """
        try:
            self._lines.append(line_of(event))
        except ArtifactError as error:
            if not self._has_failed:
                self._has_failed = True
                rule = [error.rule, "; training continues, but events are missing there"]
                warn(rule, place=error.place)

    def close(self) -> None:
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
