"""Confidence intervals by the bootstrap over users.

Ratings of one user are alike, so users are drawn, each with all their ratings (B. Efron,
"Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7(1), 1979; for clusters,
C. A. Field and A. H. Welsh, "Bootstrapping clustered data", JRSS B 69(3), 2007). The draws depend
on the seed and the number of users only: two models measured on the same ratings are measured on
the same draws, and so the draws of their difference are the differences of their draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfcli.storage import each

LEVEL = 0.95

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Bootstrap:
    """How users are drawn.

    Attributes
    ----------
    resamples : int
    seed : int
    threads : int
        The result does not depend on it.
    """

    resamples: int
    seed: int
    threads: int = 1

    def totals(self, rows: Doubles) -> Doubles:
        """Add up what drawn users contribute.

        Parameters
        ----------
        rows : float64 array, shape (s, n_users)
            Of each user, s summands.

        Returns
        -------
        float64 array, shape (s, resamples)
            Of each resample, the sums over n_users users drawn with replacement. Empty if there are
            fewer than two users, who say nothing about others.
        """
        count = rows.shape[1]
        totals = np.empty((len(rows), self.resamples if count > 1 else 0))

        def draw(number: int) -> None:
            drawn = np.random.default_rng([self.seed, number]).integers(
                0, count, count, dtype=np.int32
            )
            times = np.bincount(drawn, minlength=count).astype(np.float64)
            totals[:, number] = np.einsum("su,u->s", rows, times)  # not BLAS: its sums vary

        each(draw, totals.shape[1], self.threads)
        return totals


def interval(draws: Doubles) -> list[float] | None:
    """Return the two percentiles that hold `LEVEL` of the draws between them.

    None if there are no draws, or some are not defined.
    """
    if not len(draws) or not np.isfinite(draws).all():
        return None
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(low), float(high)]


def intervals(draws: Mapping[str, Doubles]) -> dict[str, list[float] | None]:
    """Return the interval of each measure."""
    return {name: interval(values) for name, values in draws.items()}
