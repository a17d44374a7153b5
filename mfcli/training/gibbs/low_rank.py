"""The best factorization of low rank of a sum of factorizations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mfcli.storage import each
from mfcli.training.gibbs.kernels import sampling_kernels

Doubles = NDArray[np.float64]

_ROWS = 1 << 14  # of one task


def truncated(p: Doubles, q: Doubles, rank: int, threads: int) -> tuple[Doubles, Doubles]:
    """Return the factors of the matrix of a rank that is nearest to ``p q^T``.

    With the eigenvectors of both Gram matrices, ``p = A S V^T`` and ``q = B T W^T``, A and B having
    orthonormal columns. The singular value decomposition of the small ``S V^T W T`` is, but for A
    and B, that of ``p q^T``, and what is best of a rank is its beginning (C. Eckart and G. Young,
    "The approximation of one matrix by another of lower rank", Psychometrika 1, 1936).

    Parameters
    ----------
    p, q : float64 arrays, shapes (n, width) and (m, width)
    rank : int
        At most `width`.
    threads : int
        Do not change the result.

    Returns
    -------
    p, q : float64 arrays, shapes (n, rank) and (m, rank)
        Columns in descending order of their singular values, which are shared out evenly.
    """
    (s, v), (t, w) = _spectrum(gram(p, threads)), _spectrum(gram(q, threads))
    left, values, right = np.linalg.svd((s[:, None] * (v.T @ w)) * t)
    share = np.sqrt(values[:rank])
    to_p = (v * _inverse(s)) @ left[:, :rank] * share
    to_q = (w * _inverse(t)) @ right[:rank].T * share
    return multiplied(p, to_p, threads), multiplied(q, to_q, threads)


def _spectrum(products: Doubles) -> tuple[Doubles, Doubles]:
    """Return the singular values and the right singular vectors that belong to a Gram matrix."""
    values, vectors = np.linalg.eigh(products)
    return np.sqrt(np.maximum(values, 0.0)), vectors


def _inverse(values: Doubles) -> Doubles:
    """Return the inverse of singular values, and zero for those that are zero but for rounding."""
    least = 1e-7 * values.max(initial=0.0)  # the square root of rounding: they come from squares
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > least)


def gram(rows: Doubles, threads: int) -> Doubles:
    """Return ``rows^T rows``, shape (width, width), the same bits with any number of threads."""
    tasks = -(-len(rows) // _ROWS)
    parts = np.zeros((tasks, rows.shape[1], rows.shape[1]))

    def task(number: int) -> None:
        last = min((number + 1) * _ROWS, len(rows))
        sampling_kernels().gram(number * _ROWS, last, rows, parts[number])

    each(task, tasks, threads)
    total: Doubles = parts.sum(axis=0)
    return total


def multiplied(rows: Doubles, matrix: Doubles, threads: int) -> Doubles:
    """Return ``rows @ matrix``, the same bits with any number of threads."""
    out, matrix = np.empty((len(rows), matrix.shape[1])), np.ascontiguousarray(matrix)

    def task(number: int) -> None:
        last = min((number + 1) * _ROWS, len(rows))
        sampling_kernels().multiply(number * _ROWS, last, rows, matrix, out)

    each(task, -(-len(rows) // _ROWS), threads)
    return out
