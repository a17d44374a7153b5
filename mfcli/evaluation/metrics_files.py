"""Find and read `metrics.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mfcli.errors import ArtifactError, Param
from mfcli.evaluation.metrics import FoldMetrics, Metrics
from mfcli.model import KERAS_FILE
from mfcli.storage import read_json, to_record

METRICS_FILE = "metrics.json"

_REMEDY = "evaluate again"


def metrics_file(path: Path) -> Path:
    """Return the metrics file at a path: the path itself, or the file in a run folder.

    Raises
    ------
    ArtifactError
        If a folder has no metrics file.
    """
    if not path.is_dir():
        return path  # if it is missing, the reader reports it
    file = path / METRICS_FILE
    if not file.is_file():
        if (path / KERAS_FILE).exists():
            rule = "is a model folder, not the folder of a run"
            raise ArtifactError(rule, place=path, remedy=f"use {path.parent}")
        raise ArtifactError(
            f"contains no {METRICS_FILE}",
            place=path,
            remedy=["create it with: mfcli evaluate ", Param("model", str(path / "model"))],
        )
    return file


def read_metrics(path: Path) -> Metrics | FoldMetrics:
    """Read a file of `Metrics.write` or `FoldMetrics.write`, or the one in a run folder.

    Raises
    ------
    ArtifactError
        If the file is missing, damaged, of another format or contains no metrics.
    """
    path = metrics_file(path)
    value = read_json(path, remedy=_REMEDY)
    if not looks_like_metrics(value):
        remedy = "create them with: mfcli evaluate"
        raise ArtifactError("contains no metrics", place=path, remedy=remedy)
    if "folds" in value:
        return to_record(path, value, FoldMetrics, remedy=_REMEDY)
    return to_record(path, value, Metrics, remedy=_REMEDY)


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
