"""Cross-validation: a model for each fold, measured on the ratings that it has not seen."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa

from mfcli.arguments import check_functions, check_type
from mfcli.config import DEFAULTS, Config
from mfcli.data import RatingsLike
from mfcli.errors import Param, Text, UsageError, warn
from mfcli.evaluation.bootstrap import Interval
from mfcli.evaluation.custom_measures import Function, Measures, measured, named_measures
from mfcli.evaluation.fold_intervals import fold_interval
from mfcli.evaluation.measures import (
    BEYOND,
    RANKING,
    RATING_ERROR,
    UNCERTAINTY,
    at_cutoff,
    measure_of,
    measures_of,
)
from mfcli.evaluation.metrics import FoldMetrics, Metrics
from mfcli.evaluation.model_evaluation import evaluate, ranks_only
from mfcli.model import LEAST_SAMPLES
from mfcli.splits import Folds, Split, split
from mfcli.training import Fit, fit
from mfcli.types import Floats


@dataclass(frozen=True)
class CrossValidation:
    """The measures of a model of each fold.

    Attributes
    ----------
    values : dict of list of float
        By measure, the value of each fold.
    intervals : dict of tuple of float
        By measure, the ends of the 95% confidence interval of the mean over the folds.
    metrics : FoldMetrics
        What `evaluate` measures on each fold, with intervals over users; for `compare`.
    """

    values: dict[str, list[float]]
    intervals: dict[str, Interval]
    metrics: FoldMetrics

    def __repr__(self) -> str:
        return "\n".join(
            f"{name}: {mean:.4f} ({low:.4f} to {high:.4f})"
            for (name, mean), (low, high) in zip(
                self.measures.items(), self.intervals.values(), strict=True
            )
        )

    @property
    def measures(self) -> dict[str, float]:
        """The mean of each measure over the folds."""
        return {name: statistics.fmean(values) for name, values in self.values.items()}

    @property
    def standard_deviations(self) -> dict[str, float]:
        """The sample standard deviation (n - 1) of each measure over the folds."""
        return {name: statistics.stdev(values) for name, values in self.values.items()}

    def to_arrow(self) -> pa.Table:
        """Return a row for each measure: `measure`, `mean`, `low`, `high`, `fold_1`, ..."""
        folds = zip(*self.values.values(), strict=True)
        columns: dict[str, Any] = {
            "measure": list(self.values),
            "mean": list(self.measures.values()),
            "low": [low for low, _ in self.intervals.values()],
            "high": [high for _, high in self.intervals.values()],
        }
        columns |= {f"fold_{number}": list(values) for number, values in enumerate(folds, 1)}
        return pa.table(columns)

    def to_pandas(self) -> Any:
        """Return the table of `to_arrow` as a pandas DataFrame."""
        return self.to_arrow().to_pandas()


def cross_validate(
    ratings: RatingsLike | Folds | Sequence[Split],
    config: Config = DEFAULTS,
    *,
    measures: Measures | None = None,
    folds: int | None = None,
    ranking: bool = False,
    threads: int | None = None,
    on_fold: Callable[[int, Fit], None] = lambda fold, fitted: None,
) -> CrossValidation:
    """Train a model for each fold, and measure it on the ratings that are held out.

    Parameters
    ----------
    ratings : Ratings, what `ratings_from` takes, Folds, or a sequence of Split
        Ratings are divided into folds at random, as by ``split(ratings, folds=...)``.
    config : Config
        The settings of all stages: folds, training and evaluation.
    measures : names, functions, or a mapping of them by name, optional
        Names are those of `evaluate`, such as "rmse", "ndcg" or, if 20 is among the cutoffs of the
        config, "ndcg@20". A function takes two float32 arrays, the ratings and the predictions, and
        returns a number, like those in `sklearn.metrics`. By default, all that `evaluate` measures.
    folds : int, optional
        Number of folds, in place of `config.folds`.
    ranking : bool
        Also measure rankings; always if `measures` names one of them.
    threads : int, optional
        All cores by default; the result does not depend on it.
    on_fold : callable, optional
        Called after each fold with its number, from 1, and its `Fit`.

    Returns
    -------
    CrossValidation

    Raises
    ------
    UsageError
        If a measure is unknown, is not measured of such models, does not return a number, or
        there are fewer than two folds.
    ConfigError
        If the config has another strategy than "random" or "k-fold".
    MfcliError
        As `split`, `fit` and `evaluate`.

    Examples
    --------
    >>> def bias(truth, prediction):
    ...     return (prediction - truth).mean()
    >>> result = cross_validate("data.csv", Config(k=16), measures=["rmse", bias])
    >>> result.measures["bias"], result.intervals["bias"]
    """
    check_functions(on_fold=on_fold)
    parts = _folds_of(ratings, config, folds)
    chosen = None if measures is None else named_measures(measures)
    ranked = ranking or any(_is_of_rankings(one, config) for one in (chosen or {}).values())
    each, rows, shares = list[Metrics](), list[dict[str, float]](), list[float]()
    for number, part in enumerate(parts, 1):
        _check_measured((chosen or {}).values(), config, part)
        fitted = fit(part, config, threads=threads)
        each.append(evaluate(fitted.model, part, config, ranking=ranked, threads=threads))
        rows.append(_values(chosen, each[-1], fitted, part, config))
        shares.append(len(part.parts["test"]) / len(part.train))
        on_fold(number, fitted)
    values = _complete(rows, chosen or {})
    share = statistics.fmean(shares)
    intervals = {name: fold_interval(column, share) for name, column in values.items()}
    return CrossValidation(values, intervals, FoldMetrics.of(each))


def _is_of_rankings(measure: str | Function, config: Config) -> bool:
    """Return whether a measure is of rankings; refuse one at a cutoff that is not in the config."""
    if not isinstance(measure, str):
        return False
    known, (plain, at, cutoff) = measure_of(measure), measure.partition("@")
    others = {at_cutoff(plain, n, config.cutoffs[0]) for n in config.cutoffs}
    if at and measure not in others:
        cutoffs = (*config.cutoffs, int(cutoff))
        remedy: Text = ["add it to the cutoffs: ", Param("at", cutoffs)]
        raise UsageError(f"has {measure}, which is not measured", param="measures", remedy=remedy)
    return known is not None and known.kind in (RANKING, BEYOND)


def _check_measured(chosen: Iterable[str | Function], config: Config, part: Split) -> None:
    """Refuse names of measures that the models do not have."""
    named, uncertainty = [one for one in chosen if isinstance(one, str)], measures_of(UNCERTAINTY)
    errors = [one for one in named if one in measures_of(RATING_ERROR) | uncertainty]
    if errors and ranks_only(config, part):
        raise UsageError(
            f"has {errors[0]}, but only rankings are measured of implicit feedback and of models"
            " that predict scores",
            param="measures",
            remedy="name measures of rankings, such as ndcg",
        )
    distributed = [one for one in named if one in uncertainty]
    if distributed and config.keep_samples < LEAST_SAMPLES:
        rule = f"has {distributed[0]}, which is measured only of models with samples"
        remedy: Text = ["use ", Param("optimizer", "gibbs"), " and ", Param("keep_samples", 20)]
        raise UsageError(rule, param="measures", remedy=remedy)


def _folds_of(
    ratings: RatingsLike | Folds | Sequence[Split], config: Config, folds: int | None
) -> Sequence[Split]:
    check_type(config, Config, "config")
    if isinstance(ratings, Split):
        rule, remedy = "must be ratings or several splits, got one split", "use fit and evaluate"
        raise UsageError(rule, param="ratings", remedy=remedy)
    is_splits = isinstance(ratings, list | tuple) and ratings and isinstance(ratings[0], Split)
    if isinstance(ratings, Folds) or is_splits:
        return _given(cast("Sequence[Any]", ratings), folds)
    return split(ratings, config, folds=config.folds if folds is None else folds)


def _given(splits: Sequence[Any], folds: int | None) -> Sequence[Split]:
    if folds is not None:
        raise UsageError("is not used with splits", param="folds", remedy="omit it")
    if len(splits) < 2:
        raise UsageError("must have at least two splits", param="ratings")
    if not isinstance(splits, Folds):  # whose entries are splits, made when they are asked for
        for number, part in enumerate(splits):
            check_type(part, Split, f"ratings[{number}]")
            if part.test is None:
                raise UsageError("has no test ratings", param=f"ratings[{number}]")
    return splits


def _values(
    chosen: dict[str, str | Function] | None,
    metrics: Metrics,
    fitted: Fit,
    part: Split,
    config: Config,
) -> dict[str, float]:
    """Return the measures of a fold that are defined."""
    known = {name: value for name, value in metrics.measures.items() if value is not None}
    if chosen is None:
        return known
    truth, predictions = part.parts["test"].rating, _predictions(fitted, part, config)
    values: dict[str, float] = {}
    for name, one in chosen.items():
        if not isinstance(one, str):
            values[name] = measured(name, one, truth, predictions)
        elif one in known:
            values[name] = known[one]
    return values


def _complete(rows: list[dict[str, float]], chosen: Collection[str]) -> dict[str, list[float]]:
    """Return the values of the measures that are defined for all folds; others have no mean."""
    names = [name for name in rows[0] if all(name in row for row in rows)]
    undefined = [name for name in chosen if name not in names]
    if undefined:
        warn(f"{', '.join(undefined)}: undefined for a fold, so there is no mean over the folds")
    return {name: [row[name] for row in rows] for name in names}


def _predictions(fitted: Fit, part: Split, config: Config) -> Floats:
    model, test = fitted.model, part.parts["test"]
    predicted = model.predict_rows(test.user, test.item)
    if not config.clip or model.predicts == "scores":  # which are on no scale
        return predicted
    return np.clip(predicted, model.scale.min, model.scale.max)
