"""The results that are in a folder, as values that tell whether two folders hold the same."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mfcli
from mfcli.evaluation import read_metrics
from mfcli.training import CHECKPOINT_FOLDER, History, read_checkpoint

TEMPORARIES = ("*.mfcli-tmp", ".mfcli.lock", "mfcli-*")


def _model(path: Path) -> tuple[str, str]:
    model = mfcli.Model.load(path)
    weights = b"".join(table.tobytes() for table in model.tables.values())
    return model.split_hash, _digest(weights)


def _history(path: Path) -> list[float]:
    return History.read(path).lists["loss"]  # without the seconds


def _metrics(path: Path) -> str:
    return repr(read_metrics(path))


def _checkpoint(path: Path) -> str:
    read_checkpoint(path)
    return "any epoch"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


ARTIFACTS: dict[str, Callable[[Path], Any]] = {
    "split": lambda path: mfcli.read_split(path).hash,
    "model": _model,
    "history.json": _history,
    "metrics.json": _metrics,
    CHECKPOINT_FOLDER: _checkpoint,
}
"""What the content of each artifact depends on, by its name; reading fails if it is damaged."""


def results(folder: Path) -> dict[str, Any]:
    """Return the content of each artifact and each other file, by name.

    Raises
    ------
    MfcliError
        If an artifact is damaged.
    """
    found = {
        name: read(folder / name) for name, read in ARTIFACTS.items() if (folder / name).exists()
    }
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in found:
            found[str(name)] = _digest(_content(path))
    return found


def _content(path: Path) -> bytes:
    """Return what a file holds, except for the date that Keras writes into its files."""
    if path.suffix != ".keras":
        return path.read_bytes()
    with zipfile.ZipFile(path) as file:
        return b"".join(file.read(name) for name in file.namelist() if name != "metadata.json")


def temporaries(folder: Path) -> list[str]:
    """Return the names of temporary files in a folder."""
    return sorted(path.name for pattern in TEMPORARIES for path in folder.rglob(pattern))
