"""The outcome of a search, and the settings of `mfcli init` to compare it with."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mfcli.arguments import check_type
from mfcli.config import DEFAULTS, SETTINGS, TRAINING, Chosen, Config, settings_in
from mfcli.errors import ConfigError, Param, Text, TrainingError
from mfcli.search.recommended import advise, trained_rows
from mfcli.search.search import Search
from mfcli.search.spaces import (
    RATE,
    Choice,
    Range,
    Space,
    descent_space,
    sampling_space,
    settings_from,
)
from mfcli.splits import Split
from mfcli.training import Epoch, fit

SEARCHED: tuple[str, ...] = ("gibbs", "sgd")
"""The optimizers with a default space; the first one is searched by default."""


class Candidate(NamedTuple):
    """Settings to train with, and the validation RMSE that they gave.

    Attributes
    ----------
    title : str
        Where the settings come from, in one sentence without a period.
    settings : list of Chosen
        Complete: the other settings have their defaults.
    rmse : float
    """

    title: str
    settings: list[Chosen]
    rmse: float

    @property
    def values(self) -> dict[str, Any]:
        """The settings by name."""
        return {name: value for name, value, _ in self.settings}


def space_for(split: Split, optimizer: str = SEARCHED[0]) -> Space:
    """Return the default space of an optimizer for the ratings.

    Parameters
    ----------
    split : Split
    optimizer : str
        Of `SEARCHED`.

    Raises
    ------
    ConfigError
        If the optimizer has no default space.
    """
    if optimizer not in SEARCHED:
        rule = f"must be {' or '.join(SEARCHED)} to search without a space"
        remedy: Text = ["describe what to search with ", Param("space")]
        raise ConfigError(rule, param="optimizer", value=optimizer, remedy=remedy)
    if optimizer == "gibbs":
        # More factors than rows cannot improve the model.
        return sampling_space(min(trained_rows(split)), recommended_config(split, DEFAULTS).epochs)
    deviation = float(split.train.rating.std(dtype=np.float64))
    # In float64: the mean of millions of float32 squares is inexact.
    return descent_space(deviation or 1.0)  # if all ratings are equal, any space will do


def first_settings(split: Split, space: Space) -> dict[str, Any] | None:
    """Return what the default search of the sampler tries first; None for another space.

    These are the settings of `mfcli init` with more epochs: slower, but usually better.
    """
    epochs = space.get("epochs")
    if space.get("optimizer") != Choice(("gibbs",)) or not isinstance(epochs, Range):
        return None
    config = recommended_config(split, DEFAULTS)
    return {name: getattr(config, name) for name in space} | {"epochs": int(epochs.high)}


def recommended_config(split: Split, base: Config = DEFAULTS) -> Config:
    """Return the settings that `mfcli init` recommends, with the seed of `base`.

    Parameters
    ----------
    split : Split
        Its test ratings are not used.
    base : Config

    Raises
    ------
    UsageError
        If an argument has another type.
    """
    check_type(split, Split, "split", "make one with split(ratings)")
    check_type(base, Config, "base")
    return Config(seed=base.seed, **{name: value for name, value, _ in advise(split)})


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
    split, base = search.split, search.base
    advice = advise(split)

    def check_time(epoch: Epoch) -> None:
        if time.monotonic() > until:
            raise TrainingError("the time limit was reached", remedy=["raise ", Param("minutes")])
        on_epoch(epoch)

    def train() -> float:
        config = recommended_config(split, base)
        fitted = fit(split, config, threads=threads, on_epoch=check_time)
        return math.sqrt(fitted.losses["val_mse"])

    rmse = search.advised_rmse({one.name: one.value for one in advice}, train)
    title = f"Settings of mfcli init: {_result(rmse, split)}"
    changed = _changed(base)
    # Settings of other stages, such as the baselines' damping, are not the search's to change.
    recommended, searched = {one.name for one in advice}, set(settings_in(TRAINING)) - {"seed"}
    kept = [Chosen(n, v) for n, v in changed.items() if n not in recommended | searched]
    return Candidate(title, [*kept, *advice], rmse)


def found_candidate(search: Search) -> Candidate:
    """Return the best trial of a search that has a complete trial."""
    best = search.best
    assert best  # `Search.run` raises if there is none
    count = len(search.attempts)
    title = (
        f"Found by mfcli tune: {_result(best.rmse, search.split)}, the best of {count:,}"
        f" trial{'s' if count != 1 else ''}"
    )
    # Other settings first: those of the trial replace them.
    settings = _changed(search.base) | settings_from(best.settings, search.base)
    return Candidate(title, [Chosen(name, value) for name, value in settings.items()], best.rmse)


def better_candidate(found: Candidate, rival: Candidate | None) -> Candidate:
    """Return the candidate with the lower error; the title names both if it is the rival."""
    if rival and rival.rmse < found.rmse:
        title = f"{rival.title}, lower than the {found.rmse:.4f} of the best trial of mfcli tune"
        return rival._replace(title=title)
    return found


def importance_of(setting: str, importances: dict[str, float]) -> float | None:
    """Return the importance of a setting; that of the rate is that of the learning rate."""
    # `lr` follows from `rate`, so a file has the one and the search the other.
    return importances.get(RATE if setting == "lr" and RATE in importances else setting)


def summary(search: Search, winner: Candidate) -> dict[str, Any]:
    """Return the outcome of a search as plain values."""
    found = found_candidate(search)
    assert search.best
    return {
        "rmse": winner.rmse,
        "settings": winner.values,
        "trial": search.best.number,
        "trial_rmse": found.rmse,
        "trials": len(search.attempts),
        "pruned": sum(not attempt.is_complete for attempt in search.attempts),
        "failed": len(search.failures),
        "importances": search.importances(),
    }


def _result(rmse: float, split: Split) -> str:
    return f"validation RMSE {rmse:.4f} on {len(split.test):,} ratings"


def _changed(config: Config) -> dict[str, Any]:
    """Return the settings that differ from the defaults."""
    values = {name: getattr(config, name) for name in SETTINGS}
    return {name: value for name, value in values.items() if value != getattr(DEFAULTS, name)}
