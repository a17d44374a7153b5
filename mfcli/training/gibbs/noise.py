"""The noise of the ratings: some users are harder to predict than others.

The precision of a rating of user u is ``a w_u``. The weights w_u have a Gamma prior of mean 1 with
f degrees of freedom, so that errors have Student's t-distribution, as in B. Lakshminarayanan et
al., "Robust Bayesian matrix factorisation", AISTATS 2011. a and f are drawn as well.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types

from mfcli.storage import array_type, inlined, kernel
from mfcli.training.engine import State
from mfcli.training.gibbs.normals import Turn, normal, uniform
from mfcli.training.normal_equations.products import in_pieces
from mfcli.types import Doubles

_PRIOR = 1.0  # twice the shape and twice the rate of the prior of the precision
_GRID = np.geomspace(1.0, 1000.0, 61)  # degrees of freedom to draw from, equally likely a priori
_LOG_GAMMAS = np.array([math.lgamma(half) for half in _GRID / 2])
_FREEDOM = 10.0  # initial degrees of freedom
_MOST = 1e4  # above the precision of real ratings, and safe in float32
_DOUBLES = array_type(types.float64, 1)
_ATTEMPTS = 16  # bits of a counter for the attempts of a row; a few suffice


class UserNoise:
    """The precision of the ratings of each user.

    Parameters
    ----------
    sizes : float64 array, shape (n_users,)
        Number of ratings of each user, each counted by its weight.
    per_user : bool
        Whether users differ; if not, all weights stay 1.
    threads : int
        Does not change the result.

    Attributes
    ----------
    precision : float64 array, shape (1,)
        a
    weights : float64 array, shape (n_users,)
        w_u
    freedom : float64 array, shape (1,)
        f
    """

    def __init__(self, sizes: Doubles, per_user: bool, threads: int = 1) -> None:
        self._sizes, self._per_user, self._threads = sizes, per_user, threads
        self.precision, self.freedom = np.ones(1), np.full(1, _FREEDOM)
        self.weights = np.ones(len(sizes))

    def draw(self, squares: Doubles, rng: np.random.Generator, turn: Turn) -> None:
        """Draw weights, degrees of freedom and precision, given each user's sum of squared errors.

        The posterior of a Gamma prior is Gamma again: half of the number of ratings is added to the
        shape, half of the weighted sum of squares to the rate. A rating with a weight c counts as c
        ratings in both. The weight of a user is a function of `turn` and the user's row.
        """
        if self._per_user:
            # w_u ~ Gamma(shape (f + n_u) / 2, rate (f + a sum e^2) / 2), the sum over the user's
            # errors
            half, shapes = self.precision[0] * squares / 2, (self.freedom[0] + self._sizes) / 2
            rates = self.freedom[0] / 2 + half

            def task(some: slice) -> None:
                drawn = self.weights[some]
                draw_gammas(turn.key, turn.number, some.start, shapes[some], drawn)
                drawn /= rates[some]

            in_pieces(task, len(shapes), self._threads)
            # The weights of users without ratings are draws from the prior, which tell nothing
            # about f.
            self.freedom[0] = draw_freedom(self.weights[self._sizes > 0], rng)
        # a ~ Gamma(shape (1 + n) / 2, rate (1 + sum_u w_u sum e^2) / 2); NumPy takes 1 / rate
        shape, rate = _PRIOR + self._sizes.sum(), _PRIOR + float((self.weights * squares).sum())
        self.precision[0] = rng.gamma(shape / 2, 2 / rate)

    @property
    def precisions(self) -> Doubles:
        """The precision a w_u of the ratings of each user, float64 of shape (n_users,).

        It is limited: rounding errors would make rows infinite if there were no noise at all.
        """
        return np.minimum(self.precision * self.weights, _MOST)

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


@kernel(
    array_type(types.uint32, 1),
    types.int64,
    types.int64,
    array_type(types.float64, 1),
    array_type(types.float64, 1),
)
def draw_gammas(key: Any, turn: Any, first: Any, shapes: Any, out: Any) -> None:
    """Set `out` to variates from Gamma distributions with rate 1, those of rows from `first` on.

    Rejection from a transformed normal variate (G. Marsaglia and W. W. Tsang, "A simple method for
    generating gamma variables", ACM TOMS 26(3), 2000). For a shape a below 1, a variate of shape
    ``a + 1`` is multiplied by ``u^(1 / a)``.
    """
    for n in range(len(shapes)):
        shape, counter = shapes[n], (first + n) << _ATTEMPTS
        small = shape < 1.0
        drawn = _gamma(shape + 1.0 if small else shape, counter, turn, key)
        if small:
            drawn *= uniform(counter, turn, key) ** (1.0 / shape)
        out[n] = drawn


@inlined
def _gamma(shape: Any, first: Any, turn: Any, key: Any) -> Any:
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    attempt = first
    while True:
        attempt += 2  # one counter for x, one for u; the first is that of `draw_gammas`
        x = np.float64(normal(attempt, turn, key))
        v = (1.0 + c * x) ** 3
        if v > 0.0:
            u = uniform(attempt + 1, turn, key)
            if math.log(u) < 0.5 * x * x + d - d * v + d * math.log(v):
                return d * v
