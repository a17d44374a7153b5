"""Reading `metrics.json`, checked once at the door."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfcli.errors import ArtifactError
from mfcli.evaluation.metrics import FORMAT
from mfcli.storage import check_fields, check_format, check_seal, read_json

METRICS_FILE = "metrics.json"
RATING_MEASURES = ("rmse", "mse", "mae", "r2", "user_rmse")
RANKING_MEASURES = (
    "ndcg", "recall", "precision", "map", "mrr", "hit_rate", "coverage", "popularity",
)  # fmt: skip

_ROW = {"ratings": int, "rmse": float}
_TENTHS = [{**_ROW, "from": int, "to": int}]
_BREAKDOWN = {
    "user_activity": _TENTHS,
    "item_popularity": _TENTHS,
    "rating": [{**_ROW, "rating": float, "prediction": float}],
    "calibration": [{"ratings": int, "prediction": float, "rating": float}],
    "month": ([{**_ROW, "month": str}], None),
    "residuals": {"edges": [float], "ratings": [int]},
}
_ERRORS = {"rmse": float, "mae": float, "r2": (float, None)}
_FIELDS = {
    **_ERRORS,
    "mse": float,
    "user_rmse": float,
    "mfcli": str,
    "protocol": {"on": str, "ratings": int, "split": str, "clip": bool, "damping": float},
    "config": {str: (str, bool, float)},
    "baselines": {"mean": {**_ERRORS, "gain": float}, "biases": {**_ERRORS, "gain": float}},
    "groups": {str: {"ratings": int, "rmse": (float, None)}},
    "ranking": ({"model": dict.fromkeys(RANKING_MEASURES, float)}, None),
    "breakdown": _BREAKDOWN,
}
_DRAWS = {"draws": {str: [float]}}
_OVER_FOLDS = {"rmse": float, "mae": float, "biases_rmse": float, str: float}
_FOLDS_FIELDS = {
    "mfcli": str,
    "mean": _OVER_FOLDS,
    "standard_deviation": _OVER_FOLDS,
    "folds": [_FIELDS],
}

_MOST_ROWS = 1200


def read_metrics(path: Path) -> dict[str, Any]:
    """Read a file of `Metrics.write` or `FoldMetrics.write`.

    Returns
    -------
    dict
        Of the one if it has `rmse`, of the other if it has `folds`. It may hold more than this
        version reads.

    Raises
    ------
    ArtifactError
        If the file is missing, damaged, of a newer format or holds no metrics.
    """
    metrics = read_json(path)
    if not looks_like_metrics(metrics):
        raise ArtifactError(f"{path}: holds no metrics; make them with: mfcli evaluate")
    check_format(path, metrics.get("format"), FORMAT)
    check_seal(path, metrics)
    fields = _FOLDS_FIELDS if "folds" in metrics else _FIELDS
    check_fields(path, metrics, fields | _DRAWS, "evaluate again")
    if not metrics.get("folds", True):
        raise ArtifactError(f"{path}: has no folds; evaluate again")
    for one in metrics.get("folds", [metrics]):
        if not _is_drawable(one["breakdown"]):
            raise ArtifactError(f"{path}: its breakdown is incomplete; evaluate again")
    return metrics


def _is_drawable(breakdown: dict[str, Any]) -> bool:
    """Whether each list has rows, and not too many, and the lists of a histogram fit together."""
    rows = [value for name, value in breakdown.items() if name in _BREAKDOWN and value is not None]
    months, residuals = breakdown["month"] or [], breakdown["residuals"]
    return (
        all(0 < len(one) <= _MOST_ROWS for one in rows)
        and all(re.fullmatch(r"\d{4}-\d{2}", row["month"]) for row in months)
        and len(residuals["edges"]) == len(residuals["ratings"]) + 1
    )


@dataclass(frozen=True)
class SavedMetrics:
    """What a `metrics.json` says.

    Attributes
    ----------
    path : Path
    protocols : list of dict
        Of each fold; one for a single evaluation.
    config : dict
        What the model was trained with, its settings as plain values.
    measures : dict of float
        By name; means over the folds if there are several.
    draws : dict of list of float
        The measures in each resample of the users.
    breakdown : dict, optional
        Where the error is; None for folds.
    """

    path: Path
    protocols: list[dict[str, Any]]
    config: dict[str, Any]
    measures: dict[str, float]
    draws: dict[str, list[float]]
    breakdown: dict[str, Any] | None

    @classmethod
    def read(cls, path: Path) -> SavedMetrics:
        """Read metrics from a file, or from the run folder that holds it.

        Raises
        ------
        ArtifactError
            If the file is missing, damaged, of a newer format or holds no metrics.
        """
        if path.is_dir():
            path = _in_folder(path)
        value = read_metrics(path)
        folds = value.get("folds")
        runs = folds or [value]
        return cls(
            path,
            [run["protocol"] for run in runs],
            runs[0]["config"],
            value["mean"] if folds else _measures(value),
            value["draws"],
            None if folds else value["breakdown"],
        )


def is_metrics(path: Path) -> bool:
    """Whether a file holds metrics, sound or not, rather than a history.

    Raises
    ------
    ArtifactError
        If it is missing or no JSON object.
    """
    return looks_like_metrics(read_json(path))


def looks_like_metrics(value: dict[str, Any]) -> bool:
    """Whether an object of JSON looks like what `evaluate` writes."""
    return "loss" not in value and ("protocol" in value or "folds" in value)


def _in_folder(folder: Path) -> Path:
    path = folder / METRICS_FILE
    if not path.is_file():
        raise ArtifactError(
            f"{folder}: holds no {METRICS_FILE}; make it with: mfcli evaluate"
            f" --model {folder / 'model'}"
        )
    return path


def _measures(value: dict[str, Any]) -> dict[str, float]:
    """Collect the measures of a single evaluation; R2 may be missing."""
    found = {name: value[name] for name in RATING_MEASURES if value[name] is not None}
    if value["ranking"]:
        found |= {name: value["ranking"]["model"][name] for name in RANKING_MEASURES}
    return found
