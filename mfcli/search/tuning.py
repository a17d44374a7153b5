"""The search for settings: trials side by side, the hopeless ones cut short, test ratings unseen.

Trials come in rounds. What a round tries and which of its trials are cut short depends on the
rounds before it alone, and the sampler is seeded anew for every round: the search is the same
whatever the number of threads, and goes on from its storage as if it had never stopped, if it
stopped between two rounds.
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
from optuna.trial import FrozenTrial, Trial, TrialState

from mfcli.config import SETTINGS, Config, settings_in
from mfcli.errors import ArtifactError, ConfigError, LimitError, TrainingError, UsageError
from mfcli.search.spaces import RATE, Attempt, Choice, Range, Space, settings_from
from mfcli.splits import Split, assembled, at_random, check_parts
from mfcli.training import Diverged, Epoch, fit

ROUND = 8  # trials that do not know of each other
VALID = 0.1  # share of the training ratings to validate on where a split has no others
_TENTHS = 10  # of the epochs of a trial: it is compared after each
_STARTED = 2  # tenths that every trial may do
LARGE = 2_000_000  # training ratings from which on a trial takes all threads
_STUDY, _REASON = "mfcli", "reason"
_OF_URLS = "?#%"  # in the name of a storage they would be read as parts of an address
_NAMES = {
    "split": "another split",
    "valid": "other validation ratings",
    "space": "another space",
    "base": "other settings outside of the space",
    "seed": "another seed",
}


def with_validation(split: Split, config: Config) -> Split:
    """Return a split with validation ratings: its own, or some cut from its training ratings.

    The test ratings are replaced by the validation ratings, so that nothing can look at them.

    Raises
    ------
    DataError
        If there are too few to cut some off.
    """
    if split.valid is not None:
        return replace(split, test=split.valid)
    rng = np.random.default_rng(config.seed)
    held = at_random(split.train, config.valid or VALID, rng)
    valid = split.train.take(held)
    parts = {"train": split.train.take(~held), "valid": valid}
    check_parts(parts, len(split.train), {"name": "random", "valid": config.valid or VALID})
    parts["test"] = valid
    return replace(assembled(parts, split.scale, split.strategy), hash=split.hash)


@dataclass
class Search:
    """A search for the settings with the least validation error.

    Parameters
    ----------
    split : Split
        With validation ratings; see `with_validation`.
    base : Config
        Of the settings that are not in the space.
    space : Space
    storage : Path, optional
        SQLite file that keeps the search, and from which it goes on.
    threads : int
        Trials at the same time; of many ratings, one trial on so many threads.

    Raises
    ------
    ArtifactError
        If the storage is that of another search, or is damaged.
    """

    split: Split
    base: Config
    space: Space
    storage: Path | None = None
    threads: int = 1
    attempts: list[Attempt] = field(default_factory=list)

    def __post_init__(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        if self.storage and set(str(self.storage)) & set(_OF_URLS):
            raise UsageError(
                f"--storage must be a name without any of {_OF_URLS}, got {self.storage}"
            )
        self._stop = threading.Event()
        self._deadline = math.inf
        with self._storing():
            url = f"sqlite:///{self.storage}" if self.storage else None
            self._study = optuna.create_study(
                storage=url, study_name=_STUDY, load_if_exists=True, direction="minimize"
            )
            self._take_over()

    @property
    def best(self) -> Attempt | None:
        """The best trial so far of those that were not cut short."""
        whole = [attempt for attempt in self.attempts if attempt.is_whole]
        return min(whole, key=lambda attempt: attempt.rmse, default=None)

    def run(
        self,
        trials: int,
        seconds: float = math.inf,
        on_trial: Callable[[Attempt], None] = lambda attempt: None,
    ) -> None:
        """Try until there are so many trials, or the time is over.

        Raises
        ------
        TrainingError
            If no trial could be trained to its end.
        """
        self._deadline = time.monotonic() + seconds
        while (done := self._done()) < trials and time.monotonic() < self._deadline:
            self._run_round(min(ROUND - done % ROUND, trials - done), on_trial)
        if not self.best:
            raise TrainingError(f"no trial was trained to its end{self._why_none()}")

    @property
    def failures(self) -> list[str]:
        """Why trials could not be trained, one reason each."""
        reasons = (trial.user_attrs.get(_REASON) for trial in self._study.trials)
        return [reason for reason in reasons if reason]

    def _done(self) -> int:
        """Count the trials, those left out that were stopped."""
        return len(self.attempts) + len(self.failures)

    def _why_none(self) -> str:
        if self.failures:
            return f": {self.failures[0]}"
        if self.attempts:
            return ": all diverged; search lower rates"
        return "; give it more --minutes or --trials"

    def importances(self) -> dict[str, float]:
        """Return how much of the spread of the errors each setting explains; they add up to 1."""
        whole = [a for a in self.attempts if a.is_whole]
        varied = {n for n in self.space if len({str(a.settings.get(n)) for a in whole}) > 1}
        if len(whole) < ROUND or not varied:
            return {}
        with _quietly(), self._storing():
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            found = optuna.importance.get_param_importances(
                self._study, evaluator=evaluator, params=sorted(varied)
            )
        return dict(found)

    def _take_over(self) -> None:
        """Check that the storage is of this search, and go on with its trials."""
        own = {
            "split": self.split.hash,
            "valid": len(self.split.test),
            "space": json.dumps({name: asdict(c) for name, c in self.space.items()}),
            "base": json.dumps(self._unsearched()),
            "seed": self.base.seed,
        }
        kept = self._study.user_attrs
        for name in _NAMES:
            if name not in kept:
                self._study.set_user_attr(name, own[name])
            elif kept[name] != own[name]:
                raise ArtifactError(
                    f"{self.storage}: is a search with {_NAMES[name]}; choose another --storage"
                )
        for trial in self._study.trials:
            if trial.state == TrialState.RUNNING:  # the search was stopped
                self._study.tell(trial.number, state=TrialState.FAIL)
        self.attempts = [a for t in self._study.trials if (a := self._attempt(t))]

    def _unsearched(self) -> dict[str, Any]:
        """Return the settings of training that the space leaves as they are, but for the seed."""
        searched = {*self.space, "seed"} | ({"lr"} if RATE in self.space else set())
        return {n: getattr(self.base, n) for n in settings_in("training") if n not in searched}

    def _run_round(self, count: int, on_trial: Callable[[Attempt], None]) -> None:
        """Ask for some trials, train them side by side, tell of them in order."""
        with _quietly(), self._storing():
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
        """Return the validation RMSE after each tenth of the epochs, or why there is none."""
        curve: list[float] = []

        def on_epoch(epoch: Epoch) -> None:
            self._look_at_the_clock()
            while epoch.epoch * _TENTHS >= (len(curve) + 1) * config.epochs:
                curve.append(math.sqrt(epoch.val_mse))
            if _STARTED <= len(curve) < _TENTHS and curve[-1] > medians[len(curve) - 1]:
                raise _CutShort

        try:
            config = replace(self.base, **settings_from(values, self.base))
            fitted = fit(
                self.split,
                config,
                threads=max(1, self.threads // workers),
                on_epoch=on_epoch,
                on_progress=lambda done, total: self._look_at_the_clock(),
            )
            last = math.sqrt(fitted.losses["val_mse"])  # with patience, of the best epoch
            curve.extend([last] * (_TENTHS - len(curve)))
            curve[-1] = last
        except _CutShort:
            pass
        except Diverged:
            curve = [self.split.scale.max - self.split.scale.min]
        except (ConfigError, LimitError, _OutOfTime) as error:
            return error
        return curve

    def _look_at_the_clock(self) -> None:
        if self._stop.is_set() or time.monotonic() > self._deadline:
            raise _OutOfTime("the time was over")

    def _medians(self) -> list[float]:
        """Return, for each tenth of the epochs, the median of the trials trained to their end.

        A trial that is worse is cut short: the median stopping rule (D. Golovin et al., "Google
        Vizier: a service for black-box optimization", KDD 2017, section 3.2.2).
        """
        whole = [trial for trial in self._study.trials if trial.state == TrialState.COMPLETE]
        if len(whole) < ROUND // 2:
            return [math.inf] * _TENTHS
        curves = [trial.user_attrs["curve"] for trial in whole]
        return [float(value) for value in np.median(curves, axis=0)]

    def _tell(self, trial: Trial, curve: list[float] | Exception) -> Attempt | None:
        if isinstance(curve, Exception):
            if not isinstance(curve, _OutOfTime):
                trial.set_user_attr(_REASON, str(curve))
            self._study.tell(trial, state=TrialState.FAIL)
            return None
        trial.set_user_attr("curve", curve)
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
        rmse = trial.user_attrs["curve"][-1]
        return Attempt(trial.number + 1, values, rmse, trial.state == TrialState.COMPLETE)

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Say which file is at fault when the storage fails."""
        if not self.storage:
            yield
            return
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (
            SQLAlchemyError, optuna.exceptions.StorageInternalError, RuntimeError, ValueError
        ) as error:  # fmt: skip
            reason = str(error).splitlines()[0]
            raise ArtifactError(
                f"{self.storage}: cannot be used as storage: {reason}; choose another --storage"
            ) from error


class _CutShort(Exception):
    """A trial is worse than the median."""


class _OutOfTime(Exception):
    """The search is over."""


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep to ourselves that parts of Optuna are experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _fixed(space: Space) -> dict[str, Any]:
    """Return the settings that have one value only."""
    return {
        name: choice.values[0]
        for name, choice in space.items()
        if isinstance(choice, Choice) and len(choice.values) == 1
    }


def _suggest(trial: Trial, space: Space) -> dict[str, Any]:
    """Let Optuna choose from a space."""
    fixed = _fixed(space)
    return {
        name: fixed[name] if name in fixed else _suggest_one(trial, name, choice)
        for name, choice in space.items()
    }


def _suggest_one(trial: Trial, name: str, choice: Range | Choice) -> Any:
    if isinstance(choice, Choice):
        return trial.suggest_categorical(name, choice.values)
    if name != RATE and SETTINGS[name].type is int:
        return trial.suggest_int(name, int(choice.low), int(choice.high), log=choice.log)
    return trial.suggest_float(name, choice.low, choice.high, log=choice.log)
