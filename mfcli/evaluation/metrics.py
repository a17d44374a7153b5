"""The metrics of a model, or of the models of a k-fold split, as `metrics.json` holds them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mfcli.arguments import path_of
from mfcli.errors import ArtifactError
from mfcli.evaluation.baseline_metrics import BaselineMetrics, Settings
from mfcli.evaluation.bootstrap import Interval, interval
from mfcli.evaluation.breakdown import Breakdown, GroupError
from mfcli.evaluation.measures import in_order
from mfcli.evaluation.ranking_breakdown import RankingBreakdown
from mfcli.evaluation.verdict import Verdict, fold_verdict
from mfcli.splits import ScaleSection, ratings_of
from mfcli.storage import Record, Section, Whole, record_values, replacing_file, write_record
from mfcli.types import Doubles


class Protocol(Section):
    """What was measured, and how.

    Attributes
    ----------
    on : str
        The part of the split, or the name of the file, that the ratings come from.
    source : str or None
        SHA-256 of the ratings file, if they do not come from the split.
    ratings, users : int
    split, trained_on : str
        Hashes of the split and of the split that the model was trained on.
    strategy : dict
        How the split was made.
    settings : dict
        The settings that the evaluation used; `at`, `relevant`, `protocol` and
        `fold_in_fraction` only for rankings.
    scale : ScaleSection
    ranked_users : int or None
        Users with relevant items; None without rankings.
    relevant_share : float or None
        Fraction of the ratings that are relevant; None without rankings.
    level : float
        Of the confidence intervals, which are over users.
    cold_start, averaging, candidates : str
        Conventions in words.
    versions : dict of str
    predicts : str
        "ratings" or "scores", as `Model.predicts`.
    feedback : str
        "explicit" or "implicit", as `Split.feedback`. Ratings that are scores or implicit have no
        meaningful errors, and only rankings are measured.
    samples : int or None
        Samples of the posterior, from which the distributions of ratings were predicted; None if
        the model has none.
    interval_level : float or None
        Probability with which a rating is in its interval; None without samples.
    trained_parts : tuple of str
        The parts of the split that the model was trained on.
    """

    on: str
    source: str | None
    ratings: Whole
    users: Whole
    split: str
    trained_on: str
    strategy: dict[str, Any]
    settings: Settings
    scale: ScaleSection
    ranked_users: Whole | None
    relevant_share: float | None
    level: float
    cold_start: str
    averaging: str
    candidates: str | None
    versions: dict[str, str]
    predicts: str = "ratings"
    feedback: str = "explicit"
    samples: Whole | None = None
    interval_level: float | None = None
    trained_parts: tuple[str, ...] = ("train",)

    @property
    def rows(self) -> str:
        """What the ratings are called in a sentence, such as "test interactions"."""
        return ratings_of(self.on, self.feedback)

    @property
    def cutoffs(self) -> list[int]:
        """The ranking cutoffs, the main one first; empty without rankings."""
        at = self.settings.get("at", [])
        return at if isinstance(at, list) else [int(at)]


class PartError(Section):
    """The errors on a part of the ratings; None if it is empty."""

    ratings: Whole
    rmse: float | None
    mae: float | None


class Overlap(Section):
    """The errors on the ratings that the model was trained on, and on all others.

    A rating counts as trained on if there is a training rating of its user and item.
    """

    trained_on: PartError
    others: PartError


class _MetricsRecord(Record):
    """What the metrics of one model and of several folds share."""

    FORMAT = 2

    def as_dict(self) -> dict[str, Any]:
        """Return the metrics as plain values, without the draws."""
        values = record_values(self)
        del values["draws"]  # thousands of numbers, for comparisons only
        return {"format": self.FORMAT, **values}

    def write(self, path: Path | str) -> None:
        """Write the metrics as JSON, replacing the file atomically."""
        with replacing_file(path_of(path, "path"), Metrics, FoldMetrics) as temporary:
            write_record(temporary, self)


class Metrics(_MetricsRecord):
    """The metrics of one model.

    Attributes
    ----------
    protocol : Protocol
    training : dict
        The settings that the model's training used.
    measures : dict of float or None
        Of the model, by the names in `MEASURES`, at other cutoffs than the main one like "ndcg@20";
        None if undefined. There are rating errors, rankings or both, and with samples of the
        posterior measures of uncertainty: `log_score` (mean logarithm of the predicted density at
        the ratings), `log_score_gain` (over normal distributions around the same predictions whose
        variance is the mean squared error on these ratings) and `interval_coverage`.
    intervals : dict
        The ends of the confidence interval of each measure, or None.
    rmse_clipped, rmse_raw : float or None
        The RMSE of the model with predictions clipped to the rating scale, and not clipped; None
        without rating errors.
    baselines : dict of BaselineMetrics
        Of damped `biases`, for rating errors also of the training `mean` and for rankings of the
        most `popular` items.
    groups : dict of GroupError
        Of `warm`, `unseen_user`, `unseen_item` and `unseen_both`: the error of the model by whether
        it has training ratings of the user and the item, and with samples its intervals; empty
        without rating errors.
    breakdown : Breakdown or None
        Of the rating errors.
    draws : dict of list of float
        The measures of the model in each resample of the users.
    overlap : Overlap or None
        With the training ratings; None for a part of the split, and for a model that was trained on
        another split.
    verdict : Verdict or None
        None in files of older versions.
    ranking_breakdown : RankingBreakdown or None
        Of the rankings; None in files of older versions.
    """

    protocol: Protocol
    training: Settings
    measures: dict[str, float | None]
    intervals: dict[str, Interval | None]
    rmse_clipped: float | None
    rmse_raw: float | None
    baselines: dict[str, BaselineMetrics]
    groups: dict[str, GroupError]
    breakdown: Breakdown | None
    draws: dict[str, list[float]]
    overlap: Overlap | None = None
    verdict: Verdict | None = None
    ranking_breakdown: RankingBreakdown | None = None

    def __post_init__(self) -> None:
        _check_main("measures", self.measures)
        for name in ("mean" if self.has_errors else "popular", "biases"):
            if name not in self.baselines:
                raise ValueError(f"has no baselines.{name}")
            baseline = self.baselines[name]
            _check_like(self.measures, f"baselines.{name}.measures", baseline.measures)
            if self.has_errors and baseline.gain is None:
                raise ValueError(f"has no baselines.{name}.gain")
        if self.has_errors and self.breakdown is None:
            raise ValueError("has no breakdown")

    @property
    def has_errors(self) -> bool:
        """Whether rating errors were measured; otherwise only rankings."""
        return has_errors(self.measures)

    @property
    def constant_log_score(self) -> float | None:
        """The log score of constant variance; None if it is undefined or was not measured."""
        own, gain = self.measures.get("log_score"), self.measures.get("log_score_gain")
        return None if own is None or gain is None else own - gain

    def __repr__(self) -> str:
        return f"Metrics({_shown(self.measures)})"

    @property
    def protocols(self) -> list[Protocol]:
        """The protocol of each evaluation."""
        return [self.protocol]


class Averages(Section):
    """Means and sample standard deviations of measures over folds."""

    measures: dict[str, float]
    standard_deviations: dict[str, float]


class FoldMetrics(_MetricsRecord):
    """The metrics of the models of a k-fold split, each on its own fold.

    Attributes
    ----------
    measures, standard_deviations : dict of float
        Means and sample standard deviations (n - 1) of the model's measures over the folds.
    intervals : dict
        The ends of the confidence intervals of the means, or None.
    baselines : dict of Averages
        Of the baselines in `Metrics`.
    folds : list of Metrics
        Without draws.
    draws : dict of list of float
        The means over the folds of their draws.
    verdict : Verdict or None
        None in files of older versions.
    """

    measures: dict[str, float]
    standard_deviations: dict[str, float]
    intervals: dict[str, Interval | None]
    baselines: dict[str, Averages]
    folds: list[Metrics]
    draws: dict[str, list[float]]
    verdict: Verdict | None = None

    def __post_init__(self) -> None:
        if not self.folds:
            raise ValueError("folds must not be empty")
        _check_main("measures", self.measures)
        _check_like(self.measures, "standard_deviations", self.standard_deviations)
        for name in ("biases",) if self.has_errors else ("popular", "biases"):
            if name not in self.baselines:
                raise ValueError(f"has no baselines.{name}")
            for field in ("measures", "standard_deviations"):
                found = getattr(self.baselines[name], field)
                _check_like(self.measures, f"baselines.{name}.{field}", found)

    @property
    def has_errors(self) -> bool:
        """Whether rating errors were measured; otherwise only rankings."""
        return has_errors(self.measures)

    @classmethod
    def of(cls, folds: list[Metrics]) -> FoldMetrics:
        """Average the metrics of at least two folds.

        Raises
        ------
        ArtifactError
            If the models were trained with different settings.
        """
        _check_same_training(folds)
        # A draw of the mean over the folds is the mean of one draw of each.
        draws = {
            name: np.mean([fold.draws[name] for fold in folds], axis=0)
            for name in folds[0].draws
            if all(name in fold.draws for fold in folds)
        }
        model = _averages([fold.measures for fold in folds])
        return cls(
            measures=model.measures,
            standard_deviations=model.standard_deviations,
            intervals={name: interval(values) for name, values in draws.items()},
            baselines={
                name: _averages([fold.baselines[name].measures for fold in folds])
                for name in folds[0].baselines
            },
            folds=[_without_draws(fold) for fold in folds],  # `draws` has their means
            draws=rounded(draws),
            verdict=_verdict_of_folds(folds),
        )

    def __repr__(self) -> str:
        return f"FoldMetrics({len(self.folds)} folds, means {_shown(self.measures)})"

    @property
    def protocols(self) -> list[Protocol]:
        """The protocol of each fold's evaluation."""
        return [fold.protocol for fold in self.folds]

    @property
    def training(self) -> Settings:
        """The settings that the training of each fold used."""
        return self.folds[0].training


def _verdict_of_folds(folds: list[Metrics]) -> Verdict | None:
    verdicts = [fold.verdict for fold in folds if fold.verdict]
    if len(verdicts) < len(folds):  # files of older versions have none
        return None
    main = _main_of(folds[0].measures)
    has_intervals = all(fold.intervals.get(main) for fold in folds)
    return fold_verdict(verdicts, folds[0].training, has_intervals=has_intervals)


def _shown(measures: Mapping[str, float | None]) -> str:
    known = in_order(measures)
    return ", ".join(f"{name} {measure.text(measures[name])}" for name, measure in known.items())


def has_errors(measures: Mapping[str, float | None]) -> bool:
    """Return whether measures contain rating errors."""
    return measures.get("rmse") is not None


def _main_of(measures: Mapping[str, float | None]) -> str:
    """Return the one measure that every reader needs; others may be missing or undefined."""
    return "rmse" if has_errors(measures) else "ndcg"


def _check_main(field: str, measures: Mapping[str, float | None]) -> None:
    if measures.get(_main_of(measures)) is None:
        raise ValueError(f"has no {field}.rmse and no {field}.ndcg")


def _check_like(
    model: Mapping[str, float | None], field: str, measures: Mapping[str, float | None]
) -> None:
    """Check that other values have the main measure of the model."""
    name = _main_of(model)
    if measures.get(name) is None:
        raise ValueError(f"has no {field}.{name}")


def _check_same_training(folds: list[Metrics]) -> None:
    first, *others = [fold.training for fold in folds]
    for number, other in enumerate(others, start=2):
        for name in first | other:
            # The number of blocks depends on the size of the fold.
            if other.get(name) != first.get(name) and name != "blocks":
                raise ArtifactError(
                    f"fold {number} was trained with {name} {other.get(name)}, fold 1 with"
                    f" {first.get(name)}",
                    remedy="train all folds again",
                )


def _averages(folds: list[dict[str, float | None]]) -> Averages:
    """Average the measures that are defined for all folds."""
    columns = {name: [fold.get(name) for fold in folds] for name in folds[0]}
    found = {name: [v for v in column if v is not None] for name, column in columns.items()}
    # A mean over some of the folds could not be compared with the others.
    complete = {name: column for name, column in found.items() if len(column) == len(folds)}
    return Averages(
        measures={name: statistics.fmean(column) for name, column in complete.items()},
        standard_deviations={name: statistics.stdev(column) for name, column in complete.items()},
    )


def rounded(draws: Mapping[str, Doubles]) -> dict[str, list[float]]:
    """Round draws to seven significant digits; measures with an undefined draw are left out."""
    finite = {name: values for name, values in draws.items() if np.isfinite(values).all()}
    # More digits would double the file, and mean nothing after a thousand resamples.
    return {name: [float(f"{x:.7g}") for x in values] for name, values in finite.items()}


def _without_draws(metrics: Metrics) -> Metrics:
    values = {name: getattr(metrics, name) for name in metrics.__struct_fields__}
    return Metrics(**(values | {"draws": {}}))
