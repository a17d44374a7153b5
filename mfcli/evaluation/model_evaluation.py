"""Measure a model and simple baselines on ratings."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mfcli import __version__
from mfcli.arguments import check_functions, check_type
from mfcli.config import DEFAULTS, EVALUATION, TRAINING, Config
from mfcli.data import Ratings, RatingsLike, as_ratings, common_feedback
from mfcli.errors import ArtifactError, DataError, Param, Text, UsageError, warn
from mfcli.evaluation.accumulation import accumulate
from mfcli.evaluation.baseline_metrics import BaselineMetrics, Settings
from mfcli.evaluation.baselines import Baseline
from mfcli.evaluation.binned_sums import BinnedSums
from mfcli.evaluation.bootstrap import (
    LEVEL,
    Bootstrap,
    Interval,
    Measured,
    interval,
    intervals,
)
from mfcli.evaluation.breakdown import Breakdown, GroupError
from mfcli.evaluation.metrics import (
    Metrics,
    Overlap,
    PartError,
    Protocol,
    rounded,
)
from mfcli.evaluation.published import published_on
from mfcli.evaluation.ranking import MeasuredRankings, measure_rankings
from mfcli.evaluation.uncertainty import INTERVAL_LEVEL
from mfcli.evaluation.verdict import verdict_of
from mfcli.model import LEAST_SAMPLES, Model
from mfcli.splits import PARTS, ScaleSection, Split, ratings_of
from mfcli.storage import threads_of
from mfcli.types import Mask, StageProgress

if TYPE_CHECKING:
    from mfcli.model import Posterior

COLD_START = "an unknown id adds nothing: the prediction is mu plus the bias of the other side"
AVERAGING = "over ratings; user_rmse and ranking measures over users; intervals resample the users"
RANKING_SETTINGS = ("at", "relevant", "protocol", "fold_in_fraction")
"""The settings that only rankings use."""

_MARGIN = 0.1  # fraction of the scale by which other ratings may exceed it


def evaluate(
    model: Model,
    split: Split,
    config: Config = DEFAULTS,
    *,
    on: RatingsLike = "test",
    ranking: bool = False,
    threads: int | None = None,
    on_progress: StageProgress = lambda stage, done, total: None,
) -> Metrics:
    """Compare predictions with ratings, and rankings with what users rated.

    Of models that predict scores, and of implicit feedback, only rankings are measured. Inside
    `mfcli.cluster`, workers measure parts of the ratings and of the users; the result is the same.

    Parameters
    ----------
    model : Model
    split : Split
        The baselines are fitted to its training ratings, and rankings omit these; to those of all
        parts that the model was trained on. Ids are matched, not rows, so it may differ from the
        split that the model was trained on.
    config : Config
        Its `clip`, `damping`, `seed` and `resamples` are used, and for rankings `at`, `relevant`,
        `protocol` and `fold_in_fraction`.
    on : str, or what `ratings_from` takes
        A part of the split ("test", "valid" or "train"), or other ratings.
    ranking : bool
        Also measure rankings; always if there is nothing else to measure.
    threads : int, optional
        All cores by default; the result does not depend on it.
    on_progress : callable, optional
        Called with the stage and its progress: "fitting baselines" and "measuring errors", of
        ratings; "ranking", of users; "resampling errors" and "resampling rankings", of resamples.

    Warns
    -----
    MfcliWarning
        If the model was trained on some of the other ratings (see `Metrics.overlap`), or if they
        do not seem to belong to it.

    Raises
    ------
    DataError
        If there are no ratings, none is relevant, the protocol needs times, or new users, that they
        do not have, or these are ratings and the split holds events, or the other way round.
    ArtifactError
        If the split has no such part, or the model was trained on it.
    UsageError
        If an argument has another type, `on` is not one of the above, or rankings are to be
        measured on the training ratings.
    """
    _check_types(model, split, config)
    on = _part_or_ratings(on, split.feedback)
    only_ranks = ranks_only(model, split)
    if (ranking or only_ranks) and isinstance(on, str) and on == "train":
        raise UsageError("rankings exclude the training ratings", remedy="use test or valid")
    check_functions(on_progress=on_progress)
    ratings, name = _ratings_of(split, on)
    split = _as_trained(model, split, on)
    # Rankings load the compiler in any case.
    has_rankings = ranking or only_ranks
    bootstrap = Bootstrap(config.resamples, config.seed, threads_of(threads), has_rankings)
    baseline = Baseline.fit(split.train, config.damping, partial(on_progress, "fitting baselines"))
    _warn_of_doubts(model, split, on, name)
    # The parts of a split are disjoint; only other ratings may overlap with the training ratings.
    trained_on = _trained_on(model, split, ratings) if isinstance(on, Ratings) else None
    posterior = None if only_ranks else _posterior_of(model)
    measuring = _Measuring(
        model, posterior, split, config, ratings, name, baseline, bootstrap, on_progress
    )
    errors = None if only_ranks else measuring.errors(trained_on)
    rankings = measuring.rankings() if has_rankings else None
    return measuring.metrics(errors, rankings)


@dataclass(frozen=True)
class _Errors:
    """The rating errors of a model and the baselines, without the sums of each user."""

    measured: dict[str, Measured]
    rmse_clipped: float
    rmse_raw: float
    groups: dict[str, GroupError]
    breakdown: Breakdown
    overlap: Overlap | None


@dataclass(frozen=True)
class _Measuring:
    """A model, its posterior if known, and what it is measured on and compared with."""

    model: Model
    posterior: Posterior | None
    split: Split
    config: Config
    ratings: Ratings
    name: str
    baseline: Baseline
    bootstrap: Bootstrap
    on_progress: StageProgress

    def errors(self, trained_on: Mask | None) -> _Errors:
        """Measure the rating errors of each predictor, also in each resample."""
        sums = accumulate(
            self.model,
            self.split,
            self.ratings,
            self.baseline,
            self.config.clip,
            self.bootstrap.threads,
            partial(self.on_progress, "measuring errors"),
            trained_on,
            self.posterior,
        )
        return _Errors(
            measured=sums.measured(self._resampling("resampling errors")),
            rmse_clipped=sums.rmse(sums.clipped),
            rmse_raw=sums.rmse(sums.raw),
            groups=sums.breakdown.groups(),
            breakdown=sums.breakdown.breakdown(sums.users),
            overlap=None if trained_on is None else _overlap(sums.overlap, self.name),
        )

    def rankings(self) -> MeasuredRankings:
        """Measure rankings by the protocol of the config."""
        from mfcli.evaluation.ranking_tasks import ranking_task  # loads the compiler

        train, config = self.split.train, self.config
        relevant = None if self._is_implicit else config.relevant
        return measure_rankings(
            ranking_task(self.model, self.ratings, train, config, relevant),
            train,
            self.baseline,
            cutoffs=config.cutoffs,
            bootstrap=self._resampling("resampling rankings"),
            on_progress=partial(self.on_progress, "ranking"),
        )

    @property
    def _is_implicit(self) -> bool:
        return self.split.feedback == "implicit"

    def _resampling(self, stage: str) -> Bootstrap:
        return replace(self.bootstrap, on_progress=partial(self.on_progress, stage))

    def metrics(self, errors: _Errors | None, rankings: MeasuredRankings | None) -> Metrics:
        """Assemble the metrics of the model and of each baseline."""
        measured = _merged(errors.measured if errors else {}, rankings.rankers if rankings else {})
        own, training = measured["model"], self.model.config.used(TRAINING)
        others = {name: other for name, other in measured.items() if name != "model"}
        baselines = {name: _baseline_metrics(own, other) for name, other in others.items()}
        # Published results are rating errors.
        published = published_on(self.split) if errors else ""
        return Metrics(
            protocol=self._protocol(rankings, has_errors=errors is not None),
            training=training,
            measures=own.values,
            intervals=intervals(own.draws),
            rmse_clipped=errors.rmse_clipped if errors else None,
            rmse_raw=errors.rmse_raw if errors else None,
            baselines=baselines,
            groups=errors.groups if errors else {},
            breakdown=errors.breakdown if errors else None,
            draws=rounded(own.draws),
            overlap=errors.overlap if errors else None,
            verdict=verdict_of(self.name, training, baselines, published),
            ranking_breakdown=rankings.breakdown if rankings else None,
        )

    def _protocol(self, rankings: MeasuredRankings | None, *, has_errors: bool) -> Protocol:
        ratings = self.ratings
        return Protocol(
            on=self.name,
            source=ratings.source.sha256 if ratings.source else None,
            ratings=len(ratings),
            users=ratings.active_users,
            split=self.split.hash,
            trained_on=self.model.split_hash,
            trained_parts=self.model.trained_on,
            strategy=self.split.strategy,
            settings=self._settings(rankings is not None, has_errors),
            scale=ScaleSection(*self.model.scale),
            ranked_users=rankings.users if rankings else None,
            relevant_share=rankings.relevant_share if rankings else None,
            level=LEVEL,
            cold_start=COLD_START,
            averaging=AVERAGING,
            candidates=rankings.candidates if rankings else None,
            versions={
                "mfcli": __version__,
                "python": platform.python_version(),
                "numpy": np.__version__,
            },
            predicts=self.model.predicts,
            feedback=self.split.feedback,
            samples=len(self.posterior) if self.posterior else None,
            interval_level=INTERVAL_LEVEL if self.posterior else None,
        )

    def _settings(self, has_rankings: bool, has_errors: bool) -> Settings:
        """Return the settings that the evaluation used."""
        used = self.config.used(EVALUATION)
        unused = set() if has_rankings else {*RANKING_SETTINGS}
        if not has_errors:
            unused.add("clip")
        if self._is_implicit:
            unused.add("relevant")
        # Random numbers are drawn by the bootstrap and by some protocols.
        if not self.config.resamples and not (has_rankings and "fold_in_fraction" in used):
            unused.add("seed")
        return {
            name: [*value] if isinstance(value, tuple) else value
            for name, value in used.items()
            if name not in unused
        }


def ranks_only(model: Model | Config, split: Split) -> bool:
    """Return whether only rankings can be measured: predictions are scores, or ratings implicit."""
    return model.predicts == "scores" or split.feedback == "implicit"


def _posterior_of(model: Model) -> Posterior | None:
    """Return the posterior of a model with enough samples; None for all others."""
    if model.samples is None or len(model.samples) < LEAST_SAMPLES:
        return None
    from mfcli.model import Posterior  # loads the compiler

    return Posterior(model)


def _part_or_ratings(on: RatingsLike, feedback: str) -> str | Ratings:
    """Return the name of a part as it is, and anything else as ratings."""
    if isinstance(on, str):
        if on in PARTS:
            return on
        if not Path(on).exists():
            rule = f"must be one of {', '.join(PARTS)}, or other ratings"
            raise UsageError(rule, param="on", value=on)
    return as_ratings(on, "on", feedback)


def _check_types(model: Model, split: Split, config: Config) -> None:
    check_type(model, Model, "model", "load one with Model.load, or train one with fit")
    remedy: Text = ["give a split, and these ratings as ", Param("on")]
    check_type(split, Split, "split", remedy if isinstance(split, Ratings) else "")
    check_type(config, Config, "config")


def _as_trained(model: Model, split: Split, on: str | Ratings) -> Split:
    """Return the split that trains on what the model was trained on; refuse to measure on that."""
    if model.split_hash != split.hash:
        return split
    if isinstance(on, str) and on != "train" and on in model.trained_on:
        which = ratings_of(on, split.feedback)
        remedy: list[str | Param] = ["name other ratings with ", Param("on", "FILE")]
        raise ArtifactError(
            f"the model was trained on the {which}, so they cannot measure it",
            remedy=[*remedy, ", or evaluate a model that was trained without them"],
        )
    return replace(split.union(*model.trained_on), strategy=split.strategy)


def _warn_of_doubts(model: Model, split: Split, on: str | Ratings, name: str) -> None:
    """Warn of ratings that may belong to another model."""
    if isinstance(on, Ratings):
        _warn_of_strangers(model, on, name)
    if model.split_hash != split.hash and on != "train":
        warn(
            "the model was trained on another split, perhaps also on some of these ratings",
            place=name,
        )


def _warn_of_strangers(model: Model, ratings: Ratings, name: str) -> None:
    """Warn of ratings whose ids or values are not those of the model."""
    found = model.users.rows(ratings.users.ids).max(), model.items.rows(ratings.items.ids).max()
    if max(found) < 0:  # rows of unknown ids are -1
        warn(
            "none of the users and items are among those of the model",
            place=name,
            remedy="check that ids are written as in the ratings it was trained on",
        )
    given, known = ratings.scale(), model.scale
    # A few more extreme ratings are usual on a scale without ends; another scale is far off.
    margin = (known.step or 0) + _MARGIN * (known.max - known.min)
    if given.min < known.min - margin or given.max > known.max + margin:
        warn(
            f"ratings range from {given.min:g} to {given.max:g}, but the model was trained on"
            f" {known.min:g} to {known.max:g}",
            place=name,
        )


def _trained_on(model: Model, split: Split, ratings: Ratings) -> Mask | None:
    """Mark the ratings that the model was trained on; None if its training ratings are unknown."""
    if model.split_hash != split.hash:
        return None
    from mfcli.model import trained_pairs  # loads the compiler

    return trained_pairs(split.train, ratings)


def _overlap(sums: BinnedSums, name: str) -> Overlap:
    """Describe the overlap with the training ratings, and warn about it."""
    rmse, mae = np.sqrt(sums.mean("squared")), sums.mean("absolute")
    others, trained_on = (  # bins 0 and 1 of a mask
        PartError(ratings=int(n), rmse=float(a) if n else None, mae=float(b) if n else None)
        for n, a, b in zip(sums.counts, rmse, mae, strict=True)
    )
    if trained_on.ratings:
        total = others.ratings + trained_on.ratings
        warn(
            f"{trained_on.ratings:,} of {total:,} ratings were trained on, so the errors on all of"
            " them are too low",
            place=name,
            remedy="see the errors on the others",
        )
    return Overlap(trained_on=trained_on, others=others)


def _ratings_of(split: Split, on: str | Ratings) -> tuple[Ratings, str]:
    """Return the ratings to evaluate on and their name."""
    if isinstance(on, Ratings):
        ratings, name = on, on.source.name if on.source else "other ratings"
        common_feedback({"the split": split.feedback, name: on.feedback})
    elif on in split.parts:
        ratings, name = split.parts[on], on
    else:
        other = ", or name other ratings with ", Param("on", "FILE")
        remedy: Text = ["split again with ", Param(on, 0.1), *other]
        raise ArtifactError(f"the split has no {ratings_of(on)}", remedy=remedy)
    if not len(ratings):
        raise DataError("contains no ratings to evaluate on", place=name)
    return ratings, name


def _merged(errors: dict[str, Measured], rankers: dict[str, Measured]) -> dict[str, Measured]:
    """Join the rating errors and the ranking measures of each predictor."""
    none = Measured({}, {})
    pairs = {name: (errors.get(name, none), rankers.get(name, none)) for name in errors | rankers}
    return {
        name: Measured(one.values | two.values, one.draws | two.draws)
        for name, (one, two) in pairs.items()
    }


def _baseline_metrics(model: Measured, baseline: Measured) -> BaselineMetrics:
    """Describe a baseline, and what the model gains over it in each kind of measure it has."""
    found = BaselineMetrics(measures=baseline.values, intervals=intervals(baseline.draws))
    if "rmse" in baseline.values:
        found.gain, found.gain_interval = _gain(model, baseline)
    own, other = model.values.get("ndcg"), baseline.values.get("ndcg")
    if own is not None and other is not None:
        found.ndcg_difference = own - other
        found.ndcg_interval = interval(model.draws["ndcg"] - baseline.draws["ndcg"])
    return found


def _gain(model: Measured, baseline: Measured) -> tuple[float, Interval | None]:
    """Return the fraction of the baseline's RMSE that the model removes, and its interval."""
    own, other = model.values["rmse"], baseline.values["rmse"]
    # Both are measured on the same resamples, so the draws of the gain are the gains of the draws
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = 1 - model.draws["rmse"] / baseline.draws["rmse"]
    # A baseline without error leaves nothing to gain.
    return 1 - own / other if own is not None and other else 0.0, interval(draws)
