"""How good a model is on ratings it has not seen, and how much better than simple baselines."""

from __future__ import annotations

import platform
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfcli import __version__
from mfcli.config import DEFAULTS, Config
from mfcli.data import Ratings
from mfcli.errors import ArtifactError, DataError, UsageError
from mfcli.evaluation.baselines import Baseline
from mfcli.evaluation.bootstrap import LEVEL, Bootstrap, Doubles, interval
from mfcli.evaluation.errors import Measured
from mfcli.evaluation.sums import Progress, measure
from mfcli.model import Model
from mfcli.splits import Split
from mfcli.storage import cores, write_sealed

if TYPE_CHECKING:
    from mfcli.evaluation.ranking import RankingMetrics

FORMAT = 1
COLD_START = "an unknown id adds nothing: the prediction is mu plus the bias of the other side"
AVERAGING = "over ratings; user_rmse and ranking over users"
CANDIDATES = "all items that the user has not rated in training"


@dataclass(frozen=True)
class Metrics:
    """What `evaluate` found, as `metrics.json` holds it.

    Attributes
    ----------
    protocol : dict
        What was compared to what: ratings, split, cold-start policy, clipping, versions, ...
    config : dict
        What the model was trained with.
    model, mean, biases : Measured
        Errors of the model, of the training mean, and of damped biases; clipped if the protocol
        says so.
    rmse_clipped, rmse_raw : float
        Of the model, either way.
    groups : dict
        Of each of `warm`, `unseen_user`, `unseen_item`, `unseen_both`: how many ratings, and the
        model's RMSE on them (None where there are none).
    breakdown : dict
        Where the error is, see `Breakdown`.
    ranking : RankingMetrics, optional
    """

    protocol: dict[str, Any]
    config: dict[str, Any]
    model: Measured
    mean: Measured
    biases: Measured
    rmse_clipped: float
    rmse_raw: float
    groups: dict[str, dict[str, Any]]
    breakdown: dict[str, Any]
    ranking: RankingMetrics | None = None

    @property
    def draws(self) -> dict[str, Doubles]:
        """What the model's measures were in each resample of the users, by their names."""
        return self.model.draws | (self.ranking.model.draws if self.ranking else {})

    def as_dict(self) -> dict[str, Any]:
        """Return the metrics as plain values, with the gain over each baseline.

        A gain is the share of the baseline's RMSE that the model takes away.
        """
        baselines = {"mean": self.mean, "biases": self.biases}
        return {
            "format": FORMAT,
            "mfcli": __version__,
            "protocol": self.protocol,
            "config": self.config,
            **self.model.as_dict(),
            "rmse_clipped": self.rmse_clipped,
            "rmse_raw": self.rmse_raw,
            "baselines": {name: self._against(other) for name, other in baselines.items()},
            "groups": self.groups,
            "ranking": self.ranking.as_dict() if self.ranking else None,
            "breakdown": self.breakdown,
        }

    def _against(self, baseline: Measured) -> dict[str, Any]:
        plain, rmse = baseline.as_dict(), baseline.errors.rmse
        plain["gain"] = 1 - self.model.errors.rmse / rmse if rmse else 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            draws = 1 - self.model.draws["rmse"] / baseline.draws["rmse"]
        plain["intervals"]["gain"] = interval(draws)
        return plain

    def write(self, path: Path) -> None:
        """Write the metrics and their draws as JSON, replacing the file atomically."""
        write_sealed(path, self.as_dict() | {"draws": _plain(self.draws)})


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

    @property
    def draws(self) -> dict[str, Doubles]:
        """The means over the folds of their draws."""
        found = [fold.draws for fold in self.folds]
        return {name: np.mean([draws[name] for draws in found], axis=0) for name in found[0]}

    def as_dict(self) -> dict[str, Any]:
        """Return all metrics as plain values, with means and standard deviations over folds.

        The standard deviation is that of a sample (n - 1).
        """
        values = [_measures(fold) for fold in self.folds]
        names = [name for name in values[0] if all(name in measures for measures in values)]
        numbers = {name: [measures[name] for measures in values] for name in names}
        return {
            "format": FORMAT,
            "mfcli": __version__,
            "mean": {name: statistics.fmean(column) for name, column in numbers.items()},
            "standard_deviation": {n: statistics.stdev(c) for n, c in numbers.items()},
            "intervals": {name: interval(draws) for name, draws in self.draws.items()},
            "folds": [fold.as_dict() for fold in self.folds],
        }

    def write(self, path: Path) -> None:
        """Write the metrics and their draws as JSON, replacing the file atomically."""
        write_sealed(path, self.as_dict() | {"draws": _plain(self.draws)})


def _measures(metrics: Metrics) -> dict[str, float]:
    """List the numbers that have a mean over folds."""
    found = asdict(metrics.model.errors) | {"biases_rmse": metrics.biases.errors.rmse}
    if metrics.ranking:
        found |= asdict(metrics.ranking.model.measures)
    return {name: value for name, value in found.items() if value is not None}


def _plain(draws: dict[str, Doubles]) -> dict[str, list[float]]:
    """Return draws to seven digits; a draw that is not defined leaves out all of its measure."""
    finite = {name: values for name, values in draws.items() if np.isfinite(values).all()}
    return {name: [float(f"{x:.7g}") for x in values] for name, values in finite.items()}


def evaluate(
    model: Model,
    split: Split,
    config: Config = DEFAULTS,
    *,
    on: str | Ratings = "test",
    ranking: bool = False,
    threads: int | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Metrics:
    """Compare predictions to ratings.

    Parameters
    ----------
    model : Model
    split : Split
        Its training ratings are what the baselines are fitted to and what is not recommended again.
        Ids are matched as they are, so that it may be another split than the model's.
    config : Config
        Its `clip`, `damping`, `seed` and `resamples` are used, and for rankings `at` and
        `relevant`.
    on : str or Ratings
        A part of the split ("test", "valid" or "train"), or other ratings.
    ranking : bool
        Measure rankings, too.
    threads : int, optional
        The cores by default; the result does not depend on it.
    on_progress : callable, optional
        Told the ratings measured so far and all of them; then the users ranked.

    Raises
    ------
    DataError
        If there are no ratings, or none is relevant.
    ArtifactError
        If the split has no such part.
    UsageError
        If a ranking is to be measured on the training ratings, which are not recommended.
    """
    ratings, name = _ratings_of(split, on)
    if ranking and name == "train":
        raise UsageError("a ranking leaves out what is rated in train; measure it on test or valid")
    if not len(ratings):
        raise DataError(f"{name}: holds no ratings to evaluate on")
    bootstrap = Bootstrap(config.resamples, config.seed, threads or cores())
    baseline = Baseline.fit(split.train, config.damping)
    sums = measure(model, split, ratings, baseline, config.clip, bootstrap.threads, on_progress)
    protocol = _protocol(model, split, ratings, name, config)
    ranked = None
    if ranking:
        from mfcli.evaluation.ranking import evaluate_ranking

        ranked = evaluate_ranking(
            model,
            ratings,
            split.train,
            baseline,
            at=config.at,
            relevant=config.relevant,
            bootstrap=bootstrap,
            on_progress=on_progress,
        )
        protocol["ranking"] = {"at": ranked.at, "relevant": ranked.relevant, "of": CANDIDATES}
    kinds, rmse = sums.measured(bootstrap), sums.rmse()
    return Metrics(
        protocol=protocol,
        config=model.config.used("training"),
        model=kinds["model"],
        mean=kinds["mean"],
        biases=kinds["biases"],
        rmse_clipped=rmse["clipped"],
        rmse_raw=rmse["raw"],
        groups=sums.breakdown.group_errors(),
        breakdown=sums.breakdown.as_dict(sums.users),
        ranking=ranked,
    )


def _ratings_of(split: Split, on: str | Ratings) -> tuple[Ratings, str]:
    """Return the ratings to evaluate on, and what they are called."""
    if isinstance(on, Ratings):
        return on, on.source.name if on.source else "other ratings"
    if on not in split.parts:
        raise ArtifactError(f"the split has no {on} ratings; split again with --{on} 0.1")
    return split.parts[on], on


def _protocol(
    model: Model, split: Split, ratings: Ratings, name: str, config: Config
) -> dict[str, Any]:
    return {
        "on": name,
        "source": ratings.source.sha256 if ratings.source else None,
        "ratings": len(ratings),
        "users": int(np.count_nonzero(np.bincount(ratings.user))),
        "split": split.hash,
        "strategy": split.strategy,
        "trained_on": model.split_hash,
        "cold_start": COLD_START,
        "clip": config.clip,
        "scale": model.scale._asdict(),
        "damping": config.damping,
        "averaging": AVERAGING,
        "intervals": {
            "level": LEVEL,
            "over": "users",
            "resamples": config.resamples,
            "seed": config.seed,
        },
        "ranking": None,
        "versions": {
            "mfcli": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
    }
