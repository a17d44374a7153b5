"""Confidence intervals by the bootstrap over users.

The ratings of a user are correlated, so users are resampled, each with all their ratings (B. Efron,
"Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7(1), 1979; for clusters,
C. A. Field and A. H. Welsh, "Bootstrapping clustered data", JRSS B 69(3), 2007). The resamples
depend only on the seed and the number of users. Two models measured on the same ratings are
therefore measured on the same resamples, and the draws of their difference are the differences of
their draws.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mfcli.evaluation.user_sums import UserSums
from mfcli.storage import each, one_blas_thread, room
from mfcli.types import Doubles, Progress

LEVEL = 0.95

_BATCH = 16  # resamples whose totals are computed together
_STORED_BATCH = 128  # the same if the sums have to be read from temporary space
_SHARE = 4  # of the memory that is left, draws take at most one part in this number
_USERS = 1 << 15  # users whose sums are added at a time
_MANY = 1 << 28  # draws for which compiled code is worth the time to load it

Interval: TypeAlias = tuple[float, float]
"""The ends of a confidence interval."""


@dataclass(frozen=True)
class Bootstrap:
    """How users are resampled.

    Attributes
    ----------
    resamples : int
    seed : int
    threads : int
        The result does not depend on it.
    compiled : bool
        Draw with compiled code, which is faster once the compiler is loaded. The result does not
        depend on it.
    on_progress : callable
        Called with the number of resamples drawn and the total.
    """

    resamples: int
    seed: int
    threads: int = 1
    compiled: bool = False
    on_progress: Progress = lambda done, total: None

    def totals(self, sums: UserSums) -> Doubles:
        """Add up the sums of the users in each resample.

        Parameters
        ----------
        sums : UserSums
            Of n users; set to whole multiples of a unit of each sum.

        Returns
        -------
        float64 array, shape (sums, resamples)
            Totals over n users drawn with replacement. Shape (sums, 0) if there are fewer than two
            users, because the variation between users is then unknown.
        """
        totals = np.zeros((len(sums.names), self.resamples if sums.users > 1 else 0))
        units = np.array([_set_in_units(sums, name) for name in sums.names])
        size = self._batch(sums)
        finished = itertools.count(1)  # `next` is atomic

        def draw(batch: int) -> None:
            numbers = range(totals.shape[1])[batch * size : (batch + 1) * size]
            # More than 255 times is impossible in practice.
            times = np.empty((len(numbers), sums.users), np.uint8)
            for number, row in zip(numbers, times, strict=True):
                row[:] = self._times(number, sums.users)
                self.on_progress(next(finished), self.resamples)
            # Only how often each user is drawn matters: a product gives all sums of the batch.
            for start in range(0, sums.users, _USERS):
                some = times[:, start : start + _USERS].astype(np.float64)
                totals[:, numbers.start : numbers.stop] += (
                    sums.block(start, start + _USERS) @ some.T
                )

        with one_blas_thread():
            each(draw, -(-totals.shape[1] // size), self.threads)
        totals *= units[:, None]
        return totals

    def _batch(self, sums: UserSums) -> int:
        """Return how many resamples are drawn together, which does not change the totals."""
        fitting = room() // max(_SHARE * self.threads * sums.users, 1)
        return max(min(fitting, _STORED_BATCH if sums.is_stored else _BATCH), 1)

    def _times(self, number: int, count: int) -> NDArray[Any]:
        """Return how often each user is drawn in a resample."""
        # A generator for each resample, so that resamples can be drawn in any order.
        generator = np.random.default_rng([self.seed, number])
        if self.compiled or count * self.resamples > _MANY:
            from mfcli.evaluation.compiled_draws import times_drawn  # loads the compiler

            return times_drawn(generator, count)
        return np.bincount(generator.integers(0, count, count, dtype=np.int32), minlength=count)


def _set_in_units(sums: UserSums, name: str) -> float:
    """Set a sum to whole multiples of a unit, and return the unit.

    Totals of resamples are below 2^53 units, so they are exact in float64: they have the same bits
    in any order, and BLAS may choose one. The unit is a power of 2, far below any reported digit.
    """
    row = sums.get(name)
    magnitudes = np.abs(row)
    largest, total = magnitudes.max(initial=0), magnitudes.sum()
    # By Bernstein's inequality, a resample exceeds the second bound with a probability below 1e-40.
    largest = np.minimum(len(row) * largest, 2 * total + 256 * largest)
    unit = float(np.ldexp(1.0, np.maximum(np.frexp(largest)[1] - 53, -1022)))
    sums.set(name, np.rint(np.divide(row, unit, out=magnitudes), out=magnitudes))
    return unit


@dataclass(frozen=True)
class Measured:
    """Measures, with their values in each resample of the users.

    Attributes
    ----------
    values : dict of float or None
        By the name of the measure; None if it is undefined.
    draws : dict of float64 arrays, shape (resamples,)
        By the name of the measure. Measures that cannot be resampled are missing.
    """

    values: dict[str, float | None]
    draws: dict[str, Doubles]


def interval(draws: Doubles) -> Interval | None:
    """Return the two percentiles that enclose the central `LEVEL` of the draws.

    None if there are no draws, or some are undefined.
    """
    if not len(draws) or not np.isfinite(draws).all():
        return None
    # The percentile interval: no assumption about the shape of the distribution
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def interval_text(ends: Interval | None, form: str = ".4f") -> str:
    """Format an interval; "-" if there is none."""
    form = form.replace(".", "z.")  # -0.00001 is 0.0000
    return "-" if ends is None else f"{ends[0]:{form}} to {ends[1]:{form}}"


def intervals(draws: Mapping[str, Doubles]) -> dict[str, Interval | None]:
    """Return the interval of each measure."""
    return {name: interval(values) for name, values in draws.items()}
