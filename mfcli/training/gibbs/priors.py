"""The priors of rows: a Gaussian whose mean and covariance are drawn, too.

A row of user u comes from ``N(m + sum_i y_i, L^-1)``, where the sum is over the items i that u has
rated: which items these are tells something about u, whatever the ratings. An item's row has a sum
over the users that have rated it. Such priors are in R. Salakhutdinov and A. Mnih, "Probabilistic
matrix factorization", NIPS 2007, section 4; Y. Koren, "Factorization meets the neighborhood", KDD
2008, calls it implicit feedback (SVD++); J. Simm et al., "Macau: scalable Bayesian multi-relational
factorization with side information using MCMC", MLSP 2017, sample from such a model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.storage import each
from mfcli.training.gibbs.kernels import LANES, Doubles, sampling_kernels
from mfcli.training.gibbs.low_rank import gram, multiplied
from mfcli.training.gibbs.sides import Half

_PRIOR_ROWS = 2.0  # beta_0: rows of the mean that the prior stands for
_STRENGTH = 1000.0  # precision of an effect: the mean of its prior, and where it starts


class Effects:
    """What each row of the other side adds to the prior means of the rows that it has rated.

    A column f of the effects has a Gaussian prior of precision l_f, which has a Gamma prior of mean
    1000 and one degree of freedom.

    Parameters
    ----------
    own, other : Half
        Of the rows, and of the side that has the effects.
    width : int
        Values of a row, k + 1.

    Attributes
    ----------
    effects : float64 array, shape (m, width)
    sums : float64 array, shape (n, width)
        What the effects add to the prior mean of each row.
    """

    def __init__(self, own: Half, other: Half, width: int) -> None:
        self._threads, self._own_seen, self._other = own.threads, own.seen, other
        self.effects = np.zeros((len(other.counts), width))
        self.strengths = np.full(width, _STRENGTH)
        self.sums = np.zeros((len(own.counts), width))

    def draw(self, rows: Doubles, precision: Doubles, rng: np.random.Generator) -> None:
        """Draw the effects and the precisions of their priors anew, given the rows.

        With S the diagonal matrix of the l_f and ``S^-1/2 L S^-1/2 = V D V^T``, effects and
        residuals times ``S^1/2 V`` have priors of precision I and D, so that columns are apart.

        Parameters
        ----------
        rows : float64 array, shape (n, width)
            Less the mean m.
        precision : float64 array, shape (width, width)
            L.
        rng : Generator
        """
        normals, roots = rng.standard_normal(self.effects.shape), np.sqrt(self.strengths)
        precisions, vectors = np.linalg.eigh(precision / roots[:, None] / roots)
        there, back = roots[:, None] * vectors, vectors.T / roots
        effects = multiplied(self.effects, there, self._threads)
        residuals = multiplied(rows - self.sums, there, self._threads)
        self._draw_columns(effects, residuals, precisions, normals)
        self.effects[:] = multiplied(effects, back, self._threads)
        self.sums[:] = rows - multiplied(residuals, back, self._threads)
        self.sums[~self._own_seen] = 0.0
        shape = (1 + self._other.seen.sum()) / 2
        rates = (1 / _STRENGTH + np.square(self.effects).sum(axis=0)) / 2
        self.strengths[:] = rng.gamma(shape, size=len(rates)) / rates

    def _draw_columns(
        self, effects: Doubles, residuals: Doubles, precisions: Doubles, normals: Doubles
    ) -> None:
        """Draw effects in place, and take them out of the residuals, some columns to a task."""
        width = effects.shape[1]
        starts, others, _ = self._other.side

        def task(number: int) -> None:
            columns = slice(number * LANES, min((number + 1) * LANES, width))
            drawn, left, *given = (
                _lanes(array[..., columns]) for array in (effects, residuals, precisions, normals)
            )
            sampling_kernels().draw_effects(starts, others, drawn, left, *given)
            for array, made in ((effects, drawn), (residuals, left)):
                array[:, columns] = made[:, : columns.stop - columns.start]

        each(task, -(-width // LANES), self._threads)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that is drawn, by name; not copied."""
        return {"effects": self.effects, "strengths": self.strengths, "sums": self.sums}


def _lanes(columns: Doubles) -> Doubles:
    """Return a copy of columns, filled up with zeros to as many as the kernel takes."""
    out = np.zeros((*columns.shape[:-1], LANES))
    out[..., : columns.shape[-1]] = columns
    return out


def draw_prior(
    rows: Doubles, rng: np.random.Generator, threads: int = 1
) -> tuple[Doubles, Doubles]:
    """Draw the precision and the mean of a Gaussian that rows may have come from.

    The prior of both is Normal-Wishart with mean 0 standing for two rows, d degrees of freedom and
    the identity as scale (Salakhutdinov and Mnih, equation 14).

    Parameters
    ----------
    rows : float64 array, shape (n, d)
    rng : Generator
    threads : int
        Do not change the result.

    Returns
    -------
    precision : float64 array, shape (d, d)
    mean : float64 array, shape (d,)
    """
    n, d = rows.shape
    mean = rows.mean(axis=0)
    scatter = gram(rows - mean, threads)
    scatter += _PRIOR_ROWS * n / (_PRIOR_ROWS + n) * np.outer(mean, mean) + np.eye(d)
    precision = _wishart(scatter, d + n, rng)
    upper = np.linalg.cholesky((_PRIOR_ROWS + n) * precision).T
    drawn = n * mean / (_PRIOR_ROWS + n) + np.linalg.solve(upper, rng.standard_normal(d))
    return precision, drawn


def _wishart(inverse_scale: Doubles, freedom: int, rng: np.random.Generator) -> Doubles:
    """Draw from a Wishart distribution (M. S. Bartlett's decomposition, 1933)."""
    d = len(inverse_scale)
    root = np.linalg.inv(np.linalg.cholesky(inverse_scale)).T  # its product with root^T: the scale
    lower = np.tril(rng.standard_normal((d, d)), -1)
    lower[np.diag_indices(d)] = np.sqrt(rng.chisquare(freedom - np.arange(d)))
    factor = root @ lower
    drawn: Doubles = factor @ factor.T
    return drawn
