"""Choose settings to try, and measure the importance of each setting, with Optuna.

Both depend on earlier trials only, so a search does not use the storage of Optuna.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

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

Direction: TypeAlias = Literal["minimize", "maximize"]

_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def suggestions(
    space: Space,
    trials: Sequence[Trial],
    count: int,
    startup: int,
    seed: int,
    direction: Direction = "minimize",
) -> list[dict[str, Any]]:
    """Choose settings for several trials that do not know each other's results.

    Fewer trials get the first ones of the same settings.

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
    direction : {"minimize", "maximize"}
        Whether trials with lower or with higher values are better.

    Returns
    -------
    list of dict
        Values for all names in the space.
    """
    with _quiet():
        # A new study each time, so that a resumed search gets the same suggestions.
        study = _study(space, trials, direction)
        # Asking several times leaves trials without results in the study. TPE takes them for bad
        # ones ("constant liar"), so that the next suggestions are not close to them. Both options
        # are named because their defaults changed in Optuna 5.
        study.sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True
        )
        return [_fixed(space) | study.ask(_varied(space)).params for _ in range(count)]


def importances(
    space: Space,
    trials: Sequence[Trial],
    names: Sequence[str],
    direction: Direction = "minimize",
) -> dict[str, float]:
    """Return the importance of settings: PED-ANOVA (S. Watanabe et al., IJCAI 2023).

    Parameters
    ----------
    space : Space
    trials : sequence of Trial
    names : sequence of str
        Names in the space that are varied.
    direction : {"minimize", "maximize"}
    """
    with _quiet():
        return optuna.importance.get_param_importances(
            _study(space, trials, direction),
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
    varied = _varied(space)  # Optuna knows nothing of settings that have one value
    if trial.settings.keys() != space.keys():
        raise ValueError("settings must be those of the space")
    return optuna.trial.create_trial(
        state=_STATES[trial.state],
        value=trial.curve[-1] if trial.curve else None,
        params={name: trial.settings[name] for name in varied},
        distributions=varied,
        # The sampler ranks pruned trials by their last intermediate value.
        intermediate_values=dict(enumerate(trial.curve, start=1))
        if trial.state == "pruned"
        else {},
    )


def _study(space: Space, trials: Sequence[Trial], direction: Direction) -> optuna.Study:
    study = optuna.create_study(direction=direction)
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
    if name != RATE and SETTINGS[name].type is int:  # `rate` is not a setting
        return IntDistribution(int(one.low), int(one.high), log=one.log)
    return FloatDistribution(one.low, one.high, log=one.log)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress messages, and warnings that parts of Optuna are experimental."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # until the block ends
        yield
