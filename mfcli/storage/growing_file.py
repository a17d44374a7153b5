"""New files that grow by whole pieces."""

from __future__ import annotations

import os
from pathlib import Path

from mfcli.storage.writing import writing


class GrowingFile:
    """A new file, to which pieces are appended; each is written at once.

    Parameters
    ----------
    path : Path
        Its folder is created if it is missing.

    Raises
    ------
    ArtifactError
        If the file exists, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._size = path, 0
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb", buffering=0)

    def append(self, piece: bytes) -> None:
        """Append a piece.

        Raises
        ------
        ArtifactError
            If it cannot be written; nothing of it remains then.
        """
        rest, size = memoryview(piece), self._size + len(piece)
        with writing(self._path):
            try:
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError:
                # Readers cannot find the pieces after half of one.
                os.ftruncate(self._file.fileno(), self._size)
                self._file.seek(self._size)
                raise
        self._size = size

    def close(self) -> None:
        self._file.close()
