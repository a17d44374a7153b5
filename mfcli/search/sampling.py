"""What Optuna does for a search: choose settings to try, and rate the importance of each setting.

Both depend on earlier trials only, so a search needs no storage of Optuna.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from mfcli.config import SETTINGS
from mfcli.search.spaces import RATE, Choice, Range, Space
from mfcli.search.trials import Trial

_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def suggestions(
    space: Space, trials: Sequence[Trial], count: int, startup: int, seed: int
) -> list[dict[str, Any]]:
    """Choose settings for several trials, none of which depends on the others.

    Parameters
    ----------
    space : Space
    trials : sequence of Trial
        Earlier trials, in order.
    count : int
    startup : int
        Settings are drawn at random until there are that many trials. Then they are chosen by a
        tree-structured Parzen estimator (J. Bergstra et al., "Algorithms for hyper-parameter
        optimization", NIPS 2011).
    seed : int
        Below 2^32.

    Returns
    -------
    list of dict
        Values for all names in the space.
    """
    with _quiet():
        study = _study(space, trials)
        study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
        return [_fixed(space) | study.ask(_varied(space)).params for _ in range(count)]


def importances(space: Space, trials: Sequence[Trial], names: Sequence[str]) -> dict[str, float]:
    """Return the importance of settings: PED-ANOVA (S. Watanabe et al., IJCAI 2023).

    Parameters
    ----------
    space : Space
    trials : sequence of Trial
    names : sequence of str
        Names in the space that are varied.
    """
    with _quiet():
        return optuna.importance.get_param_importances(
            _study(space, trials),
            evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
            params=list(names),
        )


def frozen(space: Space, trial: Trial) -> FrozenTrial:
    """Convert a trial to one of Optuna.

    Raises
    ------
    ValueError
        If its settings are not in the space.
    """
    varied = _varied(space)
    if trial.settings.keys() != space.keys():
        raise ValueError("settings must be those of the space")
    return optuna.trial.create_trial(
        state=_STATES[trial.state],
        value=trial.curve[-1] if trial.curve else None,
        params={name: trial.settings[name] for name in varied},
        distributions=varied,
        intermediate_values=dict(enumerate(trial.curve, start=1))
        if trial.state == "pruned"
        else {},
    )


def _study(space: Space, trials: Sequence[Trial]) -> optuna.Study:
    study = optuna.create_study(direction="minimize")
    study.add_trials([frozen(space, trial) for trial in trials])
    return study


def _fixed(space: Space) -> dict[str, Any]:
    """Return the settings that have only one value."""
    return {
        name: choice.values[0]
        for name, choice in space.items()
        if isinstance(choice, Choice) and len(choice.values) == 1
    }


def _varied(space: Space) -> dict[str, BaseDistribution]:
    fixed = _fixed(space)
    return {name: _distribution(name, one) for name, one in space.items() if name not in fixed}


def _distribution(name: str, one: Range | Choice) -> BaseDistribution:
    if isinstance(one, Choice):
        return CategoricalDistribution(one.values)
    if name != RATE and SETTINGS[name].type is int:
        return IntDistribution(int(one.low), int(one.high), log=one.log)
    return FloatDistribution(one.low, one.high, log=one.log)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress messages, and warnings that parts of Optuna are experimental."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
