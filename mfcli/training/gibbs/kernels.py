"""Compiled kernels of Gibbs sampling: the rows of one side, given those of the other.

A row is ``x_u = (b_u, p_u)``, one of the other side ``(b_i, q_i)``.  Let ``z_i = (1, q_i)``.  Given
the other side, noise of precision ``a_u c_i`` and a Gaussian prior of precision ``L`` and mean
``m_u``, the ratings ``r_ui = mu + b_i + x_u . z_i + noise`` of user u make x_u Gaussian, with::

    precision  P = L + a_u sum_i c_i z_i z_i^T
    mean       P^-1 (L m_u + a_u sum_i c_i (r_ui - mu - b_i) z_i)

With ``P = U^T U`` and standard normal ``e``, ``U^-1 (U^-T h + e)`` is such a row, h the bracket
above (R. Salakhutdinov and A. Mnih, "Bayesian probabilistic matrix factorization using Markov chain
Monte Carlo", ICML 2008, equations 11 to 13, with the biases as one more factor).

The prior mean may be ``m_u = m + sum_i y_i`` over the items i that user u has rated.  Given the
rows, ``y_i`` with a prior of precision I is Gaussian too.  Where L is diagonal, with entries
``l_f``, its columns f are independent: with residuals ``d_u = x_u - m_u`` and n users of i::

    precision  1 + n l_f
    mean       l_f (n y_if + sum_u d_uf) / (1 + n l_f)

and a change of ``y_i`` is taken out of the residuals of these users at once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.training.sgd.kernels import compiled, inlined

Doubles = NDArray[np.float64]

_TOGETHER = 4  # ratings added to the precision at once: it is read and written less often
LANES = 4  # columns of effects drawn together


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
        ``(first, last, starts, others, ratings, mu, mine, theirs, roots, alphas, precision, shifts,
        normals)``: draw rows of `mine` (float64, shape (n, k + 1)) that have ratings. The noise has
        precision ``alphas[row] roots[other]^2``; ``shifts[row]`` is ``L m``; `shifts` and `normals`
        have the shape of `mine`.
    square_errors : callable
        ``(first, last, starts, others, ratings, mu, mine, theirs, sums)``: set ``sums[row]`` to the
        sum of the squared errors of its ratings.
    draw_effects : callable
        ``(starts, others, effects, residuals, precisions, normals)``: draw `LANES` columns of all
        effects, and take them out of the residuals; `starts` and `others` tell the rows of each
        effect. Float64 arrays; `effects` and `normals` have shape (m, LANES).
    gram : callable
        ``(first, last, rows, out)``: set `out` to the sum of ``x x^T`` over rows x.
    multiply : callable
        ``(first, last, rows, matrix, out)``: set rows of `out` to those of `rows` times `matrix`.
    """

    sort: Callable[..., None]
    draw: Callable[..., None]
    square_errors: Callable[..., None]
    draw_effects: Callable[..., None]
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
    start: Any, stop: Any, others: Any, ratings: Any, mu: Any, theirs: Any, roots: Any,
    p: Any, h: Any, z: Any,
) -> None:  # fmt: skip
    """Set the upper half of `p` to the sum of ``c z z^T``, and `h` to that of ``c z`` x targets."""
    d = len(h)
    p[:], h[:] = 0.0, 0.0
    for some in range(start, stop, _TOGETHER):
        for n in range(_TOGETHER):
            if some + n < stop:
                other = others[some + n]
                root = roots[other]
                target = root * (np.float64(ratings[some + n]) - mu - theirs[other, 0])
                z[n, 0] = root
                for f in range(1, d):
                    z[n, f] = root * theirs[other, f]
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
    roots: Any, alphas: Any, precision: Any, shifts: Any, normals: Any,
) -> None:  # fmt: skip
    d = mine.shape[1]
    p, h, z = np.empty((d, d)), np.empty(d), np.empty((_TOGETHER, d))
    for row in range(first, last):
        start, stop = starts[row], starts[row + 1]
        if start == stop:
            continue
        _sum_up(start, stop, others, ratings, mu, theirs, roots, p, h, z)
        alpha = alphas[row]
        for f in range(d):
            h[f] = shifts[row, f] + alpha * h[f]
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


def _draw_effects(
    starts: Any, others: Any, effects: Any, residuals: Any, precisions: Any, normals: Any
) -> None:
    sums = np.empty(LANES)
    for one in range(len(effects)):
        start, stop = starts[one], starts[one + 1]
        if start == stop:
            continue
        for f in range(LANES):
            sums[f] = (stop - start) * effects[one, f]
        for n in range(start, stop):
            for f in range(LANES):
                sums[f] += residuals[others[n], f]
        for f in range(LANES):
            precision = 1.0 + (stop - start) * precisions[f]
            drawn = precisions[f] * sums[f] / precision + normals[one, f] / math.sqrt(precision)
            sums[f], effects[one, f] = effects[one, f] - drawn, drawn
        for n in range(start, stop):
            for f in range(LANES):
                residuals[others[n], f] += sums[f]


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
        compiled(_draw, _INT, _INT, *side, _DOUBLES, _DOUBLES, _MATRIX, _MATRIX, _MATRIX),
        compiled(_square_errors, _INT, _INT, *side, _DOUBLES),
        compiled(_draw_effects, _LONGS, _INTS, _MATRIX, _MATRIX, _DOUBLES, _MATRIX),
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
