"""The prior of the rows of one side: a Gaussian distribution whose parameters are drawn as well."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mfcli.training.normal_equations.products import gram, sum_of_rows
from mfcli.types import Doubles, Floats

_PRIOR_ROWS = 2.0  # number of rows that the prior of the mean counts for: beta_0


class Prior(NamedTuple):
    """A Gaussian distribution of rows.

    Attributes
    ----------
    precision : float64 array, shape (width, width)
        L; the identity for lanes that are padding.
    mean : float64 array, shape (width,)
        m; zero for lanes that are padding.
    """

    precision: Doubles
    mean: Doubles


def draw_prior(rows: Floats, n: int, d: int, rng: np.random.Generator, threads: int = 1) -> Prior:
    """Draw the precision and the mean of the Gaussian distribution of rows.

    The prior of both is Normal-Wishart: the mean is 0 and counts for two rows, with d degrees of
    freedom and the identity as scale (Salakhutdinov and Mnih, ICML 2008, equation 14).

    Parameters
    ----------
    rows : float32 array, shape (all, width)
    n : int
        Number of rows that count; the others are zero.
    d : int
        Number of lanes before the padding.
    rng : Generator
    threads : int
        Does not change the result.
    """
    mean = sum_of_rows(rows, threads)[:d] / n
    # In equation 14: beta_0 = 2, mu_0 = 0, nu_0 = d and W_0 = I. With N rows of mean u and sum of
    # outer products N (S + u u^T), the posterior has
    # W*^-1 = I + N S + beta_0 N / (beta_0 + N) u u^T,   nu* = d + N,
    # mu* = N u / (beta_0 + N),   precision of the mean = (beta_0 + N) L
    # and N S + beta_0 N / (beta_0 + N) u u^T = N (S + u u^T) - N^2 / (beta_0 + N) u u^T.
    centering = n * n / (_PRIOR_ROWS + n) * np.outer(mean, mean)
    scatter = np.eye(d) + gram(rows, threads)[:d, :d] - centering
    precision = _wishart(scatter, d + n, rng)
    # If A = U^T U, then U^-1 e has the covariance U^-1 U^-T = A^-1.
    upper = np.linalg.cholesky((_PRIOR_ROWS + n) * precision).T
    drawn = Prior(np.eye(rows.shape[1]), np.zeros(rows.shape[1]))
    drawn.precision[:d, :d] = precision
    drawn.mean[:d] = n * mean / (_PRIOR_ROWS + n) + np.linalg.solve(upper, rng.standard_normal(d))
    return drawn


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
