"""The outcome of a search, and the settings of `mfcli init` to compare it with."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from mfcli.config import DEFAULTS, SETTINGS, TRAINING, Chosen, Config, settings_in
from mfcli.data import rows_of
from mfcli.errors import Param, TrainingError
from mfcli.search.recommended import advise, init_command, recommended_config
from mfcli.search.search import Search
from mfcli.search.spaces import RANKED, RATE, settings_from
from mfcli.training import Epoch, ValidationMeasure, fit


class Candidate(NamedTuple):
    """Settings to train with, and what they gave on the validation ratings.

    Attributes
    ----------
    title : str
        Where the settings come from, in one sentence without a period.
    settings : list of Chosen
        Complete: the other settings have their defaults.
    value : float
        Of the measure that the search follows.
    """

    title: str
    settings: list[Chosen]
    value: float

    @property
    def values(self) -> dict[str, Any]:
        """The settings by name."""
        return {name: value for name, value, _ in self.settings}


def recommended_candidate(
    search: Search,
    *,
    threads: int | None = None,
    until: float = math.inf,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Candidate:
    """Train with the settings that `mfcli init` recommends, unless the storage has the result.

    Parameters
    ----------
    search : Search
        The seed of its `base` is used. The settings of other stages in `base` are kept, except for
        recommended ones.
    threads : int, optional
    until : float
        A time of the monotonic clock when the training ends in any case.
    on_epoch : callable, optional
        Called with each epoch.

    Raises
    ------
    LimitError, TrainingError
        If the training fails or takes too long.
    """
    split, base, measure = search.split, search.base, search.measure
    advice = _advice(search)

    def check_time(epoch: Epoch) -> None:
        if time.monotonic() > until:
            raise TrainingError("the time limit was reached", remedy=["raise ", Param("minutes")])
        on_epoch(epoch)

    def train() -> float:
        config = recommended_config(split, base, purpose=search.purpose)
        config = replace(config, metric=measure.name, **{n: getattr(base, n) for n in RANKED})
        fitted = fit(split, config, threads=threads, on_epoch=check_time)
        return measure.of_losses(fitted.losses)

    value = search.advised_value({one.name: one.value for one in advice}, train)
    title = f"Settings of {init_command(search.purpose)}: {_result(value, search)}"
    changed = _changed(base)
    # Settings of other stages, such as the baselines' damping, are not the search's to change.
    recommended = {one.name for one in advice}
    searched = set(settings_in(TRAINING)) - {"seed", "metric", *RANKED}
    kept = [Chosen(n, v) for n, v in changed.items() if n not in recommended | searched]
    return Candidate(title, [*kept, *advice, *_metric([*kept, *advice], search)], value)


def _advice(search: Search) -> list[Chosen]:
    """Return the recommended settings, but for those that would change what is measured."""
    advice = advise(search.split, search.purpose)
    if not search.measure.is_ranking:
        return advice
    measured = {name: getattr(search.base, name) for name in RANKED}
    return [one for one in advice if measured.get(one.name, one.value) == one.value]


def found_candidate(search: Search) -> Candidate:
    """Return the best trial of a search that has a complete trial."""
    best = search.best
    assert best  # `Search.run` raises if there is none
    count = len(search.attempts)
    title = (
        f"Found by mfcli tune: {_result(best.value, search)}, the best of {count:,}"
        f" trial{'s' if count != 1 else ''}"
    )
    # Other settings first: those of the trial replace them.
    settings = _changed(search.base) | settings_from(best.settings, search.base)
    chosen = [Chosen(name, value) for name, value in settings.items()]
    return Candidate(title, [*chosen, *_metric(chosen, search)], best.value)


def _metric(settings: list[Chosen], search: Search) -> list[Chosen]:
    """Return the metric of a search, unless training with the settings follows it anyway."""
    followed = Config(**{name: value for name, value, _ in settings}).followed
    return [] if followed == search.measure.name else [Chosen("metric", search.measure.name)]


def better_candidate(
    found: Candidate, rival: Candidate | None, measure: ValidationMeasure
) -> Candidate:
    """Return the candidate with the better value; the title names both if it is the rival."""
    if rival and measure.is_better(rival.value, found.value):
        title = (
            f"{rival.title}, {measure.better} than the {found.value:.4f} of the best trial of"
            " mfcli tune"
        )
        return rival._replace(title=title)
    return found


def importance_of(setting: str, importances: dict[str, float]) -> float | None:
    """Return the importance of a setting; that of the rate is that of the learning rate."""
    # `lr` follows from `rate`, so a file has the one and the search the other.
    return importances.get(RATE if setting == "lr" and RATE in importances else setting)


def summary(search: Search, winner: Candidate) -> dict[str, Any]:
    """Return the outcome of a search as plain values; the measure that it follows has its name."""
    found = found_candidate(search)
    assert search.best
    metric = search.measure.name
    return {
        "metric": metric,
        metric: winner.value,
        "settings": winner.values,
        "trial": search.best.number,
        f"trial_{metric}": found.value,
        "trials": len(search.attempts),
        "pruned": sum(not attempt.is_complete for attempt in search.attempts),
        "failed": len(search.failures),
        "importances": search.importances(),
    }


def _result(value: float, search: Search) -> str:
    split, label = search.split, search.measure.label
    count = len(split.parts["valid"])
    return f"validation {label} {value:.4f} on {count:,} {rows_of(split.feedback)}"


def _changed(config: Config) -> dict[str, Any]:
    """Return the settings that differ from the defaults."""
    values = {name: getattr(config, name) for name in SETTINGS}
    return {name: value for name, value in values.items() if value != getattr(DEFAULTS, name)}
