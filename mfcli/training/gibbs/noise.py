"""The noise of the ratings: some users are harder to predict than others.

The precision of a rating of user u is ``a w_u``. The weights w_u have a Gamma prior of mean 1 with
f degrees of freedom, so that errors have Student's t-distribution, as in B. Lakshminarayanan et
al., "Robust Bayesian matrix factorisation", AISTATS 2011. a and f are drawn as well.
"""

from __future__ import annotations

import math

import numpy as np

from mfcli.training.engine import State
from mfcli.types import Counts, Doubles

_PRIOR = 1.0  # twice the shape and twice the rate of the prior of the precision
_GRID = np.geomspace(1.0, 1000.0, 61)  # degrees of freedom to draw from, equally likely a priori
_LOG_GAMMAS = np.array([math.lgamma(half) for half in _GRID / 2])
_FREEDOM = 10.0  # initial degrees of freedom


class UserNoise:
    """The precision of the ratings of each user.

    Parameters
    ----------
    counts : int64 array, shape (n_users,)
        Number of ratings of each user.
    per_user : bool
        Whether users differ; if not, all weights stay 1.

    Attributes
    ----------
    precision : float64 array, shape (1,)
        a
    weights : float64 array, shape (n_users,)
        w_u
    freedom : float64 array, shape (1,)
        f
    """

    def __init__(self, counts: Counts, per_user: bool) -> None:
        self._counts, self._per_user = counts, per_user
        self.precision, self.freedom = np.ones(1), np.full(1, _FREEDOM)
        self.weights = np.ones(len(counts))

    def draw(self, squares: Doubles, rng: np.random.Generator) -> None:
        """Draw weights, degrees of freedom and precision, given each user's sum of squared errors.

        The posterior of a Gamma prior is Gamma again: half of the number of ratings is added to the
        shape, half of the weighted sum of squares to the rate.
        """
        if self._per_user:
            # w_u ~ Gamma(shape (f + n_u) / 2, rate (f + a sum e^2) / 2), the sum over the user's
            # errors
            half, shape = self.precision[0] * squares / 2, (self.freedom[0] + self._counts) / 2
            self.weights[:] = rng.gamma(shape) / (self.freedom[0] / 2 + half)
            # The weights of users without ratings are draws from the prior, which tell nothing
            # about f.
            self.freedom[0] = draw_freedom(self.weights[self._counts > 0], rng)
        # a ~ Gamma(shape (1 + n) / 2, rate (1 + sum_u w_u sum e^2) / 2); NumPy takes 1 / rate
        shape, rate = _PRIOR + self._counts.sum(), _PRIOR + float((self.weights * squares).sum())
        self.precision[0] = rng.gamma(shape / 2, 2 / rate)

    def state(self) -> State:
        """Return all arrays that are drawn, by name; not copied."""
        return {"alpha": self.precision, "weights": self.weights, "freedom": self.freedom}


def draw_freedom(weights: Doubles, rng: np.random.Generator) -> float:
    """Draw the degrees of freedom f of weights from Gamma(shape f / 2, rate f / 2).

    With h = f / 2, the logarithm of their density is the sum of
    ``h log h - log gamma(h) + (h - 1) log w - h w``.
    """
    h = _GRID / 2
    per_weight = h * np.log(h) - _LOG_GAMMAS
    logs = len(weights) * per_weight + (h - 1) * np.log(weights).sum() - h * weights.sum()
    # Without the subtraction, the exponential would overflow.
    chances = np.exp(logs - logs.max())
    return float(rng.choice(_GRID, p=chances / chances.sum()))
