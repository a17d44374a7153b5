"""Where models are: in `RUN/model`, or in `RUN/fold-N/model` for each fold of a k-fold split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mfcli.errors import ArtifactError
from mfcli.storage import did_you_mean, exists, near_misses, whole

MODEL_FOLDER = "model"
MODEL_RECORD = "model.json"


def model_folder(path: Path) -> Path:
    """Return the model folder at a path: the path itself, or `model` in the folder of a run.

    If there is none, the path is returned, and reading it gives the error.
    """
    inner = path / MODEL_FOLDER
    # `whole` waits while another process replaces the folder.
    found = whole(
        [path / MODEL_RECORD, inner / MODEL_RECORD],
        lambda: [folder for folder in (path, inner) if exists(folder / MODEL_RECORD)],
    )
    return found[0] if found else path


def models_of_run(path: Path, folds: Sequence[str] = ()) -> tuple[Path, list[Path]]:
    """Return the folder of a run, and its model folders: one, or one for each fold.

    Parameters
    ----------
    path : Path
        The folder of the run, or the model folder in it, or the one that it would have without
        folds.
    folds : sequence of str
        Names of the folders of the folds, such as "fold-1".
    """
    if not folds:
        folder = model_folder(path)
        return _parent(folder), [folder]
    if (path / folds[0]).is_dir():
        return path, [path / fold / MODEL_FOLDER for fold in folds]
    return _parent(path), [_parent(path) / fold / path.name for fold in folds]


def _parent(path: Path) -> Path:
    # The parent of the path "." would be "." itself.
    return path.parent if path.name not in ("", "..") else path.resolve().parent


def missing_model(path: Path) -> ArtifactError:
    """Return the error for a path without a model; it names folders that may be meant."""
    meant = did_you_mean(near_misses(path, MODEL_RECORD))
    remedy = meant or "train one with: mfcli train"
    return ArtifactError("holds no model", place=path, remedy=remedy)
