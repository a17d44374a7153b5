"""What writers of events have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

from mfcli.errors import ArtifactError, warn
from mfcli.events.event import Event


class EventWriter(ABC):
    """Writes events until it is closed; as a context manager, until the block ends."""

    _has_failed = False

    def take(self, event: Event) -> None:
        """Write an event.

        Warns
        -----
        MfcliWarning
            The first time that a file cannot be written.
        """
        try:
            self._write(event)
        except ArtifactError as error:
            if not self._has_failed:
                self._has_failed = True
                rule = [error.rule, "; training continues, but events are missing there"]
                warn(rule, place=error.place)

    @abstractmethod
    def _write(self, event: Event) -> None:
        """Write an event; raise `ArtifactError` if it cannot be written."""

    @abstractmethod
    def close(self) -> None:
        """Close the files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
