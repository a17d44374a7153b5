"""Measure a model and simple baselines on ratings."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np

from mfcli import __version__
from mfcli.config import DEFAULTS, EVALUATION, TRAINING, Config
from mfcli.data import Ratings, RatingsLike, as_ratings
from mfcli.errors import ArtifactError, DataError, Param, Text, UsageError, check_type, warn
from mfcli.evaluation.accumulation import accumulate
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
from mfcli.evaluation.metrics import (
    BaselineMetrics,
    Metrics,
    Overlap,
    PartError,
    Protocol,
    Settings,
    rounded,
)
from mfcli.evaluation.ranking import MeasuredRankings, measure_rankings
from mfcli.model import Model
from mfcli.splits import PARTS, ScaleSection, Split, ratings_of
from mfcli.storage import cores
from mfcli.types import Mask, Progress

COLD_START = "an unknown id adds nothing: the prediction is mu plus the bias of the other side"
AVERAGING = "over ratings; user_rmse and ranking measures over users; intervals resample the users"
CANDIDATES = "all items that the user has not rated in training"
_MARGIN = 0.1  # fraction of the scale by which other ratings may exceed it


def evaluate(
    model: Model,
    split: Split,
    config: Config = DEFAULTS,
    *,
    on: RatingsLike = "test",
    ranking: bool = False,
    threads: int | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Metrics:
    """Compare predictions with ratings.

    Parameters
    ----------
    model : Model
    split : Split
        The baselines are fitted to its training ratings, and rankings omit these. Ids are
        matched, not rows, so it may differ from the split that the model was trained on.
    config : Config
        Its `clip`, `damping`, `seed` and `resamples` are used, and for rankings `at` and
        `relevant`.
    on : str, or what `ratings_from` takes
        A part of the split ("test", "valid" or "train"), or other ratings.
    ranking : bool
        Also measure rankings.
    threads : int, optional
        All cores by default; the result does not depend on it.
    on_progress : callable, optional
        Called with the number of ratings measured and the total, then with the number of users
        ranked and the total.

    Warns
    -----
    MfcliWarning
        If the model was trained on some of the other ratings (see `Metrics.overlap`), or if they
        do not seem to belong to it.

    Raises
    ------
    DataError
        If there are no ratings, or none is relevant.
    ArtifactError
        If the split has no such part.
    UsageError
        If an argument has another type, `on` is not one of the above, or rankings are to be
        measured on the training ratings.
    """
    on = _part_or_ratings(on)
    _check_arguments(model, split, config, on, ranking)
    ratings, name = _ratings_of(split, on)
    bootstrap = Bootstrap(config.resamples, config.seed, threads or cores())
    baseline = Baseline.fit(split.train, config.damping)
    if isinstance(on, Ratings):
        _warn_of_strangers(model, ratings, name)
    # The parts of a split are disjoint; only other ratings may overlap with the training ratings.
    trained_on = _trained_on(model, split, ratings) if isinstance(on, Ratings) else None
    if model.split_hash != split.hash and on != "train":
        warn(
            "the model was trained on another split, perhaps also on some of these ratings",
            place=name,
        )
    sums = accumulate(
        model, split, ratings, baseline, config.clip, bootstrap.threads, on_progress, trained_on
    )
    errors, rankings = sums.measured(bootstrap), None
    if ranking:
        rankings = measure_rankings(
            model,
            ratings,
            split.train,
            baseline,
            at=config.at,
            relevant=config.relevant,
            bootstrap=bootstrap,
            on_progress=on_progress,
        )
    measured = _merged(errors, rankings.rankers if rankings else {})
    own = measured.pop("model")
    return Metrics(
        protocol=_protocol(model, split, ratings, name, config, rankings),
        training=model.config.used(TRAINING),
        measures=own.values,
        intervals=intervals(own.draws),
        rmse_clipped=sums.rmse(sums.clipped),
        rmse_raw=sums.rmse(sums.raw),
        baselines={name: _baseline_metrics(own, other) for name, other in measured.items()},
        groups=sums.breakdown.groups(),
        breakdown=sums.breakdown.breakdown(sums.users),
        draws=rounded(own.draws),
        overlap=None if trained_on is None else _overlap(sums.overlap, name),
    )


def _part_or_ratings(on: RatingsLike) -> str | Ratings:
    """Return the name of a part as it is, and anything else as ratings."""
    if isinstance(on, str):
        if on in PARTS:
            return on
        if not Path(on).exists():
            rule = f"must be one of {', '.join(PARTS)}, or other ratings"
            raise UsageError(rule, param="on", value=on)
    return as_ratings(on, "on")


def _check_arguments(
    model: Model, split: Split, config: Config, on: str | Ratings, ranking: bool
) -> None:
    check_type(model, Model, "model", "load one with Model.load, or train one with fit")
    remedy: Text = ["give a split, and these ratings as ", Param("on")]
    check_type(split, Split, "split", remedy if isinstance(split, Ratings) else "")
    check_type(config, Config, "config")
    if ranking and isinstance(on, str) and on == "train":
        raise UsageError("rankings exclude the training ratings", remedy="use test or valid")


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
    elif on in split.parts:
        ratings, name = split.parts[on], on
    else:
        raise ArtifactError(
            f"the split has no {ratings_of(on)}", remedy=["split again with ", Param(on, 0.1)]
        )
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
    """Describe a baseline, with the gain of the model if the baseline predicts ratings."""
    gain, gain_interval = _gain(model, baseline) if "rmse" in baseline.values else (None, None)
    return BaselineMetrics(
        measures=baseline.values,
        intervals=intervals(baseline.draws),
        gain=gain,
        gain_interval=gain_interval,
    )


def _gain(model: Measured, baseline: Measured) -> tuple[float, Interval | None]:
    """Return the fraction of the baseline's RMSE that the model removes, and its interval."""
    own, other = model.values["rmse"], baseline.values["rmse"]
    # Both are measured on the same resamples, so the draws of the gain are the gains of the draws
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = 1 - model.draws["rmse"] / baseline.draws["rmse"]
    # A baseline without error leaves nothing to gain.
    return 1 - own / other if own is not None and other else 0.0, interval(draws)


def _protocol(
    model: Model,
    split: Split,
    ratings: Ratings,
    name: str,
    config: Config,
    rankings: MeasuredRankings | None,
) -> Protocol:
    return Protocol(
        on=name,
        source=ratings.source.sha256 if ratings.source else None,
        ratings=len(ratings),
        # Faster than np.unique, which sorts.
        users=int(np.count_nonzero(np.bincount(ratings.user))),
        split=split.hash,
        trained_on=model.split_hash,
        strategy=split.strategy,
        settings=_settings(config, rankings is not None),
        scale=ScaleSection(*model.scale),
        ranked_users=rankings.users if rankings else None,
        relevant_share=rankings.relevant_share if rankings else None,
        level=LEVEL,
        cold_start=COLD_START,
        averaging=AVERAGING,
        candidates=CANDIDATES if rankings else None,
        versions={
            "mfcli": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
    )


def _settings(config: Config, ranking: bool) -> Settings:
    """Return the settings that the evaluation used."""
    unused = set() if ranking else {"at", "relevant"}
    if not config.resamples:
        unused.add("seed")  # only the bootstrap draws random numbers
    return {n: value for n, value in config.used(EVALUATION).items() if n not in unused}
