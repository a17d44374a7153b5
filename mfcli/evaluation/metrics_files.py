"""Name, find and read `metrics.json` and its siblings, such as `metrics-valid.json`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from mfcli.arguments import path_of
from mfcli.errors import ArtifactError, Param, warn
from mfcli.evaluation.metrics import FoldMetrics, Metrics
from mfcli.model import KERAS_FILE, MODEL_FOLDER, read_model_record
from mfcli.storage import read_json, to_record

METRICS_FILE = "metrics.json"

_REMEDY = "evaluate again"


def metrics_name(on: str) -> str:
    """Return the name of the file for the metrics on some ratings.

    Each part of a split and each file of ratings has its own, so that the metrics on validation
    ratings do not replace those on test ratings.

    Parameters
    ----------
    on : str
        A part of the split, a path, or "-" for standard input.
    """
    if on == "test":
        return METRICS_FILE
    # With the suffix, because u1.base and u1.test are different ratings.
    return _file_of("stdin" if on == "-" else Path(on).resolve().name)


def _file_of(ratings: str) -> str:
    return f"metrics-{ratings}.json"


def metrics_in(folder: Path) -> list[Path]:
    """Return the metrics files in the folder of a run, those on test ratings first."""
    names = (METRICS_FILE, _file_of("*"))
    return [file for name in names for file in sorted(folder.glob(name)) if file.is_file()]


def metrics_file(path: Path) -> Path:
    """Return the metrics file at a path: the path itself, or the file in a run folder.

    In a run folder, it is the file with the metrics on test ratings, or the only other one.

    Raises
    ------
    ArtifactError
        If a folder has no metrics file, or several, but none on test ratings.
    """
    if not path.is_dir():
        return path  # if it is missing, the reader reports it
    found = metrics_in(path)
    if not found:
        raise _no_metrics(path)
    if len(found) > 1 and found[0].name != METRICS_FILE:
        rule = f"contains several files of metrics, but no {METRICS_FILE}"
        raise ArtifactError(rule, place=path, remedy=f"name one, such as {found[0]}")
    return found[0]


def _no_metrics(folder: Path) -> ArtifactError:
    if (folder / KERAS_FILE).exists():
        rule = "is a model folder, not the folder of a run"
        return ArtifactError(rule, place=folder, remedy=f"use {folder.parent}")
    return ArtifactError(
        f"contains no {METRICS_FILE}",
        place=folder,
        remedy=["create it with: mfcli evaluate ", Param("model", str(folder))],
    )


def read_metrics(path: Path | str) -> Metrics | FoldMetrics:
    """Read a file of `Metrics.write` or `FoldMetrics.write`, or the one in a run folder.

    Warns
    -----
    MfcliWarning
        If the model of the run was trained with other settings, on another split or on other parts
        of it than the model that was measured.

    Raises
    ------
    ArtifactError
        If the file is missing, damaged, of another format or contains no metrics.
    """
    path = metrics_file(path_of(path, "path"))
    value = read_json(path, remedy=_REMEDY)
    if not looks_like_metrics(value):
        remedy = "create them with: mfcli evaluate"
        raise ArtifactError("contains no metrics", place=path, remedy=remedy)
    if "folds" in value:
        return to_record(path, value, FoldMetrics, remedy=_REMEDY)
    metrics = to_record(path, value, Metrics, remedy=_REMEDY)
    if path in metrics_in(path.parent):  # a file of another name may be of any model
        _warn_of_other_model(path, metrics)
    return metrics


def _warn_of_other_model(path: Path, metrics: Metrics) -> None:
    """Warn if a training has replaced the model that was measured."""
    folder = path.parent / MODEL_FOLDER
    with suppress(ArtifactError):  # metrics are complete without a model
        record = read_model_record(folder)
        protocol = metrics.protocol
        measured = metrics.training, protocol.trained_on, protocol.trained_parts
        if protocol.on in record.trained_on[1:]:
            warn(f"was measured before {folder} was trained on all parts", place=path)
        elif measured != (record.settings, record.split, record.trained_on):
            warn(f"was measured with another model than {folder}", place=path, remedy=_REMEDY)


def is_metrics(path: Path) -> bool:
    """Return whether a file contains metrics, intact or not, rather than a history.

    Raises
    ------
    ArtifactError
        If it is missing or not a JSON object.
    """
    # A history of Keras may hold NaN, which JSON itself does not allow.
    return looks_like_metrics(read_json(path, finite=False))


def looks_like_metrics(value: dict[str, Any]) -> bool:
    """Return whether a JSON object looks like what `evaluate` writes."""
    # A history always has the list `loss`, whatever program wrote it.
    return "loss" not in value and ("protocol" in value or "folds" in value)
