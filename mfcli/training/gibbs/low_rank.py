"""The best approximation of a product of two tall matrices by one of lower rank."""

from __future__ import annotations

import numpy as np

from mfcli.training.gibbs.products import gram, multiplied
from mfcli.types import Doubles

_ROUNDING = 1e-7  # square root of the relative error of a Gram matrix


def truncated(p: Doubles, q: Doubles, rank: int, threads: int) -> tuple[Doubles, Doubles]:
    """Return the factors of the matrix of a given rank that is closest to ``p q^T``.

    With the eigenvectors V and W of the Gram matrices, ``p = A S V^T`` and ``q = B T W^T``, where A
    and B have orthonormal columns. If ``X D Y^T`` is the singular value decomposition of the small
    matrix ``S V^T W T``, that of ``p q^T`` is ``(A X) D (B Y)^T``. Its first singular values give
    the best approximation (C. Eckart and G. Young, "The approximation of one matrix by another of
    lower rank", Psychometrika 1, 1936).

    Parameters
    ----------
    p, q : float64 arrays, shapes (n, width) and (m, width)
    rank : int
        At most `width`.
    threads : int
        Does not change the result.

    Returns
    -------
    p, q : float64 arrays, shapes (n, rank) and (m, rank)
        Columns in descending order of their singular values; each gets the square root of the
        value.
    """
    # Only Gram matrices of shape (width, width) are decomposed, never the tall matrices.
    (s, v), (t, w) = _spectrum(gram(p, threads)), _spectrum(gram(q, threads))
    # S V^T W T
    left, values, right = np.linalg.svd((s[:, None] * (v.T @ w)) * t)
    # Both sides get the root of a singular value, so neither is much larger than the other.
    roots = np.sqrt(values[:rank])
    to_p = (v * _inverse(s)) @ left[:, :rank] * roots  # A = p V S^-1
    to_q = (w * _inverse(t)) @ right[:rank].T * roots
    return multiplied(p, to_p, threads), multiplied(q, to_q, threads)


def _spectrum(products: Doubles) -> tuple[Doubles, Doubles]:
    """Return the singular values and right singular vectors of a matrix from its Gram matrix."""
    values, vectors = np.linalg.eigh(products)
    # Rounding can make the smallest eigenvalues negative.
    return np.sqrt(np.maximum(values, 0.0)), vectors


def _inverse(values: Doubles) -> Doubles:
    """Return the inverses of singular values, or zero where they are zero up to rounding."""
    # Directions below this are rounding errors of the Gram matrix; their inverses would be huge.
    least = _ROUNDING * values.max(initial=0.0)
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > least)
