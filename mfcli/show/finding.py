"""Find the artifacts at a path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from mfcli.config import CONFIG_FILE
from mfcli.errors import ArtifactError
from mfcli.evaluation import METRICS_FILE, looks_like_metrics, metrics_in
from mfcli.model import KERAS_FILE, MODEL_FOLDER
from mfcli.splits import SPLIT_FOLDER
from mfcli.storage import read_json
from mfcli.training import HISTORY_FILE, looks_like_history

_FOLD = re.compile(r"fold-([1-9]\d{0,2})")


class Artifact(NamedTuple):
    """A folder or file that can be shown.

    Attributes
    ----------
    kind : str
        "settings", "split", "model", "keras" (a model file alone), "history" or "metrics".
    path : Path
    fold : int or None
        The fold of a k-fold training, if it was found in the folder of all folds.
    """

    kind: str
    path: Path
    fold: int | None = None


def find(path: Path) -> list[Artifact]:
    """Find what can be shown at a path, in the order in which the stages create it.

    Parameters
    ----------
    path : Path
        A split, a model, a folder that contains some of what the commands write (also in folders of
        folds), or a file.

    Raises
    ------
    ArtifactError
        If there is nothing to show, or the path cannot be read.
    """
    try:
        found = _in_folder(path) if path.is_dir() else _of_file(path)
    except OSError as error:
        raise ArtifactError(f"cannot be read: {error.strerror}", place=path) from error
    if not found:
        raise ArtifactError(
            "contains nothing that mfcli can show",
            place=path,
            remedy=f"name a split, a model, {HISTORY_FILE}, {METRICS_FILE}, {KERAS_FILE},"
            f" {CONFIG_FILE} or a folder that contains some of them",
        )
    return found


def fold_number(folder: Path) -> int | None:
    """Return the number in the name of a fold's folder, such as "fold-3"."""
    named = _FOLD.fullmatch(folder.name)
    return int(named[1]) if named else None


def _in_folder(folder: Path) -> list[Artifact]:
    # A model folder contains model.keras too, so artifacts come before folders of artifacts.
    for kind, is_kind in (("split", _is_split), ("model", _is_model)):
        if is_kind(folder):
            return [Artifact(kind, folder)]
    folds = {fold_number(path): path for path in folder.iterdir() if path.is_dir()}
    found = _in_run(folder)
    for number in sorted(number for number in folds if number):
        found += [artifact._replace(fold=number) for artifact in _in_run(folds[number])]
    return found


def _in_run(folder: Path) -> list[Artifact]:
    """Find what the commands write to the working folder or to the folder of a run."""
    tests = {  # in the order of the stages
        Artifact("settings", folder / CONFIG_FILE): Path.is_file,
        Artifact("split", folder / SPLIT_FOLDER): _is_split,
        Artifact("model", folder / MODEL_FOLDER): _is_model,
        Artifact("keras", folder / KERAS_FILE): Path.is_file,
        Artifact("history", folder / HISTORY_FILE): Path.is_file,
    }
    found = [artifact for artifact, is_present in tests.items() if is_present(artifact.path)]
    return found + [Artifact("metrics", path) for path in metrics_in(folder)]


def _is_split(folder: Path) -> bool:
    return _contains(folder, "split.json", "train.arrow", "ratings.arrow")


def _is_model(folder: Path) -> bool:
    return _contains(folder, "model.json", KERAS_FILE)


def _contains(folder: Path, manifest: str, *others: str) -> bool:
    """Return whether a folder has a manifest, or what remains of an artifact that has lost it."""
    try:
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except PermissionError:
        return True  # reading it will report the error in its place
    return manifest in names or ("users.arrow" in names and not names.isdisjoint(others))


def _of_file(path: Path) -> list[Artifact]:
    path.stat()  # raises if it is missing
    if path.name in ("split.json", "model.json"):  # the record stands for its folder
        return [Artifact(path.stem, path.parent)]
    if path.suffix in (".toml", ".keras"):
        return [Artifact("settings" if path.suffix == ".toml" else "keras", path)]
    if path.suffix != ".json":
        return []
    kind = _kind_of_json(path)
    return [Artifact(kind, path)] if kind else []


def _kind_of_json(path: Path) -> str | None:
    """Distinguish histories and metrics by content, or by the usual name if the file is damaged."""
    # A damaged file has no readable content; by its name, the reader can report the damage.
    usual = "history" if path.name == HISTORY_FILE else None
    if path in metrics_in(path.parent):
        usual = "metrics"
    try:
        value = read_json(path, finite=False)
    except ArtifactError:
        if usual:
            return usual
        raise
    if looks_like_history(value):
        return "history"
    return "metrics" if looks_like_metrics(value) else usual
