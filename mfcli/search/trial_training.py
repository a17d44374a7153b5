"""Train one trial of a search. What it gives depends on its arguments only, on any machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from mfcli.config import Config
from mfcli.errors import ConfigError, LimitError
from mfcli.search.spaces import settings_from
from mfcli.search.trials import TENTHS
from mfcli.splits import Split
from mfcli.training import Diverged, Epoch, ValidationMeasure, fit

_STARTED = 2  # tenths of the epochs that every trial runs before it may be pruned


class TrialRules(NamedTuple):
    """What the trials of a round have in common.

    Attributes
    ----------
    base : Config
        Settings that are not searched.
    measure : ValidationMeasure
    medians : list of float
        The median value of earlier trials after each tenth of their epochs. A trial that is worse
        is pruned: the median stopping rule (D. Golovin et al., "Google Vizier: a service for
        black-box optimization", KDD 2017, section 3.2.2).
    until : float
        A time of the system's clock, in seconds, when trials end in any case. Unlike a monotonic
        clock, other machines have the same one.
    """

    base: Config
    measure: ValidationMeasure
    medians: list[float]
    until: float = math.inf


class TrialResult(NamedTuple):
    """What a trial gave.

    Attributes
    ----------
    curve : list of float
        The measure after each tenth of the epochs; fewer values if it was pruned, none if it
        failed.
    reason : str
        Why it failed.
    """

    curve: list[float]
    reason: str = ""


def train_trial(
    split: Split,
    rules: TrialRules,
    values: dict[str, Any],
    *,
    threads: int | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> TrialResult | None:
    """Train with values of a space.

    Parameters
    ----------
    split : Split
        With validation ratings.
    rules : TrialRules
    values : dict
    threads : int, optional
        The result does not depend on it.
    is_stopped : callable
        Called often, from this thread or another one; the trial ends if it returns True.

    Returns
    -------
    TrialResult or None
        None if the trial was stopped or out of time. What it had until then depends on the speed
        of the machine, so it is discarded.
    """
    curve: list[float] = []
    measure = rules.measure

    def check_time() -> None:
        if is_stopped() or time.time() > rules.until:
            raise _OutOfTime

    def on_epoch(epoch: Epoch) -> None:
        check_time()
        # With fewer epochs than tenths, an epoch completes several tenths.
        while epoch.epoch * TENTHS >= (len(curve) + 1) * config.epochs:
            curve.append(measure.of_epoch(epoch))
        tenths = len(curve)
        if _STARTED <= tenths < TENTHS and measure.is_better(rules.medians[tenths - 1], curve[-1]):
            raise _Pruned

    try:
        check_time()
        config = trial_config(values, rules.base, measure)
        fitted = fit(
            split,
            config,
            threads=threads,
            on_epoch=on_epoch,
            on_progress=lambda done, total: check_time(),
        )
    except _OutOfTime:
        return None
    except _Pruned:
        return TrialResult(curve)
    except Diverged:  # a bad value, so that the sampler avoids such settings
        return TrialResult([0.0 if measure.is_ranking else split.scale.max - split.scale.min])
    except (ConfigError, LimitError) as error:
        # Not raised: the other trials of the round go on.
        return TrialResult([], str(error))
    last = measure.of_losses(fitted.losses)  # of the best epoch, if there is patience
    curve += [last] * (TENTHS - len(curve))
    curve[-1] = last
    return TrialResult(curve)


def trial_config(values: dict[str, Any], base: Config, measure: ValidationMeasure) -> Config:
    """Return the config of a trial with values of a space.

    Raises
    ------
    ConfigError
        If they contradict the other settings.
    """
    settings = settings_from(values, base) | {"metric": measure.name}
    return replace(base, **settings)


class _Pruned(Exception):
    """A trial is worse than the median of earlier trials."""


class _OutOfTime(Exception):
    """The trial must stop."""
