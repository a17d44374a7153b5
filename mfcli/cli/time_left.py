"""Estimates of the time that work still needs."""

from __future__ import annotations

import math
import threading
import time
from collections import deque

_SPACING = 0.1  # seconds between the samples that are kept


class TimeLeft:
    """Estimates the time left from the speed in the second half of the work so far.

    The first half is forgotten, because code may have been compiled in it.

    Parameters
    ----------
    until : float
        A time of the monotonic clock when the work ends in any case.
    """

    def __init__(self, until: float = math.inf) -> None:
        self._until, self._total = until, 0.0
        self._first: float | None = None  # what was done at the first update
        self._samples: deque[tuple[float, float]] = deque()  # times and amounts done
        self._start = time.monotonic()
        self._lock = threading.Lock()  # several threads may report

    @property
    def elapsed(self) -> float:
        """Seconds since the work began."""
        return time.monotonic() - self._start

    def update(self, done: float, total: float) -> None:
        """Note how much is done now; the first call sets the amount that was done before."""
        now = time.monotonic()
        with self._lock:
            samples, self._total = self._samples, total
            if len(samples) > 2 and now - samples[-2][0] < _SPACING:
                samples.pop()
            samples.append((now, done))
            self._first = done if self._first is None else self._first
            while len(samples) > 2 and samples[1][1] <= (self._first + done) / 2:
                samples.popleft()

    @property
    def seconds(self) -> float | None:
        """The seconds left; None if they are unknown or all is done."""
        with self._lock:
            if not self._samples:
                return None
            (first, before), (last, done) = self._samples[0], self._samples[-1]
        rest = math.inf
        if before < done < self._total:
            rest = (self._total - done) * (last - first) / (done - before)
        # Between two updates, the time left decreases with the clock.
        left = min(last + rest, self._until) - time.monotonic()
        return max(left, 0.0) if math.isfinite(left) else None
