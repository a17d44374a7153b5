"""The best approximation of a product of two tall matrices by one of lower rank."""

from __future__ import annotations

from functools import partial

import numpy as np

from mfcli.aligned import aligned
from mfcli.training.normal_equations.products import add_product, gram, in_pieces
from mfcli.types import Doubles, Floats

_ROUNDING = 3e-4  # square root of the relative error of a Gram matrix


def truncate(p: Floats, q: Floats, rank: int, width: int, threads: int) -> None:
    """Replace the first columns of p and q by the closest factors of ``p q^T`` of a given rank.

    With the eigenvectors V and W of the Gram matrices, ``p = A S V^T`` and ``q = B T W^T``, where A
    and B have orthonormal columns. If ``X D Y^T`` is the singular value decomposition of the small
    matrix ``S V^T W T``, that of ``p q^T`` is ``(A X) D (B Y)^T``. Its first singular values give
    the best approximation (C. Eckart and G. Young, "The approximation of one matrix by another of
    lower rank", Psychometrika 1, 1936).

    The new columns are in descending order of their singular values; each gets the square root of
    its value.

    Parameters
    ----------
    p, q : float32 arrays, shapes (n, lanes) and (m, lanes)
        See `products.py` for their widths. They begin with a cache line.
    rank : int
        At most `lanes`.
    width : int
        Number of columns that are replaced, at least `rank`; those after `rank` become zero.
    threads : int
        Does not change the result.
    """
    # Only Gram matrices of shape (lanes, lanes) are decomposed, never the tall matrices.
    (s, v), (t, w) = _spectrum(gram(p, threads)), _spectrum(gram(q, threads))
    # S V^T W T
    left, values, right = np.linalg.svd((s[:, None] * (v.T @ w)) * t)
    # Both sides get the root of a singular value, so neither is much larger than the other.
    roots = np.sqrt(values[:rank])
    to_p, to_q = np.zeros((2, len(v), width))
    to_p[:, :rank] = (v * _inverse(s)) @ left[:, :rank] * roots  # A = p V S^-1
    to_q[:, :rank] = (w * _inverse(t)) @ right[:rank].T * roots
    for rows, factor in ((p, to_p), (q, to_q)):
        in_pieces(partial(_replace, rows, factor), len(rows), threads)


def _replace(rows: Floats, factor: Doubles, some: slice) -> None:
    product = aligned((some.stop - some.start, factor.shape[1]))
    add_product(rows[some], factor, product)
    rows[some, : factor.shape[1]] = product


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
