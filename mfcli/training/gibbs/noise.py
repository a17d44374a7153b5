"""The noise of the ratings: some users are harder to predict than others.

The precision of a rating of user u is ``a w_u``. The weights ``w_u`` have a Gamma prior of mean 1
with f degrees of freedom, so that errors have Student's t-distribution, as in B. Lakshminarayanan
et al., "Robust Bayesian matrix factorisation", AISTATS 2011; a and f are drawn, too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

_PRIOR = 1.0  # shape and rate, doubled, of the prior of the precision
_GRID = np.geomspace(1.0, 1000.0, 61)  # degrees of freedom to draw from, each as likely
_LOG_GAMMAS = np.array([math.lgamma(half) for half in _GRID / 2])


class Noise:
    """Precisions of the ratings of each user.

    Parameters
    ----------
    counts : int64 array, shape (n_users,)
        Ratings of each user.
    of_users : bool
        Whether each has a weight of its own; without, all weights stay 1.
    """

    def __init__(self, counts: NDArray[np.int64], of_users: bool) -> None:
        self._counts, self._of_users = counts, of_users
        self.precision, self.freedom = np.ones(1), np.full(1, 10.0)
        self.weights = np.ones(len(counts))

    def draw(self, squares: Doubles, rng: np.random.Generator) -> None:
        """Draw all anew, given the sum of squared errors of each user."""
        if self._of_users:
            half, shape = self.precision[0] * squares / 2, (self.freedom[0] + self._counts) / 2
            self.weights[:] = rng.gamma(shape) / (self.freedom[0] / 2 + half)
            self.freedom[0] = draw_freedom(self.weights[self._counts > 0], rng)
        shape, rate = _PRIOR + self._counts.sum(), _PRIOR + float((self.weights * squares).sum())
        self.precision[0] = rng.gamma(shape / 2, 2 / rate)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that is drawn, by name; not copied."""
        return {"alpha": self.precision, "weights": self.weights, "freedom": self.freedom}


def draw_freedom(weights: Doubles, rng: np.random.Generator) -> float:
    """Draw the degrees of freedom f of weights that come from Gamma(f / 2, rate f / 2).

    With h = f / 2, the logarithm of their density is the sum of
    ``h log h - log gamma(h) + (h - 1) log w - h w``.
    """
    h = _GRID / 2
    of_each = h * np.log(h) - _LOG_GAMMAS
    logs = len(weights) * of_each + (h - 1) * np.log(weights).sum() - h * weights.sum()
    chances = np.exp(logs - logs.max())
    return float(rng.choice(_GRID, p=chances / chances.sum()))
