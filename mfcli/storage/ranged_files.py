"""Files of which some ranges of bytes are read, in local folders and in object stores."""

from __future__ import annotations

from typing import Protocol

from mfcli.storage.addresses import as_local, parent_and_name
from mfcli.storage.files import MappedFile
from mfcli.storage.object_stores import ObjectStore


class RangedFile(Protocol):
    """An open file of which ranges are read; several threads may read.

    Attributes
    ----------
    size : int
        Bytes of the file.
    """

    size: int

    def read(self, start: int, stop: int) -> bytes | memoryview:
        """Return the bytes `start` to ``stop - 1``."""
        ...


class _LocalFile:
    def __init__(self, file: MappedFile) -> None:
        self._content, self.size = file.content, len(file.content)

    def read(self, start: int, stop: int) -> memoryview:
        return self._content[start:stop]


def ranged_file(place: str) -> RangedFile:
    """Open a file at a path or an address.

    Raises
    ------
    ArtifactError
        If it cannot be read.
    """
    path = as_local(place)
    if path is not None:
        return _LocalFile(MappedFile(path))
    folder, name = parent_and_name(place)
    return ObjectStore(folder).ranges(name)
