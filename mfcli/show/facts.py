"""Read an artifact and describe it in plain values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mfcli.config import DEFAULTS, SETTINGS, TRAINING, Config, read_settings
from mfcli.errors import ArtifactError, ConfigError, MfcliError, Spell
from mfcli.evaluation import RANKING, FoldMetrics, Metrics, measures_of, read_metrics
from mfcli.model import (
    KERAS_FILE,
    MODEL_FILES,
    Model,
    read_keras_file,
    read_model_record,
    read_outline,
)
from mfcli.show.finding import Artifact, fold_number
from mfcli.splits import SPLIT_FOLDER, describe_split, split_hash, split_parent
from mfcli.storage import exists, record_values, whole
from mfcli.training import MSE_NAMES, History
from mfcli.types import Floats

_KIND = ("optimizer", "target", "unrated_weight")
"""Settings that other defaults depend on."""

_LOWER_IS_BETTER = {"loss", "mse", "rmse", "mae", "mape", "msle", "error"}
"""Last words of the names that Keras gives to lists whose lowest entry is the best."""


def facts_of(artifact: Artifact, spell: Spell = str) -> dict[str, Any]:
    """Read an artifact completely, check its digests, and describe it.

    Parameters
    ----------
    artifact : Artifact
    spell : callable, optional
        How an error spells parameters; as in Python by default.

    Returns
    -------
    dict
        Its `kind`, `path` and `fold`, and its facts as plain values. If it is damaged, `error`, one
        line, replaces the facts.
    """
    name: dict[str, Any] = artifact._asdict() | {"path": str(artifact.path)}
    try:
        return name | _READERS[artifact.kind](artifact.path)
    except MfcliError as error:
        # An error of a damaged file may quote it, with line breaks.
        return name | {"error": " ".join(error.phrase(spell).split())}
    except OSError as error:
        return name | {"error": f"{artifact.path}: cannot be read: {error.strerror or error}"}


def changed(settings: Mapping[str, Any]) -> list[str]:
    """Return the names of the settings that differ from the defaults of this version.

    A setting that is not given may stand for a known value: with gibbs, `average` is 0.9.
    """
    defaults = defaults_beside(settings)
    return [n for n, value in settings.items() if n not in SETTINGS or value != defaults[n]]


def defaults_beside(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the default of every setting, given those that other defaults depend on."""
    kind = {name: settings[name] for name in _KIND if name in settings}
    try:
        resolved = Config(**kind).used(TRAINING)
    except ConfigError:  # an optimizer of another version
        resolved = {}
    defaults = {name: setting.default for name, setting in SETTINGS.items()} | resolved
    # These were used above to resolve the other defaults.
    return defaults | {name: getattr(DEFAULTS, name) for name in kind}


def split_beside(run: Path, digest: str) -> dict[str, Any] | None:
    """Find the split of a run, beside it or in the working folder.

    Returns
    -------
    dict or None
        The `path`, `hash` and `parent` of a split, and whether the hash is the `same`: a split with
        the same hash if there is one, otherwise the first that is found. A damaged split counts as
        missing here; its error is reported where the split is shown.
    """
    places = [run / SPLIT_FOLDER, Path(SPLIT_FOLDER)]
    if fold_number(run):
        # The split of the run fold-3 is fold-3 of a k-fold split.
        places = [place / run.name for place in (run.parent / SPLIT_FOLDER, places[1])] + places
    found = [split for split in map(_hash_of, dict.fromkeys(places)) if split]
    # The sort is stable: the split with this hash first, the others in the order of the places.
    found.sort(key=lambda split: split["hash"] != digest)
    return found[0] | {"same": found[0]["hash"] == digest} if found else None


def _settings(path: Path) -> dict[str, Any]:
    settings = read_settings(path)
    return {"settings": settings, "changed": changed(settings)}


def _split(folder: Path) -> dict[str, Any]:
    described = describe_split(folder)
    # All artifacts name the programs that wrote them under one key.
    return described | {"written_by": {"mfcli": described.pop("mfcli")}}


def _model(folder: Path) -> dict[str, Any]:
    return whole([folder / "model.json"], lambda: _model_now(folder), unchanged=True)


def _model_now(folder: Path) -> dict[str, Any]:
    model, record = Model.load(folder), read_model_record(folder)  # loading checks the digests
    outline = read_outline(folder / KERAS_FILE)
    config = model.config.used(TRAINING)
    sides = {"users": model.users, "items": model.items}
    return {
        "config": config,
        "changed": changed(config),
        "k": model.k,
        **{name: len(side) for name, side in sides.items()},
        "unrated": {name: int((side.counts == 0).sum()) for name, side in sides.items()},
        "predicts": model.predicts,
        "mu": model.mu,
        "scale": model.scale._asdict(),
        **_tables(model.tables),
        "samples": len(model.samples) if model.samples else 0,
        "bytes": _size(path for name in MODEL_FILES if exists(path := folder / name)),
        "trained_on": [*model.trained_on],
        "split": model.split_hash,
        "split_beside": split_beside(folder.parent, model.split_hash),
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


def _tables(tables: Mapping[str, Floats]) -> dict[str, Any]:
    return {
        "parameters": sum(table.size for table in tables.values()),
        "tables": {name: _table(table) for name, table in tables.items()},
    }


def _table(table: Floats) -> dict[str, Any]:
    """Describe the weights of a table; the reader has checked that they are finite."""
    matrix = table if table.ndim == 2 else table[:, np.newaxis]
    # Squares of float32 can overflow, and their sum needs more digits.
    squares = float(np.sum(np.square(matrix, dtype=np.float64)))
    zero = int(np.count_nonzero(~matrix.any(axis=1)))
    return {
        "shape": list(matrix.shape),
        "largest": float(np.abs(matrix).max(initial=0)),
        "root_mean_square": math.sqrt(squares / max(matrix.size, 1)),
        "zero_rows": zero,
    }


def _hash_of(folder: Path) -> dict[str, str] | None:
    try:
        found = {"path": str(folder), "hash": split_hash(folder), "parent": split_parent(folder)}
    except (ArtifactError, OSError):
        return None
    return found


def _history(path: Path) -> dict[str, Any]:
    history = History.read(path)  # may also be one of another Keras program
    seconds = history.lists.get("seconds")
    return {
        "epochs": len(history),
        "seconds": _finite(math.fsum(seconds)) if seconds else None,  # JSON has no infinity
        "curve": _curve(history),
        "lists": {name: _course(name, entries) for name, entries in history.lists.items()},
    }


def _curve(history: History) -> dict[str, Any]:
    """Choose the list that epochs are judged by.

    A ranking measure that validation follows; otherwise validation over training, RMSE over loss.
    """
    for name, measure in measures_of(RANKING).items():
        if ranked := history.series((name,), "val_"):
            what = f"validation {measure.label}"
            return {"what": what, **_course(name, ranked), "values": list(map(_finite, ranked))}
    choices = {
        f"{part} {what}": history.series(names, prefix)
        for prefix, part in (("val_", "validation"), ("", "training"))
        for names, what in ((MSE_NAMES, "RMSE"), (("loss",), "loss"))
    }
    what, values = next((what, values) for what, values in choices.items() if values)
    if what.endswith("RMSE"):
        # A Keras history of another program may hold anything, even a negative error.
        values = [math.sqrt(max(value, 0)) for value in values]
    return {"what": what, **_course("loss", values), "values": list(map(_finite, values))}


def _course(name: str, entries: list[float]) -> dict[str, Any]:
    """Summarize a list; its best entry is known only if its name says which entries are better."""
    first, last = _finite(entries[0]), _finite(entries[-1])
    course = {"first": first, "best": None, "best_epoch": None, "last": last}
    finite = [n for n, entry in enumerate(entries) if math.isfinite(entry)]
    kind = name.rpartition("_")[2]
    if finite and (kind in _LOWER_IS_BETTER or kind in measures_of(RANKING)):
        best = (min if kind in _LOWER_IS_BETTER else max)(finite, key=entries.__getitem__)
        course |= {"best": entries[best], "best_epoch": best + 1}
    return course


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _metrics(path: Path) -> dict[str, Any]:
    metrics = read_metrics(path)
    if isinstance(metrics, Metrics):
        return _one_model(metrics, path.parent)
    return _folds(metrics, path.parent)


def _folds(metrics: FoldMetrics, run: Path) -> dict[str, Any]:
    shown = "biases" if metrics.has_errors else "popular"
    return {
        "measures": metrics.measures,
        "standard_deviations": metrics.standard_deviations,
        "baselines": {shown: record_values(metrics.baselines[shown])},
        "folds": [
            _one_model(fold, run / f"fold-{number}")
            for number, fold in enumerate(metrics.folds, start=1)
        ],
        "written_by": {"mfcli": metrics.mfcli},
    }


def _one_model(metrics: Metrics, run: Path) -> dict[str, Any]:
    protocol = metrics.protocol
    return {
        "measures": metrics.measures,
        "baselines": {
            name: {"measures": baseline.measures, "gain": baseline.gain}
            for name, baseline in metrics.baselines.items()
        },
        "groups": {name: record_values(group) for name, group in metrics.groups.items()},
        "overlap": record_values(metrics.overlap) if metrics.overlap else None,
        "protocol": {
            "on": protocol.on,
            "ratings": protocol.ratings,
            "feedback": protocol.feedback,
            "samples": protocol.samples,
            "interval_level": protocol.interval_level,
            **protocol.settings,
        },
        "config": metrics.training,
        "changed": changed(metrics.training),
        "split": protocol.split,
        "split_beside": split_beside(run, protocol.split),
        "written_by": {"mfcli": metrics.mfcli},
    }


_READERS = {
    "settings": _settings,
    "split": _split,
    "model": _model,
    "keras": _keras,
    "history": _history,
    "metrics": _metrics,
}
