"""The priors of rows: a Gaussian distribution whose mean and covariance are drawn as well.

The row of user u has the prior ``N(m + sum_i y_i, L^-1)``, where the sum is over the items i that u
has rated: which items a user chose to rate says something about the user, apart from the ratings.
The row of an item has a sum over the users that rated it. Such priors are in R. Salakhutdinov and
A. Mnih, "Probabilistic matrix factorization", NIPS 2007, section 4. Y. Koren, "Factorization meets
the neighborhood", KDD 2008, calls this implicit feedback (SVD++). J. Simm et al., "Macau: scalable
Bayesian multi-relational factorization with side information using MCMC", MLSP 2017, sample from
such a model.
"""

from __future__ import annotations

import numpy as np

from mfcli.storage import each
from mfcli.training.engine import State
from mfcli.training.gibbs.kernels import LANES, draw_effects
from mfcli.training.gibbs.products import gram, multiplied
from mfcli.training.gibbs.sides import RatingsByRow
from mfcli.types import Doubles

_PRIOR_ROWS = 2.0  # number of rows that the prior of the mean counts for: beta_0
_STRENGTH = 1000.0  # precision of effects: the mean of its prior, and its initial value


class Effects:
    """What each row of the other side adds to the prior means of the rows that have rated it.

    A column f of the effects has a Gaussian prior of precision l_f, which has a Gamma prior of mean
    1000 with one degree of freedom.

    Parameters
    ----------
    mine, theirs : RatingsByRow
        By the rows that have the prior, and by the rows that have the effects.
    width : int
        Number of values of a row, k + 1.

    Attributes
    ----------
    effects : float64 array, shape (m, width)
    strengths : float64 array, shape (width,)
        The l_f.
    sums : float64 array, shape (n, width)
        Sum of the effects in the prior mean of each row.
    """

    def __init__(self, mine: RatingsByRow, theirs: RatingsByRow, width: int) -> None:
        self._threads, self._rated, self._theirs = mine.threads, mine.rated, theirs
        self.effects = np.zeros((len(theirs.counts), width))
        self.strengths = np.full(width, _STRENGTH)
        self.sums = np.zeros((len(mine.counts), width))

    def draw(self, rows: Doubles, precision: Doubles, rng: np.random.Generator) -> None:
        """Draw the effects and the precisions of their priors, given the rows.

        Let S be the diagonal matrix of the l_f, and ``S^-1/2 L S^-1/2 = V D V^T``. Multiplied by
        ``S^1/2 V``, effects have a prior of precision I and residuals one of precision D, so that
        columns are independent.

        Parameters
        ----------
        rows : float64 array, shape (n, width)
            Less the mean m.
        precision : float64 array, shape (width, width)
            L.
        rng : Generator
        """
        normals, roots = rng.standard_normal(self.effects.shape), np.sqrt(self.strengths)
        # S^-1/2 L S^-1/2 = V D V^T; row vectors y become y S^1/2 V, and back by V^T S^-1/2.
        precisions, vectors = np.linalg.eigh(precision / roots[:, None] / roots)
        there, back = roots[:, None] * vectors, vectors.T / roots
        effects = multiplied(self.effects, there, self._threads)
        residuals = multiplied(rows - self.sums, there, self._threads)
        self._draw_columns(effects, residuals, precisions, normals)
        self.effects[:] = multiplied(effects, back, self._threads)
        # The kernel has updated the residuals x - m - sum_i y_i, so the sums need no other pass.
        self.sums[:] = rows - multiplied(residuals, back, self._threads)
        # These rows have no effects; the products above leave rounding errors.
        self.sums[~self._rated] = 0.0
        # l_f ~ Gamma(shape (1 + m) / 2, rate (1 / 1000 + sum_i y_if^2) / 2), over m effects
        shape = (1 + self._theirs.rated.sum()) / 2
        rates = (1 / _STRENGTH + np.square(self.effects).sum(axis=0)) / 2
        self.strengths[:] = rng.gamma(shape, size=len(rates)) / rates

    def _draw_columns(
        self, effects: Doubles, residuals: Doubles, precisions: Doubles, normals: Doubles
    ) -> None:
        """Draw effects and update residuals in place, `LANES` columns per task."""
        width = effects.shape[1]
        starts, others, _ = self._theirs.arrays

        def task(number: int) -> None:
            columns = slice(number * LANES, min((number + 1) * LANES, width))
            # The kernel takes LANES columns at once, so the last task is padded.
            drawn, left, *given = (
                _padded(array[..., columns]) for array in (effects, residuals, precisions, normals)
            )
            draw_effects(starts, others, drawn, left, *given)
            for array, made in ((effects, drawn), (residuals, left)):
                array[:, columns] = made[:, : columns.stop - columns.start]

        each(task, -(-width // LANES), self._threads)

    def state(self) -> State:
        """Return all arrays that are drawn, by name; not copied."""
        return {"effects": self.effects, "strengths": self.strengths, "sums": self.sums}


def _padded(columns: Doubles) -> Doubles:
    """Return a copy of columns, padded with zeros to `LANES` columns."""
    out = np.zeros((*columns.shape[:-1], LANES))
    out[..., : columns.shape[-1]] = columns
    return out


def draw_prior(
    rows: Doubles, rng: np.random.Generator, threads: int = 1
) -> tuple[Doubles, Doubles]:
    """Draw the precision and the mean of the Gaussian distribution of rows.

    The prior of both is Normal-Wishart: the mean is 0 and counts for two rows, with d degrees of
    freedom and the identity as scale (Salakhutdinov and Mnih, ICML 2008, equation 14).

    Parameters
    ----------
    rows : float64 array, shape (n, d)
    rng : Generator
    threads : int
        Does not change the result.

    Returns
    -------
    precision : float64 array, shape (d, d)
    mean : float64 array, shape (d,)
    """
    n, d = rows.shape
    mean = rows.mean(axis=0)
    # In equation 14: beta_0 = 2, mu_0 = 0, nu_0 = d and W_0 = I. With N rows of mean u and scatter
    # N S, the posterior has
    # W*^-1 = I + N S + beta_0 N / (beta_0 + N) u u^T,   nu* = d + N,
    # mu* = N u / (beta_0 + N),   precision of the mean = (beta_0 + N) L
    scatter = gram(rows - mean, threads)
    scatter += _PRIOR_ROWS * n / (_PRIOR_ROWS + n) * np.outer(mean, mean) + np.eye(d)
    precision = _wishart(scatter, d + n, rng)
    # If A = U^T U, then U^-1 e has the covariance U^-1 U^-T = A^-1.
    upper = np.linalg.cholesky((_PRIOR_ROWS + n) * precision).T
    drawn = n * mean / (_PRIOR_ROWS + n) + np.linalg.solve(upper, rng.standard_normal(d))
    return precision, drawn


def _wishart(inverse_scale: Doubles, freedom: int, rng: np.random.Generator) -> Doubles:
    """Draw from a Wishart distribution (M. S. Bartlett's decomposition, 1933)."""
    d = len(inverse_scale)
    root = np.linalg.inv(np.linalg.cholesky(inverse_scale)).T  # root root^T is the scale
    # Let A be lower triangular with normal entries and A_ii^2 ~ chi^2(freedom - i), i from 0.
    # Then (R A) (R A)^T has the Wishart distribution with scale R R^T.
    lower = np.tril(rng.standard_normal((d, d)), -1)
    lower[np.diag_indices(d)] = np.sqrt(rng.chisquare(freedom - np.arange(d)))
    factor = root @ lower
    drawn: Doubles = factor @ factor.T
    return drawn
