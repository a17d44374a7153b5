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
from typing import TypeAlias

import numpy as np

from mfcli.storage import each
from mfcli.types import Doubles, Progress

LEVEL = 0.95

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
    on_progress : callable
        Called with the number of resamples drawn and the total.
    """

    resamples: int
    seed: int
    threads: int = 1
    on_progress: Progress = lambda done, total: None

    def totals(self, rows: Doubles) -> Doubles:
        """Sum the contributions of the users in each resample.

        Parameters
        ----------
        rows : float64 array, shape (s, n_users)
            The contributions of each user to s sums.

        Returns
        -------
        float64 array, shape (s, resamples)
            Sums over n_users users drawn with replacement. Shape (s, 0) if there are fewer than two
            users, because the variation between users is then unknown.
        """
        count = rows.shape[1]
        totals = np.empty((len(rows), self.resamples if count > 1 else 0))
        finished = itertools.count(1)  # `next` is atomic

        def draw(number: int) -> None:
            # A generator for each resample, so that resamples can be drawn in any order.
            drawn = np.random.default_rng([self.seed, number]).integers(
                0, count, count, dtype=np.int32
            )
            # Only how often each user is drawn matters: one product gives all sums of the resample.
            times = np.bincount(drawn, minlength=count).astype(np.float64)
            # einsum adds in a fixed order; the sums of BLAS depend on the number of threads.
            totals[:, number] = np.einsum("su,u->s", rows, times)
            self.on_progress(next(finished), self.resamples)

        each(draw, totals.shape[1], self.threads)
        return totals


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
    return "-" if ends is None else f"{ends[0]:{form}} to {ends[1]:{form}}"


def intervals(draws: Mapping[str, Doubles]) -> dict[str, Interval | None]:
    """Return the interval of each measure."""
    return {name: interval(values) for name, values in draws.items()}
