"""Models at a path or an address in an object store."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from mfcli.storage import local_copy
from mfcli.types import Progress

_CHECKPOINT = "checkpoint"  # of a training, in the folder of a run


def model_copy(
    place: str, *, on_progress: Progress = lambda done, total: None
) -> AbstractContextManager[Path]:
    """Return what yields the folder of a model or a run: a path itself, or a copy of an address.

    Raises
    ------
    ArtifactError
        If the address is not valid, or the store cannot be read.
    """
    return local_copy(place, lambda name: not is_of_checkpoint(name), on_progress=on_progress)


def is_of_checkpoint(name: str) -> bool:
    """Return whether a file of a run is of its checkpoint, given its name in the run."""
    return f"/{_CHECKPOINT}/" in f"/{name}"
