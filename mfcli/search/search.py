"""Search for settings in parallel trials. Bad trials are pruned; test ratings are not used.

Trials run in rounds. What a round tries, and which of its trials are pruned, depends only on the
rounds before it, and the sampler is seeded for each round. So the search is the same for any number
of threads or workers of a cluster, and a search that was stopped at any moment resumes with the
same trials.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mfcli.config import TRAINING, Config, settings_in
from mfcli.errors import Param, TrainingError
from mfcli.search.purposes import RANKING, RATINGS
from mfcli.search.sampling import Direction, importances, suggestions
from mfcli.search.spaces import RANKED, RATE, Space
from mfcli.search.stored_search import ROUND, SearchRecord, StoredSearch, open_search
from mfcli.search.trial_runners import TrialRunner, is_large, trial_runner
from mfcli.search.trial_training import TrialResult, TrialRules, trial_config
from mfcli.search.trials import TENTHS, Attempt, Trial
from mfcli.splits import Split
from mfcli.training import ValidationMeasure

_RANDOM = 16  # trials whose settings are drawn at random, before others are chosen by their results
_FEWEST = 4  # complete trials for a median that means anything
_FEWEST_EXPLAINED = 8  # complete trials for importances that mean anything


@dataclass
class Search:
    """A search for the settings that do best on validation ratings.

    With a storage, it is a context manager, which releases the storage in the end.

    Parameters
    ----------
    split : Split
        With validation ratings; see `with_validation`.
    base : Config
        Settings that are not in the space.
    space : Space
    storage : Path, optional
        File that keeps the search; if it exists, the search resumes from it.
    threads : int
        Of this machine. Trials share them; many ratings are trained on one trial at a time.
    first : dict, optional
        Values in the space that the first trial tries; by default they are drawn like all others.
    metric : str, optional
        The measure that all trials follow; by default that of `base`.
    parallel : int, optional
        Trials in a round, none of which depends on the results of the others, so that they can run
        at the same time; by default the number of the storage, or else `ROUND`. The trials depend
        on it.

    Attributes
    ----------
    measure : ValidationMeasure
        Of the metric.
    attempts : list of Attempt
        The trials so far, in the order of their numbers.

    Raises
    ------
    ArtifactError
        If the storage is used by another process, belongs to another search or one with another
        number of parallel trials, is damaged, or is not the file of a search.
    """

    split: Split
    base: Config
    space: Space
    storage: Path | None = None
    threads: int = 1
    first: dict[str, Any] | None = None
    metric: str | None = None
    parallel: int | None = None
    attempts: list[Attempt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.measure = ValidationMeasure(self.metric or self.base.followed, self.base.cutoffs[0])
        self.round = self.parallel or ROUND  # trials in a round
        self._resources = ExitStack()
        self._stored: StoredSearch | None = None
        self._trials: list[Trial] = []
        if self.storage:
            opened = open_search(self.storage, self._record(), self.space, self.parallel)
            self._stored = self._resources.enter_context(opened)
            self.round = self._stored.parallel
            for trial in self._stored.trials:  # in the order in which they ended
                self._add(trial)

    def __enter__(self) -> Search:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.close()

    @property
    def best(self) -> Attempt | None:
        """The best complete trial so far."""
        complete = [attempt for attempt in self.attempts if attempt.is_complete]
        best = max if self.measure.is_ranking else min  # the first of equal ones
        return best(complete, key=lambda attempt: attempt.value, default=None)

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
        end = time.monotonic() + seconds
        runner = trial_runner(self.split, self.threads, self.round)
        while (numbers := self._next(trials)) and (left := end - time.monotonic()) > 0:
            self._run_round(runner, numbers, left, on_trial)
        if not self.best:
            raise self._no_trial()

    @property
    def purpose(self) -> str:
        """Which settings are recommended instead."""
        return RANKING if self.measure.is_ranking else RATINGS

    @property
    def is_large(self) -> bool:
        """Whether this machine trains one trial at a time, because there are many ratings."""
        return is_large(self.split)

    @property
    def ended(self) -> int:
        """The number of trials so far, also of those that failed."""
        return len(self._trials)

    @property
    def failures(self) -> list[str]:
        """The reasons why trials could not be trained, one for each."""
        return [trial.reason for trial in self._trials if trial.state == "failed"]

    def upcoming(self, trials: int) -> list[dict[str, Any]]:
        """Return the values of the trials of the next round, up to a number of trials."""
        numbers = self._next(trials)
        return self._chosen(*self._before(numbers)) if numbers else []

    def config_of(self, values: dict[str, Any]) -> Config:
        """Return the config of a trial with values of the space.

        Raises
        ------
        ConfigError
            If they contradict the other settings.
        """
        return trial_config(values, self.base, self.measure)

    def advised_value(self, settings: dict[str, Any], train: Callable[[], float]) -> float:
        """Return the value of recommended settings; train only if it is not stored."""
        stored = self._stored
        if stored and (known := stored.value_of(settings)) is not None:
            return known
        value = train()
        if stored:
            stored.add_advised(settings, value)
        return value

    def _next(self, trials: int) -> list[int]:
        """Return the numbers of the next trials, all of one round, up to a number of trials."""
        done = {trial.trial for trial in self._trials}
        # There may be gaps: a search that is stopped has lost the trials that were running.
        first = next(number for number in itertools.count(1) if number not in done)
        # Up to the end of the round that `first` belongs to.
        end = first + self.round - (first - 1) % self.round
        return [n for n in range(first, min(end, trials + 1)) if n not in done]

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

        Importances are fractions of the variation in the measure that a setting explains; they add
        up to 1 (PED-ANOVA: S. Watanabe, A. Bansal, F. Hutter, IJCAI 2023). Empty if there are too
        few complete trials.
        """
        complete = [attempt for attempt in self.attempts if attempt.is_complete]
        values = {n: {str(a.settings.get(n)) for a in complete} for n in self.space}
        # A setting with one value explains no variation.
        varied = [name for name, distinct in values.items() if len(distinct) > 1]
        if len(complete) < _FEWEST_EXPLAINED or not varied:
            return {}
        return importances(self.space, self._trials, sorted(varied), self._direction)

    def _record(self) -> SearchRecord:
        """Describe the search for its storage, in values that JSON keeps as they are."""
        # Through JSON, so that tuples become lists, as they are when a file is read.
        space = {name: asdict(one) for name, one in self.space.items()}
        return SearchRecord(
            split=self.split.hash,
            valid=len(self.split.parts["valid"]),
            space=json.loads(json.dumps(space)),
            base=json.loads(json.dumps(self._unsearched())),
            seed=self.base.seed,
            metric=self.measure.name,
            parallel=self.round,
        )

    @property
    def _direction(self) -> Direction:
        return "maximize" if self.measure.is_ranking else "minimize"

    def _unsearched(self) -> dict[str, Any]:
        """Return the training settings that are not searched, except for the seed."""
        left_out = {*self.space, "seed", "metric"} | ({"lr"} if RATE in self.space else set())
        if not self.measure.is_ranking:
            left_out |= {*RANKED}
        return {n: getattr(self.base, n) for n in settings_in(TRAINING) if n not in left_out}

    def _run_round(
        self,
        runner: TrialRunner,
        numbers: Sequence[int],
        seconds: float,
        on_trial: Callable[[Attempt], None],
    ) -> None:
        """Choose the settings of the trials of a round, train in parallel, and report in order."""
        start, _, before = self._before(numbers)
        tried = self._chosen(start, numbers, before)
        medians = _medians(before, self.measure)
        rules = TrialRules(self.base, self.measure, medians, until=time.time() + seconds)
        with closing(runner.results(rules, tried)) as results:
            for number, values, result in zip(numbers, tried, results, strict=True):
                if result is None:  # out of time
                    continue
                trial = _ended(number, values, result)
                if self._stored:  # first, so that no reported trial is ever lost
                    self._stored.add(trial)
                if attempt := self._add(trial):
                    on_trial(attempt)

    def _before(self, numbers: Sequence[int]) -> tuple[int, Sequence[int], list[Trial]]:
        """Return the last trial before a round, numbers in the round, and the trials before it."""
        start = (numbers[0] - 1) // self.round * self.round
        # Trials of this round that a resumed search knows already are not among them.
        return start, numbers, [trial for trial in self._trials if trial.trial <= start]

    def _chosen(
        self, start: int, numbers: Sequence[int], before: Sequence[Trial]
    ) -> list[dict[str, Any]]:
        """Choose the values of trials of the round after `start`, from those before the round."""
        # From the seed and the round alone, so that a resumed search suggests the same values.
        seed = int(np.random.SeedSequence([self.base.seed, start]).generate_state(1)[0])
        # From the first of the round on, even if it is done, so that each number gets the same.
        count = numbers[-1] - start
        chosen = suggestions(self.space, before, count, _RANDOM, seed, self._direction)
        if self.first and start == 0:
            chosen[0] = self.first
        return [chosen[number - start - 1] for number in numbers]

    def _add(self, trial: Trial) -> Attempt | None:
        """Add a trial that has ended; return it unless it failed."""
        self._trials.append(trial)
        self._trials.sort(key=lambda one: one.trial)
        if trial.state == "failed":
            return None
        attempt = Attempt.of(trial)
        self.attempts.append(attempt)
        self.attempts.sort(key=lambda one: one.number)
        return attempt


def _medians(trials: Sequence[Trial], measure: ValidationMeasure) -> list[float]:
    """Return the median value of the complete trials after each tenth of their epochs."""
    curves = [trial.curve for trial in trials if trial.state == "complete"]
    if len(curves) < _FEWEST:
        return [measure.worst] * TENTHS
    return [float(value) for value in np.median(curves, axis=0)]


def _ended(number: int, settings: dict[str, Any], result: TrialResult) -> Trial:
    """Return the trial that gave a result."""
    curve, reason = result
    if not curve:
        return Trial(number, "failed", settings, [], reason)
    return Trial(number, "complete" if len(curve) == TENTHS else "pruned", settings, curve)
