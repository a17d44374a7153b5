"""Compiled kernels of Gibbs sampling: the rows of one side, given those of the other.

A row is ``x_u = (b_u, p_u)``, one of the other side ``y_i = (b_i, q_i)``.  Let ``z_i = (1, q_i)``.
Given the other side, the noise precision ``alpha`` and a Gaussian prior of precision ``L`` and mean
``m``, the ratings ``r_ui = mu + b_i + x_u . z_i + noise`` of user u make x_u Gaussian, with::

    precision  P = L + alpha sum_i z_i z_i^T
    mean       P^-1 (L m + alpha sum_i (r_ui - mu - b_i) z_i)

With ``P = U^T U`` and standard normal ``e``, ``U^-1 (U^-T h + e)`` is such a row, h the bracket
above (R. Salakhutdinov and A. Mnih, "Bayesian probabilistic matrix factorization using Markov chain
Monte Carlo", ICML 2008, equations 11 to 13, with the biases as one more factor).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.kernels import compiled, inlined

Doubles = NDArray[np.float64]

_TOGETHER = 4  # ratings added to the precision at once: it is read and written less often


class Side(NamedTuple):
    """The ratings of one side, row by row.

    Attributes
    ----------
    starts : int64 array, shape (n + 1,)
        Row u has the ratings ``starts[u]`` to ``starts[u + 1] - 1``.
    others : int32 array, shape (ratings,)
        Rows of the other side.
    ratings : float32 array, shape (ratings,)
    """

    starts: NDArray[np.int64]
    others: NDArray[np.int32]
    ratings: NDArray[np.float32]


class SamplingKernels(NamedTuple):
    """Compiled functions; all release the GIL and do the rows ``first`` to ``last - 1``.

    Attributes
    ----------
    sort : callable
        ``(rows, others, ratings, places, sorted_others, sorted_ratings)``: put the ratings of each
        row one after another, from ``places[row]`` on, which moves to their end.
    draw : callable
        ``(first, last, starts, others, ratings, mu, mine, theirs, alpha, precision, shift,
        normals)``: draw rows of `mine` (float64, shape (n, k + 1)) that have ratings; `shift` is
        ``L m``, `normals` has the shape of `mine`.
    square_errors : callable
        ``(first, last, starts, others, ratings, mu, mine, theirs, sums)``: set ``sums[row]`` to the
        sum of the squared errors of its ratings.
    gram : callable
        ``(first, last, rows, out)``: set `out` to the sum of ``x x^T`` over rows x.
    multiply : callable
        ``(first, last, rows, matrix, out)``: set rows of `out` to those of `rows` times `matrix`.
    """

    sort: Callable[..., None]
    draw: Callable[..., None]
    square_errors: Callable[..., None]
    gram: Callable[..., None]
    multiply: Callable[..., None]


def _sort(
    rows: Any, others: Any, ratings: Any, places: Any, sorted_others: Any, sorted_ratings: Any
) -> None:
    for n in range(len(rows)):
        place = places[rows[n]]
        places[rows[n]] = place + 1
        sorted_others[place], sorted_ratings[place] = others[n], ratings[n]


@inlined
def _sum_up(
    start: Any, stop: Any, others: Any, ratings: Any, mu: Any, theirs: Any, p: Any, h: Any, z: Any
) -> None:
    """Set the upper half of `p` to the sum of ``z z^T``, and `h` to that of the targets times z."""
    d = len(h)
    p[:], h[:] = 0.0, 0.0
    for some in range(start, stop, _TOGETHER):
        for n in range(_TOGETHER):
            if some + n < stop:
                other = others[some + n]
                target = np.float64(ratings[some + n]) - mu - theirs[other, 0]
                z[n, 0] = 1.0
                for f in range(1, d):
                    z[n, f] = theirs[other, f]
                for f in range(d):
                    h[f] += target * z[n, f]
            else:
                z[n] = 0.0
        for f in range(d):
            a, b, c, e = z[0, f], z[1, f], z[2, f], z[3, f]
            for g in range(f, d):
                p[f, g] += (a * z[0, g] + b * z[1, g]) + (c * z[2, g] + e * z[3, g])


@inlined
def _factor(p: Any, h: Any) -> None:
    """Replace P by the upper U with ``P = U^T U``, and h by ``U^-T h``."""
    d = len(h)
    for f in range(d):
        pivot = 1.0 / math.sqrt(p[f, f])
        for g in range(f, d):
            p[f, g] *= pivot
        h[f] *= pivot
        for i in range(f + 1, d):
            share = p[f, i]
            h[i] -= share * h[f]
            for g in range(i, d):
                p[i, g] -= share * p[f, g]


@inlined
def _solve(p: Any, h: Any, normal: Any, row: Any) -> None:
    """Set a row to ``U^-1 (h + normal)``."""
    d = len(h)
    for f in range(d - 1, -1, -1):
        total = h[f] + normal[f]
        for g in range(f + 1, d):
            total -= p[f, g] * row[g]
        row[f] = total / p[f, f]


def _draw(
    first: Any, last: Any, starts: Any, others: Any, ratings: Any, mu: Any, mine: Any, theirs: Any,
    alpha: Any, precision: Any, shift: Any, normals: Any,
) -> None:  # fmt: skip
    d = mine.shape[1]
    p, h, z = np.empty((d, d)), np.empty(d), np.empty((_TOGETHER, d))
    for row in range(first, last):
        start, stop = starts[row], starts[row + 1]
        if start == stop:
            continue
        _sum_up(start, stop, others, ratings, mu, theirs, p, h, z)
        for f in range(d):
            h[f] = shift[f] + alpha * h[f]
            for g in range(f, d):
                p[f, g] = precision[f, g] + alpha * p[f, g]
        _factor(p, h)
        _solve(p, h, normals[row], mine[row])


def _square_errors(
    first: Any, last: Any, starts: Any, others: Any, ratings: Any, mu: Any, mine: Any, theirs: Any,
    sums: Any,
) -> None:  # fmt: skip
    d = mine.shape[1]
    for row in range(first, last):
        total = 0.0
        for n in range(starts[row], starts[row + 1]):
            other = others[n]
            error = mine[row, 0] + theirs[other, 0] + mu - np.float64(ratings[n])
            for f in range(1, d):
                error += mine[row, f] * theirs[other, f]
            total += error * error
        sums[row] = total


def _gram(first: Any, last: Any, rows: Any, out: Any) -> None:
    """Products of rows in a fixed order, which a BLAS does not promise."""
    out[:] = 0.0
    for row in range(first, last):
        for f in range(rows.shape[1]):
            share = rows[row, f]
            for g in range(rows.shape[1]):
                out[f, g] += share * rows[row, g]


def _multiply(first: Any, last: Any, rows: Any, matrix: Any, out: Any) -> None:
    for row in range(first, last):
        out[row] = 0.0
        for f in range(matrix.shape[0]):
            share = rows[row, f]
            for g in range(matrix.shape[1]):
                out[row, g] += share * matrix[f, g]


_INT = types.intp
_FLOAT = types.float64
_LONGS = types.Array(types.int64, 1, "C")
_INTS = types.Array(types.int32, 1, "C")
_RATINGS = types.Array(types.float32, 1, "C")
_COLUMN = types.Array(types.int32, 1, "C", readonly=True)
_VALUES = types.Array(types.float32, 1, "C", readonly=True)
_DOUBLES = types.Array(types.float64, 1, "C")
_MATRIX = types.Array(types.float64, 2, "C")


@functools.cache
def sampling_kernels() -> SamplingKernels:
    """Compile the kernels, or load them from the cache on disk."""
    side = _LONGS, _INTS, _RATINGS, _FLOAT, _MATRIX, _MATRIX
    return SamplingKernels(
        compiled(_sort, _COLUMN, _COLUMN, _VALUES, _LONGS, _INTS, _RATINGS),
        compiled(_draw, _INT, _INT, *side, _FLOAT, _MATRIX, _DOUBLES, _MATRIX),
        compiled(_square_errors, _INT, _INT, *side, _DOUBLES),
        compiled(_gram, _INT, _INT, _MATRIX, _MATRIX),
        compiled(_multiply, _INT, _INT, _MATRIX, _MATRIX, _MATRIX),
    )


def make_side(
    rows: NDArray[np.int32], others: NDArray[np.int32], ratings: NDArray[np.float32], count: int
) -> Side:
    """Sort ratings by the rows of one side, of which there are `count`; a row's stay in order."""
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=count), out=starts[1:])
    side = Side(starts, np.empty(len(rows), np.int32), np.empty(len(rows), np.float32))
    sampling_kernels().sort(rows, others, ratings, starts[:-1].copy(), side.others, side.ratings)
    return side
