"""Reading `metrics.json`, checked once at the door."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfcli.errors import ArtifactError
from mfcli.evaluation import FORMAT
from mfcli.fields import check_fields
from mfcli.files import check_format, check_seal, read_json

METRICS_FILE = "metrics.json"
RATING_MEASURES = ("rmse", "mse", "mae", "r2", "user_rmse")
RANKING_MEASURES = (
    "ndcg", "recall", "precision", "map", "mrr", "hit_rate", "coverage", "popularity",
)  # fmt: skip

_ROWS = {
    "user_activity": ("from", "to", "ratings", "rmse"),
    "item_popularity": ("from", "to", "ratings", "rmse"),
    "rating": ("rating", "ratings", "rmse", "prediction"),
    "calibration": ("prediction", "ratings", "rating"),
}
"""The numbers that each row of a list in `breakdown` has."""

_MOST_ROWS = 1200


_ERRORS = {"rmse": float, "mae": float, "r2": (float, None)}
_FIELDS = {
    **_ERRORS,
    "mfcli": str,
    "protocol": {"on": str, "ratings": int, "split": str, "clip": bool, "damping": float},
    "config": {str: (str, bool, float)},
    "baselines": {"mean": {**_ERRORS, "gain": float}, "biases": {**_ERRORS, "gain": float}},
    "groups": {str: {"ratings": int, "rmse": (float, None)}},
}
_OVER_FOLDS = {"rmse": float, "mae": float, "biases_rmse": float}
_FOLDS_FIELDS = {
    "mfcli": str,
    "mean": _OVER_FOLDS,
    "standard_deviation": _OVER_FOLDS,
    "folds": [_FIELDS],
}


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
    check_fields(path, metrics, fields, "evaluate again")
    if not metrics.get("folds", True):
        raise ArtifactError(f"{path}: has no folds; evaluate again")
    return metrics


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
        folds = value.get("folds", [value])
        if not all(map(_is_evaluation, folds)):
            raise _damaged(path, "it is incomplete")
        measures: Any = value.get("mean") if "folds" in value else _measures(value)
        draws: Any = value.get("draws")
        if not _is_numbers(measures) or not isinstance(draws, dict):
            raise _damaged(path, "its measures are no numbers")
        if not all(_is_series(series) for series in draws.values()):
            raise _damaged(path, "its draws are no numbers")
        breakdown = None if "folds" in value else _checked_breakdown(path, value["breakdown"])
        protocols = [fold["protocol"] for fold in folds]
        return cls(path, protocols, folds[0]["config"], measures, draws, breakdown)


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


def _is_evaluation(value: Any) -> bool:
    names = ("protocol", "config", "breakdown")
    if not isinstance(value, dict) or not all(isinstance(value.get(n), dict) for n in names):
        return False
    protocol = value["protocol"]
    return type(protocol.get("ratings")) is int and isinstance(protocol.get("on"), str)


def _measures(value: dict[str, Any]) -> dict[str, Any]:
    """Collect the measures of a single evaluation; R2 may be missing."""
    found = {name: value.get(name) for name in RATING_MEASURES}
    if found["r2"] is None:
        del found["r2"]
    ranking = value.get("ranking")
    if isinstance(ranking, dict) and isinstance(ranking.get("model"), dict):
        found |= {name: ranking["model"].get(name) for name in RANKING_MEASURES}
    return found


def _checked_breakdown(path: Path, breakdown: dict[str, Any]) -> dict[str, Any]:
    for name, keys in _ROWS.items():
        if not _is_rows(breakdown.get(name), keys):
            raise _damaged(path, f"its breakdown by {name} is incomplete")
    months, residuals = breakdown.get("month"), breakdown.get("residuals")
    if months is not None and not _are_months(months):
        raise _damaged(path, "its breakdown by month is incomplete")
    if not isinstance(residuals, dict) or not _is_histogram(residuals):
        raise _damaged(path, "its residuals are incomplete")
    return breakdown


def _is_rows(rows: Any, keys: Iterable[str]) -> bool:
    return (
        isinstance(rows, list)
        and 0 < len(rows) <= _MOST_ROWS
        and all(isinstance(row, dict) for row in rows)
        and all(_is_number(row.get(key)) for row in rows for key in keys)
    )


def _are_months(rows: Any) -> bool:
    return _is_rows(rows, ("ratings", "rmse")) and all(
        re.fullmatch(r"\d{4}-\d{2}", str(row.get("month"))) for row in rows
    )


def _is_histogram(residuals: dict[str, Any]) -> bool:
    edges, ratings = residuals.get("edges", []), residuals.get("ratings", [])
    return _is_series(edges) and _is_series(ratings) and len(edges) == len(ratings) + 1


def _is_numbers(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _is_series(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _damaged(path: Path, why: str) -> ArtifactError:
    return ArtifactError(f"{path}: is damaged ({why}); evaluate again")
