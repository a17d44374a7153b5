"""Search for settings in parallel trials; hopeless ones are pruned, and test ratings are not used.

Trials run in rounds. What a round tries, and which of its trials are pruned, depends only on the
rounds before it, and the sampler is seeded for each round. So the search is the same for any number
of threads, and a search that was stopped between two rounds resumes from its storage with the same
results.
"""

from __future__ import annotations

import json
import math
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from mfcli.config import SETTINGS, TRAINING, Config, settings_in
from mfcli.errors import ArtifactError, ConfigError, LimitError, Param, TrainingError, UsageError
from mfcli.search.spaces import RATE, Choice, Range, Space, settings_from
from mfcli.search.trials import Attempt
from mfcli.splits import Split
from mfcli.training import Diverged, Epoch, fit

ROUND = 8  # trials in a round; none depends on the results of the others
LARGE = 2_000_000  # from this many training ratings on, one trial at a time uses all threads

_TENTHS = 10  # of the epochs of a trial; after each, it is compared with earlier trials
_STARTED = 2  # tenths that every trial runs before it may be pruned
_STUDY, _REASON, _CURVE = "mfcli", "reason", "curve"
_URL_CHARACTERS = "?#%"  # in a file name, SQLAlchemy would read them as parts of a URL
_IDENTITY = {
    "split": "another split",
    "valid": "other validation ratings",
    "space": "another space",
    "base": "other settings outside of the space",
    "seed": "another seed",
}
"""What a storage records of its search, and how a difference is described."""


@dataclass
class Search:
    """A search for the settings with the lowest validation error.

    Parameters
    ----------
    split : Split
        With validation ratings; see `with_validation`.
    base : Config
        Settings that are not in the space.
    space : Space
    storage : Path, optional
        SQLite file that stores the search; if it exists, the search resumes from it.
    threads : int
        Trials that run in parallel; with `LARGE` data, the threads of one trial.

    Attributes
    ----------
    attempts : list of Attempt
        The trials so far.

    Raises
    ------
    ArtifactError
        If the storage belongs to another search or is damaged.
    UsageError
        If the name of the storage contains ``?``, ``#`` or ``%``.
    """

    split: Split
    base: Config
    space: Space
    storage: Path | None = None
    threads: int = 1
    attempts: list[Attempt] = field(default_factory=list)

    def __post_init__(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        if self.storage and set(str(self.storage)) & set(_URL_CHARACTERS):
            raise UsageError(
                f"must not contain any of {_URL_CHARACTERS}",
                param="storage",
                value=str(self.storage),
            )
        self._stop = threading.Event()
        self._deadline = math.inf
        with self._storing():
            url = f"sqlite:///{self.storage}" if self.storage else None
            self._study = optuna.create_study(
                storage=url, study_name=_STUDY, load_if_exists=True, direction="minimize"
            )
            self._continue()

    @property
    def best(self) -> Attempt | None:
        """The best complete trial so far."""
        complete = [attempt for attempt in self.attempts if attempt.is_complete]
        return min(complete, key=lambda attempt: attempt.rmse, default=None)

    def run(
        self,
        trials: int,
        seconds: float = math.inf,
        on_trial: Callable[[Attempt], None] = lambda attempt: None,
    ) -> None:
        """Run trials up to a number of trials, or for a time.

        Parameters
        ----------
        trials : int
            Including those in the storage.
        seconds : float
            A trial that is still running then is discarded.
        on_trial : callable, optional
            Called with each trial that has ended.

        Raises
        ------
        TrainingError
            If no trial was completed.
        """
        self._deadline = time.monotonic() + seconds
        while (done := self._done()) < trials and time.monotonic() < self._deadline:
            self._run_round(min(ROUND - done % ROUND, trials - done), on_trial)
        if not self.best:
            raise self._no_trial()

    @property
    def failures(self) -> list[str]:
        """The reasons why trials could not be trained, one for each."""
        reasons = (trial.user_attrs.get(_REASON) for trial in self._study.trials)
        return [reason for reason in reasons if reason]

    def _done(self) -> int:
        """Count the trials, except for those that were stopped."""
        return len(self.attempts) + len(self.failures)

    def _no_trial(self) -> TrainingError:
        if self.failures:
            return TrainingError(f"no trial was completed: {self.failures[0]}")
        if self.attempts:
            return TrainingError("all trials diverged", remedy="search lower rates")
        return TrainingError(
            "no trial was completed", remedy=["raise ", Param("minutes"), " or ", Param("trials")]
        )

    def importances(self) -> dict[str, float]:
        """Return the importance of each setting that was varied.

        Importances are fractions of the variation in error that a setting explains; they add up to
        1 (PED-ANOVA: S. Watanabe, A. Bansal, F. Hutter, IJCAI 2023). Empty if there are too few
        complete trials.
        """
        complete = [attempt for attempt in self.attempts if attempt.is_complete]
        values = {n: {str(a.settings.get(n)) for a in complete} for n in self.space}
        varied = [name for name, distinct in values.items() if len(distinct) > 1]
        if len(complete) < ROUND or not varied:
            return {}
        with _no_warnings(), self._storing():
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            found = optuna.importance.get_param_importances(
                self._study, evaluator=evaluator, params=sorted(varied)
            )
        return dict(found)

    def _continue(self) -> None:
        """Check that the storage belongs to this search, and load its trials."""
        own = {
            "split": self.split.hash,
            "valid": len(self.split.test),
            "space": json.dumps({name: asdict(c) for name, c in self.space.items()}),
            "base": json.dumps(self._unsearched()),
            "seed": self.base.seed,
        }
        stored = self._study.user_attrs
        for name, words in _IDENTITY.items():
            if name not in stored:
                self._study.set_user_attr(name, own[name])
            elif stored[name] != own[name]:
                raise ArtifactError(
                    f"belongs to a search with {words}",
                    place=self.storage,
                    remedy=["choose another ", Param("storage")],
                )
        for trial in self._study.trials:
            if trial.state == TrialState.RUNNING:  # the search was stopped during this trial
                self._study.tell(trial.number, state=TrialState.FAIL)
        self.attempts = [a for t in self._study.trials if (a := self._attempt(t))]

    def _unsearched(self) -> dict[str, Any]:
        """Return the training settings that are not searched, except for the seed."""
        searched = {*self.space, "seed"} | ({"lr"} if RATE in self.space else set())
        return {n: getattr(self.base, n) for n in settings_in(TRAINING) if n not in searched}

    def _run_round(self, count: int, on_trial: Callable[[Attempt], None]) -> None:
        """Choose the settings of several trials, train in parallel, and report in order."""
        with _no_warnings(), self._storing():
            seed = np.random.SeedSequence([self.base.seed, len(self._study.trials)])
            self._study.sampler = optuna.samplers.TPESampler(
                seed=int(seed.generate_state(1)[0]), n_startup_trials=2 * ROUND
            )
            asked = [self._study.ask() for _ in range(count)]
            values = [_suggest(trial, self.space) for trial in asked]
            medians = self._medians()
        workers = self.threads if len(self.split.train) < LARGE else 1
        with ThreadPoolExecutor(workers) as pool:
            curves = pool.map(lambda one: self._train(one, medians, workers), values)
            try:
                for trial, curve in zip(asked, curves, strict=True):
                    with self._storing():
                        attempt = self._tell(trial, curve)
                    if attempt:
                        self.attempts.append(attempt)
                        on_trial(attempt)
            except BaseException:
                self._stop.set()
                raise

    def _train(
        self, values: dict[str, Any], medians: list[float], workers: int
    ) -> list[float] | Exception:
        """Return the validation RMSE after each tenth of the epochs, or the error of the trial."""
        curve: list[float] = []

        def on_epoch(epoch: Epoch) -> None:
            self._check_time()
            while epoch.epoch * _TENTHS >= (len(curve) + 1) * config.epochs:
                curve.append(math.sqrt(epoch.val_mse))
            if _STARTED <= len(curve) < _TENTHS and curve[-1] > medians[len(curve) - 1]:
                raise _Pruned

        try:
            config = replace(self.base, **settings_from(values, self.base))
            fitted = fit(
                self.split,
                config,
                threads=max(1, self.threads // workers),
                on_epoch=on_epoch,
                on_progress=lambda done, total: self._check_time(),
            )
            last = math.sqrt(fitted.losses["val_mse"])  # of the best epoch, if there is patience
            curve.extend([last] * (_TENTHS - len(curve)))
            curve[-1] = last
        except _Pruned:
            pass
        except Diverged:  # report a bad error, so that the sampler avoids such settings
            curve = [self.split.scale.max - self.split.scale.min]
        except (ConfigError, LimitError, _OutOfTime) as error:
            return error
        return curve

    def _check_time(self) -> None:
        if self._stop.is_set() or time.monotonic() > self._deadline:
            raise _OutOfTime

    def _medians(self) -> list[float]:
        """Return the median RMSE of the complete trials after each tenth of their epochs.

        A trial that is worse is pruned: the median stopping rule (D. Golovin et al., "Google
        Vizier: a service for black-box optimization", KDD 2017, section 3.2.2).
        """
        complete = [trial for trial in self._study.trials if trial.state == TrialState.COMPLETE]
        if len(complete) < ROUND // 2:
            return [math.inf] * _TENTHS
        curves = [trial.user_attrs[_CURVE] for trial in complete]
        return [float(value) for value in np.median(curves, axis=0)]

    def _tell(self, trial: optuna.Trial, curve: list[float] | Exception) -> Attempt | None:
        """Store the result of a trial."""
        if isinstance(curve, Exception):
            if not isinstance(curve, _OutOfTime):
                trial.set_user_attr(_REASON, str(curve))
            self._study.tell(trial, state=TrialState.FAIL)
            return None
        trial.set_user_attr(_CURVE, curve)
        if len(curve) == _TENTHS:
            told = self._study.tell(trial, curve[-1])
        else:
            trial.report(curve[-1], len(curve))
            told = self._study.tell(trial, state=TrialState.PRUNED)
        return self._attempt(told)

    def _attempt(self, trial: FrozenTrial) -> Attempt | None:
        if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
            return None
        values = _fixed(self.space) | trial.params
        rmse = trial.user_attrs[_CURVE][-1]
        return Attempt(trial.number + 1, values, rmse, trial.state == TrialState.COMPLETE)

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Convert errors of the storage to one that names the file."""
        if not self.storage:
            yield
            return
        from sqlalchemy.exc import SQLAlchemyError  # slow to load; only storages need it

        try:
            yield
        except (
            SQLAlchemyError, optuna.exceptions.StorageInternalError, RuntimeError, ValueError
        ) as error:  # fmt: skip
            reason = str(error).splitlines()[0]
            raise ArtifactError(
                f"cannot be used as storage: {reason}",
                place=self.storage,
                remedy=["choose another ", Param("storage")],
            ) from error


class _Pruned(Exception):
    """A trial is worse than the median of earlier trials."""


class _OutOfTime(Exception):
    """The search must stop."""


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Suppress warnings that parts of Optuna are experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _fixed(space: Space) -> dict[str, Any]:
    """Return the settings that have only one value."""
    return {
        name: choice.values[0]
        for name, choice in space.items()
        if isinstance(choice, Choice) and len(choice.values) == 1
    }


def _suggest(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    """Let Optuna choose a value for each setting in a space."""
    fixed = _fixed(space)
    return {
        name: fixed[name] if name in fixed else _suggest_one(trial, name, one)
        for name, one in space.items()
    }


def _suggest_one(trial: optuna.Trial, name: str, one: Range | Choice) -> Any:
    if isinstance(one, Choice):
        return trial.suggest_categorical(name, one.values)
    if name != RATE and SETTINGS[name].type is int:
        return trial.suggest_int(name, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(name, one.low, one.high, log=one.log)
