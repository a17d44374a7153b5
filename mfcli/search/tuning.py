"""A whole search: the default space, the settings of `mfcli init` as a rival, and the winner."""

from __future__ import annotations

import math
import numbers
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfcli.arguments import check_count, check_functions, check_type, path_of
from mfcli.config import DEFAULTS, Config
from mfcli.errors import ConfigError, LimitError, TrainingError, UsageError, warn
from mfcli.search.outcome import (
    Candidate,
    better_candidate,
    found_candidate,
    recommended_candidate,
)
from mfcli.search.search import Search
from mfcli.search.search_plan import plan_search
from mfcli.search.spaces import Space, read_space, space_of
from mfcli.search.trials import Attempt
from mfcli.search.validation import with_validation
from mfcli.splits import Split
from mfcli.storage import threads_of


@dataclass(frozen=True)
class Tuned:
    """The best settings that were found.

    Attributes
    ----------
    config : Config
        For `fit`; settings that were not searched are those of the given config.
    metric : {"rmse", "ndcg", "recall", "map"}
        The measure that was searched.
    value : float
        Of the measure, on the validation ratings.
    title : str
        Where the settings come from, in one sentence without a period.
    attempts : list of Attempt
        All trials, in the order of their numbers.
    importances : dict of float
        The fraction of the variation in the measure that each setting explains; empty if there are
        too few trials.
    """

    config: Config
    metric: str
    value: float
    title: str
    attempts: list[Attempt]
    importances: dict[str, float]

    def __repr__(self) -> str:
        return f"{self.config!r}: {self.title}"


def tune(
    split: Split,
    config: Config = DEFAULTS,
    *,
    trials: int = 100,
    minutes: float | None = None,
    purpose: str | None = None,
    metric: str | None = None,
    optimizer: str | None = None,
    space: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    storage: str | os.PathLike[str] | None = None,
    parallel_trials: int | None = None,
    threads: int | None = None,
    on_trial: Callable[[Attempt], None] = lambda attempt: None,
) -> Tuned:
    """Search for the settings that do best on validation ratings.

    The test ratings are not used. If the split has no validation ratings, a tenth of the training
    ratings validates. With a cluster (`mfcli.cluster`), the trials run on its workers.

    Parameters
    ----------
    split : Split
    config : Config
        Settings that are not searched, and the seed of the search. Rankings count `at` items; if
        `relevant` has its default, the recommended one is used.
    trials : int
        Number of trials, including those in the storage.
    minutes : float, optional
        Stop after this time.
    purpose : {"ratings", "ranking"}, optional
        What the model is for: the lowest RMSE, or the best rankings. By default, as the metric, the
        space and the config say; ranking for implicit feedback.
    metric : {"rmse", "ndcg", "recall", "map"}, optional
        The measure that is searched; by default that of the config, or else RMSE for ratings and
        NDCG for rankings.
    optimizer : {"gibbs", "sgd", "als"}, optional
        What is searched without a space: for ratings the settings of the sampler (gibbs), the
        default, or those of descent (sgd); for rankings those of als.
    space : mapping or path, optional
        Values and ranges to choose from: ``{"k": {"low": 4, "high": 64, "log": True}, "prior":
        ["implicit", "shared"], "epochs": 100}``, or a TOML file of them. By default, a space that
        suits the ratings and the optimizer; the settings of `recommended_config` are tried, too.
    storage : path, optional
        File that keeps the search, or that it resumes from.
    parallel_trials : int, optional
        Number of trials that may run at the same time; by default that of the storage, or else 8.
        Their settings do not depend on each other's results, so this number changes the search.
        How many of them do run at the same time does not.
    threads : int, optional
        All cores by default; the result does not depend on it.
    on_trial : callable, optional
        Called with each trial that has ended.

    Returns
    -------
    Tuned

    Raises
    ------
    UsageError, ConfigError
        If an argument breaks its rule.
    TrainingError
        If no trial was completed.
    """
    _check_arguments(split, config, trials, minutes, on_trial)
    if parallel_trials is not None:
        check_count(parallel_trials, "parallel_trials", 1)
    stored = None if storage is None else path_of(storage, "storage")
    workers = threads_of(threads)
    end = time.monotonic() + (math.inf if minutes is None else 60 * minutes)
    parts = with_validation(split, config)
    plan = plan_search(
        parts,
        config,
        purpose=purpose,
        metric=metric,
        optimizer=optimizer,
        space=_space(space, optimizer),
    )
    with plan.search(stored, workers, parallel_trials) as search:
        rival = None if space is not None else _rival(search, threads, end)
        search.run(trials, end - time.monotonic(), on_trial)
        winner = better_candidate(found_candidate(search), rival, search.measure)
        return Tuned(
            config=Config(**winner.values),
            metric=search.measure.name,
            value=winner.value,
            title=winner.title,
            attempts=search.attempts,
            importances=search.importances(),
        )


def _check_arguments(
    split: Split, config: Config, trials: int, minutes: float | None, on_trial: Any
) -> None:
    check_type(split, Split, "split", "make one with split(ratings)")
    check_type(config, Config, "config")
    check_count(trials, "trials", 1)
    check_functions(on_trial=on_trial)
    if minutes is not None and not (isinstance(minutes, numbers.Real) and minutes > 0):
        raise UsageError("must be a number above 0", param="minutes", value=minutes)


def _space(
    space: Mapping[str, Any] | str | os.PathLike[str] | None, optimizer: str | None
) -> Space | None:
    if space is None:
        return None
    if optimizer is not None:
        rule, remedy = "is not used with a space", "name the optimizer in the space"
        raise UsageError(rule, param="optimizer", value=optimizer, remedy=remedy)
    if isinstance(space, Mapping):
        try:
            return space_of(space)
        except ConfigError as error:
            error.place = "space"
            raise
    if not isinstance(space, str | os.PathLike):
        raise UsageError("must be a mapping or a path", param="space", value=space)
    return read_space(Path(space))


def _rival(search: Search, threads: int | None, end: float) -> Candidate | None:
    """Train with the recommended settings, unless there are many ratings or it fails."""
    if search.is_large:
        return None
    try:
        return recommended_candidate(search, threads=threads, until=end)
    except (LimitError, TrainingError) as error:
        warn(f"cannot train with the recommended settings: {error}")
        return None
