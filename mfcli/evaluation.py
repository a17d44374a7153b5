"""How good a model is on ratings it has not seen, and how much better than simple baselines."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli import __version__
from mfcli.errors import ArtifactError, DataError
from mfcli.fields import check_fields
from mfcli.files import check_format, read_json, write_json
from mfcli.model import Model
from mfcli.ratings import Ratings, Scale

FORMAT = 1
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
COLD_START = "an unknown id adds nothing: the prediction is mu plus the bias of the other side"

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Errors:
    """Errors of predictions, in rating units.

    Attributes
    ----------
    rmse, mse, mae : float
    r2 : float or None
        Share of the variance of these ratings that is explained; None where they do not vary.
    """

    rmse: float
    mse: float
    mae: float
    r2: float | None

    @classmethod
    def of(cls, predicted: Array, rating: Array) -> Errors:
        """Compare predictions to ratings, both of shape (n,), n > 0."""
        error = predicted.astype(np.float64) - rating
        mse = float(np.mean(np.square(error)))
        variance = float(np.var(rating, dtype=np.float64))
        r2 = 1 - mse / variance if variance else None
        return cls(math.sqrt(mse), mse, float(np.mean(np.abs(error))), r2)


@dataclass(frozen=True)
class Baseline:
    """Damped user and item biases fitted to training ratings, without factors.

    With d ratings at the mean added to each,

        b_i = sum over the item's ratings of (r - mu) / (count + d)
        b_u = sum over the user's ratings of (r - mu - b_i) / (count + d)

    (Y. Koren, "Factor in the neighbors", ACM TKDD 4(1), 2010, section 2.1.)
    """

    mu: float
    user_biases: NDArray[np.float64]
    item_biases: NDArray[np.float64]

    @classmethod
    def fit(cls, train: Ratings, damping: float) -> Baseline:
        mu = train.mean
        residual = train.rating.astype(np.float64) - mu
        item_biases = _damped(train.item, residual, train.items.counts, damping)
        residual = residual - item_biases[train.item]
        user_biases = _damped(train.user, residual, train.users.counts, damping)
        return cls(mu, user_biases, item_biases)

    def predict(self, ratings: Ratings) -> Array:
        """Predict ratings by their rows; an unknown row (-1) has no bias."""
        user = np.where(ratings.user >= 0, self.user_biases[ratings.user], 0)
        item = np.where(ratings.item >= 0, self.item_biases[ratings.item], 0)
        return (self.mu + user + item).astype(np.float32)


def _damped(
    rows: NDArray[np.int32],
    residual: NDArray[np.float64],
    counts: NDArray[np.int64],
    damping: float,
) -> NDArray[np.float64]:
    sums = np.bincount(rows, weights=residual, minlength=len(counts))
    biases: NDArray[np.float64] = sums / np.maximum(counts + damping, np.finfo(np.float64).tiny)
    return biases


@dataclass(frozen=True)
class Metrics:
    """What `evaluate` found, as `metrics.json` holds it.

    Attributes
    ----------
    protocol : dict
        What was compared to what: ratings, split, cold-start policy, clipping, damping.
    config : dict
        What the model was trained with.
    model, mean, biases : Errors
        Of the model, of the training mean, and of damped biases; clipped if the protocol says so.
    rmse_clipped, rmse_raw : float
        Of the model, either way.
    groups : dict
        Of each of `warm`, `unseen_user`, `unseen_item`, `unseen_both`: how many ratings, and the
        model's RMSE on them (None where there are none).
    """

    protocol: dict[str, Any]
    config: dict[str, Any]
    model: Errors
    mean: Errors
    biases: Errors
    rmse_clipped: float
    rmse_raw: float
    groups: dict[str, dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Return the metrics as plain values, with the gain over each baseline.

        A gain is the share of the baseline's RMSE that the model takes away.
        """
        baselines = {
            name: vars(errors) | {"gain": 1 - self.model.rmse / errors.rmse if errors.rmse else 0.0}
            for name, errors in (("mean", self.mean), ("biases", self.biases))
        }
        return {
            "format": FORMAT,
            "mfcli": __version__,
            "protocol": self.protocol,
            "config": self.config,
            **vars(self.model),
            "rmse_clipped": self.rmse_clipped,
            "rmse_raw": self.rmse_raw,
            "baselines": baselines,
            "groups": self.groups,
        }

    def write(self, path: Path) -> None:
        """Write the metrics as JSON, replacing the file atomically."""
        write_json(path, self.as_dict())


@dataclass(frozen=True)
class FoldMetrics:
    """The metrics of the models of a k-fold split, each on its own fold.

    Raises
    ------
    ArtifactError
        If the models were not all trained with the same settings: a mean would say nothing.
    """

    folds: list[Metrics]

    def __post_init__(self) -> None:
        first, *others = [fold.config for fold in self.folds]
        for number, other in enumerate(others, start=2):
            for name, value in first.items():
                if other[name] != value and name != "blocks":  # which the fold's size decides
                    raise ArtifactError(
                        f"fold {number} was trained with {name} {other[name]}, fold 1 with"
                        f" {value}; train all folds again"
                    )

    def as_dict(self) -> dict[str, Any]:
        """Return all metrics as plain values, with means and standard deviations over folds.

        The standard deviation is that of a sample (n - 1).
        """
        numbers = {
            "rmse": [fold.model.rmse for fold in self.folds],
            "mse": [fold.model.mse for fold in self.folds],
            "mae": [fold.model.mae for fold in self.folds],
            "biases_rmse": [fold.biases.rmse for fold in self.folds],
        }
        return {
            "format": FORMAT,
            "mfcli": __version__,
            "mean": {name: statistics.fmean(values) for name, values in numbers.items()},
            "standard_deviation": {n: statistics.stdev(values) for n, values in numbers.items()},
            "folds": [fold.as_dict() for fold in self.folds],
        }

    def write(self, path: Path) -> None:
        """Write the metrics as JSON, replacing the file atomically."""
        write_json(path, self.as_dict())


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
    if not is_metrics(metrics):
        raise ArtifactError(f"{path}: holds no metrics; make them with: mfcli evaluate")
    check_format(path, metrics.get("format"), FORMAT)
    fields = _FOLDS_FIELDS if "folds" in metrics else _FIELDS
    check_fields(path, metrics, fields, "evaluate again")
    if not metrics.get("folds", True):
        raise ArtifactError(f"{path}: has no folds; evaluate again")
    return metrics


def is_metrics(value: dict[str, Any]) -> bool:
    """Whether an object of JSON looks like what `evaluate` writes."""
    return "protocol" in value or "folds" in value


def evaluate(
    model: Model, ratings: Ratings, train: Ratings, *, clip: bool, damping: float, on: str
) -> Metrics:
    """Compare predictions to ratings.

    Parameters
    ----------
    model : Model
    ratings : Ratings
        To evaluate on, over vocabularies of their own; they are matched by their raw ids.
    train : Ratings
        To fit the baselines to, likewise.
    clip : bool
        Whether predictions are clipped to the model's rating scale.
    damping : float
        Of the bias baseline.
    on : str
        What `ratings` are, for the protocol.

    Raises
    ------
    DataError
        If there are no ratings.
    """
    if not len(ratings):
        raise DataError(f"{on}: holds no ratings to evaluate on")
    own = ratings
    ratings = own.within(model.users, model.items)
    raw = model.predict(ratings.user, ratings.item)
    clipped = _clipped(raw, model.scale)
    predicted = clipped if clip else raw
    fitted = Baseline.fit(train, damping).predict(own.within(train.users, train.items))
    constant = np.full(len(ratings), train.mean, dtype=np.float32)
    return Metrics(
        protocol=_protocol(model, ratings, clip, damping, on),
        config=model.config.as_dict(),
        model=Errors.of(predicted, ratings.rating),
        mean=Errors.of(constant, ratings.rating),
        biases=Errors.of(_clipped(fitted, model.scale) if clip else fitted, ratings.rating),
        rmse_clipped=Errors.of(clipped, ratings.rating).rmse,
        rmse_raw=Errors.of(raw, ratings.rating).rmse,
        groups=_groups(model, ratings, predicted),
    )


def _clipped(predicted: Array, scale: Scale) -> Array:
    return predicted.clip(np.float32(scale.min), np.float32(scale.max))


def _protocol(
    model: Model, ratings: Ratings, clip: bool, damping: float, on: str
) -> dict[str, Any]:
    return {
        "on": on,
        "ratings": len(ratings),
        "split": model.split_hash,
        "cold_start": COLD_START,
        "clip": clip,
        "scale": model.scale._asdict(),
        "damping": damping,
        "averaging": "over ratings",
    }


def _groups(model: Model, ratings: Ratings, predicted: Array) -> dict[str, dict[str, Any]]:
    known_user = _seen(ratings.user, model.users.counts)
    known_item = _seen(ratings.item, model.items.counts)
    masks = {
        "warm": known_user & known_item,
        "unseen_user": ~known_user & known_item,
        "unseen_item": known_user & ~known_item,
        "unseen_both": ~known_user & ~known_item,
    }
    return {name: _group(predicted[mask], ratings.rating[mask]) for name, mask in masks.items()}


def _seen(rows: NDArray[np.int32], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each row is known and has a training rating."""
    return (rows >= 0) & (counts[rows] > 0)


def _group(predicted: Array, rating: Array) -> dict[str, Any]:
    rmse = Errors.of(predicted, rating).rmse if len(rating) else None
    return {"ratings": len(rating), "rmse": rmse}
