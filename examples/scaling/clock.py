"""A clock of events, and processors that jobs share equally."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

Action = Callable[[], None]


class Clock:
    """Runs actions at their moments.

    Parameters
    ----------
    processors : float
        That all jobs share; a job uses at most one.

    Attributes
    ----------
    now : float
        Seconds.
    background : float
        Processors that are used besides jobs.
    """

    def __init__(self, processors: float) -> None:
        self.now, self.background, self._processors = 0.0, 0.0, processors
        # All jobs advance at one rate, so a job ends when the work of each has grown by its own.
        self._work = 0.0
        self._jobs: list[tuple[float, int, Action]] = []
        self._timers: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()

    def compute(self, seconds: float, then: Action) -> None:
        """Start a job that takes some seconds of a processor."""
        heapq.heappush(self._jobs, (self._work + seconds, next(self._numbers), then))

    def at(self, moment: float, then: Action) -> None:
        """Run an action at a moment."""
        heapq.heappush(self._timers, (max(moment, self.now), next(self._numbers), then))

    def run(self) -> None:
        """Run until nothing is left to do."""
        while self._jobs or self._timers:
            rate = min(1.0, self._processors / max(len(self._jobs) + self.background, 1))
            ends = self.now + (self._jobs[0][0] - self._work) / rate if self._jobs else float("inf")
            is_timer = bool(self._timers) and self._timers[0][0] <= ends
            moment = self._timers[0][0] if is_timer else ends
            self._work += (moment - self.now) * rate
            self.now = moment
            heapq.heappop(self._timers if is_timer else self._jobs)[2]()
