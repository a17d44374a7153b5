"""What is in a folder or a file: the artifacts that are found, and the facts of each."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli import __version__
from mfcli.config import CONFIG_FILE, SETTINGS, read_settings
from mfcli.errors import ArtifactError, MfcliError
from mfcli.evaluation import looks_like_metrics, read_metrics
from mfcli.model import (
    KERAS_FILE,
    NAMES,
    Model,
    read_keras_file,
    read_model_record,
    read_outline,
)
from mfcli.splits import describe_split, split_hash
from mfcli.storage import cores, read_json
from mfcli.training import HISTORY_FILE, MODEL_FOLDER, MSE_NAMES, History

LIBRARIES = ("numpy", "pyarrow", "numba", "tensorflow", "keras")
SPLIT_FOLDER = "split"
METRICS_FILE = "metrics.json"

_FOLD = re.compile(r"fold-([1-9]\d{0,2})")
_ERRORS = {"loss", "mse", "rmse", "mae", "mape", "msle", "error"}
"""Last words of the names that Keras gives to lists of which the least is the best."""


class Artifact(NamedTuple):
    """Something that can be shown.

    Attributes
    ----------
    kind : str
        "settings", "split", "model", "keras" (a model file alone), "history" or "metrics".
    path : Path
        Of its folder or file.
    fold : int or None
        Which fold of a k-fold training it comes from, if its folder was found in that of all folds.
    """

    kind: str
    path: Path
    fold: int | None = None


def versions() -> dict[str, Any]:
    """Return the versions of mfcli, of Python and of what it stands on; None if not installed."""
    return {
        "mfcli": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": cores(),
        **{name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def find(path: Path) -> list[Artifact]:
    """Find what mfcli can show at a path, in the order of its making.

    Parameters
    ----------
    path : Path
        A split, a model, a folder that holds some of what the commands write (also in folders of
        folds), or a file.

    Raises
    ------
    ArtifactError
        If there is nothing of the kind.
    """
    try:
        found = _in_folder(path) if path.is_dir() else _of_file(path)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}") from error
    if not found:
        raise ArtifactError(
            f"{path}: holds nothing of mfcli's; name a split, a model, {HISTORY_FILE},"
            f" {METRICS_FILE}, {KERAS_FILE}, {CONFIG_FILE} or a folder that holds some of them"
        )
    return found


def _in_folder(folder: Path) -> list[Artifact]:
    for kind, is_kind in (("split", _is_split), ("model", _is_model)):
        if is_kind(folder):
            return [Artifact(kind, folder)]
    folds = {_fold_number(path): path for path in folder.iterdir() if path.is_dir()}
    found = _in_run(folder)
    for number in sorted(number for number in folds if number):
        found += [artifact._replace(fold=number) for artifact in _in_run(folds[number])]
    return found


def _in_run(folder: Path) -> list[Artifact]:
    """Look for what the commands write into the working folder or the folder of a run."""
    there = {
        Artifact("settings", folder / CONFIG_FILE): Path.is_file,
        Artifact("split", folder / SPLIT_FOLDER): _is_split,
        Artifact("model", folder / MODEL_FOLDER): _is_model,
        Artifact("keras", folder / KERAS_FILE): Path.is_file,
        Artifact("history", folder / HISTORY_FILE): Path.is_file,
        Artifact("metrics", folder / METRICS_FILE): Path.is_file,
    }
    return [artifact for artifact, is_there in there.items() if is_there(artifact.path)]


def _is_split(folder: Path) -> bool:
    return _holds(folder, "split.json", "train.arrow", "ratings.arrow")


def _is_model(folder: Path) -> bool:
    return _holds(folder, "model.json", KERAS_FILE)


def _holds(folder: Path, manifest: str, *others: str) -> bool:
    """Whether a folder has the file that speaks for it, or what is left when that is lost."""
    try:
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except PermissionError:
        return True  # and reading it says so, in its place
    return manifest in names or ("users.arrow" in names and not names.isdisjoint(others))


def _of_file(path: Path) -> list[Artifact]:
    path.stat()
    if path.name in ("split.json", "model.json"):
        return [Artifact(path.stem, path.parent)]
    if path.suffix in (".toml", ".keras"):
        return [Artifact("settings" if path.suffix == ".toml" else "keras", path)]
    if path.suffix != ".json":
        return []
    kind = _kind_of_json(path)
    return [Artifact(kind, path)] if kind else []


def _kind_of_json(path: Path) -> str | None:
    """Tell a history from metrics by what they hold; by the usual name if they are damaged."""
    usual = {HISTORY_FILE: "history", METRICS_FILE: "metrics"}.get(path.name)
    try:
        value = read_json(path)
    except ArtifactError:
        if usual:
            return usual
        raise
    return "history" if "loss" in value else "metrics" if looks_like_metrics(value) else usual


def facts_of(artifact: Artifact) -> dict[str, Any]:
    """Read an artifact whole, its digests checked, and return its facts as plain values.

    Returns
    -------
    dict
        Its `kind`, `path`, `fold` and facts; in place of the facts its `error`, in one line, if it
        is damaged.
    """
    name: dict[str, Any] = artifact._asdict() | {"path": str(artifact.path)}
    try:
        return name | _READERS[artifact.kind](artifact.path)
    except MfcliError as error:
        return name | {"error": " ".join(str(error).split())}
    except OSError as error:
        return name | {"error": f"{artifact.path}: cannot be read: {error.strerror or error}"}


def changed(settings: Mapping[str, Any]) -> list[str]:
    """Name the settings whose values are not the defaults of this version."""
    return [n for n, v in settings.items() if n not in SETTINGS or v != SETTINGS[n].default]


def _settings(path: Path) -> dict[str, Any]:
    settings = read_settings(path)
    return {"settings": settings, "changed": changed(settings)}


def _split(folder: Path) -> dict[str, Any]:
    described = describe_split(folder)
    return described | {"written_by": {"mfcli": described.pop("mfcli")}}


def _model(folder: Path) -> dict[str, Any]:
    model, record = Model.load(folder), read_model_record(folder)
    outline = read_outline(folder / KERAS_FILE)
    config = model.config.used("training")
    sides = {"users": model.users, "items": model.items}
    return {
        "config": config,
        "changed": changed(config),
        "k": model.k,
        **{name: len(side) for name, side in sides.items()},
        "unrated": {name: int((side.counts == 0).sum()) for name, side in sides.items()},
        "mu": model.mu,
        "scale": model.scale._asdict(),
        **_tables(model.tables),
        "bytes": _size(folder / name for name in NAMES),
        "split": model.split_hash,
        "split_beside": _split_beside(folder.parent, model.split_hash),
        "losses": record.losses,
        "written_by": {"mfcli": record.mfcli, "keras": outline.keras, "saved": outline.saved},
    }


def _keras(path: Path) -> dict[str, Any]:
    outline = read_outline(path)
    return {
        "k": outline.k,
        "users": outline.users,
        "items": outline.items,
        "mu": outline.mu,
        **_tables(read_keras_file(path, outline.users, outline.items, outline.k)),
        "bytes": _size([path]),
        "written_by": {"keras": outline.keras, "saved": outline.saved},
    }


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _tables(tables: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
    return {
        "parameters": sum(table.size for table in tables.values()),
        "tables": {name: _table(table) for name, table in tables.items()},
    }


def _table(table: NDArray[np.float32]) -> dict[str, Any]:
    """Measure the weights of a table, of which the reader has seen that they are finite."""
    matrix = table if table.ndim == 2 else table[:, np.newaxis]
    squares = float(np.sum(np.square(matrix, dtype=np.float64)))
    zero = int(np.count_nonzero(~matrix.any(axis=1)))
    return {
        "shape": list(matrix.shape),
        "largest": float(np.abs(matrix).max(initial=0)),
        "root_mean_square": math.sqrt(squares / max(matrix.size, 1)),
        "zero_rows": zero,
    }


def _split_beside(run: Path, digest: str) -> dict[str, Any] | None:
    """Find the split that a run belongs to, beside it or in the working folder.

    Returns
    -------
    dict or None
        The `path` and `hash` of a split with this hash, else of the first one there is, and
        whether it is the `same`. A damaged split is reported where it is shown.
    """
    places = [run / SPLIT_FOLDER, Path(SPLIT_FOLDER)]
    if _fold_number(run):
        places = [place / run.name for place in (run.parent / SPLIT_FOLDER, places[1])] + places
    found = [split for split in map(_hash_of, dict.fromkeys(places)) if split]
    found.sort(key=lambda split: split["hash"] != digest)
    return found[0] | {"same": found[0]["hash"] == digest} if found else None


def _hash_of(folder: Path) -> dict[str, Any] | None:
    try:
        return {"path": str(folder), "hash": split_hash(folder)}
    except (ArtifactError, OSError):
        return None


def _fold_number(folder: Path) -> int | None:
    named = _FOLD.fullmatch(folder.name)
    return int(named[1]) if named else None


def _history(path: Path) -> dict[str, Any]:
    history = History.read(path)
    seconds = history.lists.get("seconds")
    return {
        "epochs": len(history),
        "seconds": math.fsum(seconds) if seconds else None,
        "curve": _curve(history),
        "lists": {name: _course(name, entries) for name, entries in history.lists.items()},
    }


def _curve(history: History) -> dict[str, Any]:
    """Choose the list by which epochs are judged: validation before training, RMSE before loss."""
    choices = {
        f"{part} {what}": history.series(names, prefix)
        for prefix, part in (("val_", "validation"), ("", "training"))
        for names, what in ((MSE_NAMES, "RMSE"), (("loss",), "loss"))
    }
    what, values = next((what, values) for what, values in choices.items() if values)
    if what.endswith("RMSE"):
        values = [math.sqrt(max(value, 0)) for value in values]
    return {"what": what, **_course("loss", values), "values": values}


def _course(name: str, entries: list[float]) -> dict[str, Any]:
    """Summarize a list of epochs; the best is known only where the least is the best."""
    course = {"first": entries[0], "best": None, "best_epoch": None, "last": entries[-1]}
    if name.rpartition("_")[2] in _ERRORS:
        best = min(range(len(entries)), key=entries.__getitem__)
        course |= {"best": entries[best], "best_epoch": best + 1}
    return course


def _metrics(path: Path) -> dict[str, Any]:
    metrics = read_metrics(path)
    if "folds" not in metrics:
        return _measured(metrics, path.parent)
    over = {
        spread: {name: metrics[spread][name] for name in ("rmse", "mae", "biases_rmse")}
        for spread in ("mean", "standard_deviation")
    }
    folds = [
        _measured(fold, path.parent / f"fold-{number}")
        for number, fold in enumerate(metrics["folds"], start=1)
    ]
    return {**over, "folds": folds, "written_by": {"mfcli": metrics["mfcli"]}}


def _measured(metrics: dict[str, Any], run: Path) -> dict[str, Any]:
    """Pick the facts of one model; the file may hold more."""
    protocol = {name: metrics["protocol"][name] for name in ("on", "ratings", "clip", "damping")}
    split = metrics["protocol"]["split"]
    return {
        **_picked(metrics, ("rmse", "mae", "r2")),
        "baselines": {
            name: _picked(metrics["baselines"][name], ("rmse", "mae", "r2", "gain"))
            for name in ("biases", "mean")
        },
        "groups": {n: _picked(g, ("ratings", "rmse")) for n, g in metrics["groups"].items()},
        "protocol": protocol,
        "config": metrics["config"],
        "changed": changed(metrics["config"]),
        "split": split,
        "split_beside": _split_beside(run, split),
        "written_by": {"mfcli": metrics["mfcli"]},
    }


def _picked(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names}


_READERS = {
    "settings": _settings,
    "split": _split,
    "model": _model,
    "keras": _keras,
    "history": _history,
    "metrics": _metrics,
}
