"""Compiled kernels of Gibbs sampling: draw the rows of one side, given those of the other.

A row is ``x_u = (b_u, p_u)``, and a row of the other side ``(b_i, q_i)``. Let ``z_i = (1, q_i)``.
The ratings of user u are ``r_ui = mu + b_i + x_u . z_i + noise``. Given the other side, noise of
precision ``a_u c_i`` and a Gaussian prior of precision L and mean m_u, x_u is Gaussian with::

    precision  P = L + a_u sum_i c_i z_i z_i^T
    mean       P^-1 h,  where  h = L m_u + a_u sum_i c_i (r_ui - mu - b_i) z_i

If ``P = U^T U`` with U upper triangular, and e is standard normal, then ``U^-1 (U^-T h + e)`` is a
draw: its mean is ``U^-1 U^-T h = P^-1 h``, its covariance ``U^-1 U^-T = P^-1`` (R. Salakhutdinov
and A. Mnih, "Bayesian probabilistic matrix factorization using Markov chain Monte Carlo", ICML
2008, equations 11 to 13, with the biases as one more factor).

The prior mean may be ``m_u = m + sum_i y_i`` over the items i that user u has rated. Given the
rows, the effect y_i, which has a prior of precision I, is Gaussian too. If L is diagonal with
entries l_f, its columns f are independent. With residuals ``d_u = x_u - m_u``, sums over the users
of i, and n of these users::

    precision  1 + n l_f
    mean       l_f (n y_if + sum_u d_uf) / (1 + n l_f)

A change of y_i is subtracted from the residuals of these users at once.

In the kernels, `mine` are the rows of the side that is drawn and `theirs` the rows of the other
side. Row u has the ratings ``starts[u]`` to ``starts[u + 1] - 1``: `others` gives their rows of the
other side, and `ratings` their values.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types

from mfcli.storage import array_type, inlined, kernel

LANES = 4  # columns of effects drawn together

_TOGETHER = 4  # ratings added to the precision at once, so that it is read and written less often

_INT = types.intp
_FLOAT = types.float64
_STARTS = array_type(types.int64, 1)
_OTHERS = array_type(types.int32, 1)
_RATINGS = array_type(types.float32, 1)
_READ_ROWS = array_type(types.int32, 1, readonly=True)
_READ_RATINGS = array_type(types.float32, 1, readonly=True)
_DOUBLES = array_type(types.float64, 1)
_MATRIX = array_type(types.float64, 2)
_SIDE = _STARTS, _OTHERS, _RATINGS, _FLOAT, _MATRIX, _MATRIX


@kernel(_READ_ROWS, _READ_ROWS, _READ_RATINGS, _STARTS, _OTHERS, _RATINGS)
def sort_by_row(
    rows: Any, others: Any, ratings: Any, places: Any, sorted_others: Any, sorted_ratings: Any
) -> None:
    """Copy the ratings of each row, in order, from ``places[row]`` on; move it to their end."""
    for n in range(len(rows)):
        place = places[rows[n]]
        places[rows[n]] = place + 1
        sorted_others[place], sorted_ratings[place] = others[n], ratings[n]


@kernel(_INT, _INT, *_SIDE, _DOUBLES, _DOUBLES, _MATRIX, _MATRIX, _MATRIX)
def draw_rows(
    first: Any, last: Any, starts: Any, others: Any, ratings: Any, mu: Any, mine: Any, theirs: Any,
    roots: Any, alphas: Any, precision: Any, shifts: Any, normals: Any,
) -> None:  # fmt: skip
    """Draw the rows `first` to ``last - 1`` of `mine` that have ratings.

    `mine` has shape (n, k + 1), as have `shifts`, the products ``L m_u``, and `normals`, standard
    normal variates. The noise has precision ``alphas[row] roots[other]^2``; `precision` is L. All
    are float64.
    """
    d = mine.shape[1]
    p, h, z = np.empty((d, d)), np.empty(d), np.empty((_TOGETHER, d))
    for row in range(first, last):
        start, stop = starts[row], starts[row + 1]
        if start == stop:  # the model does not use rows without ratings
            continue
        _sum_up(start, stop, others, ratings, mu, theirs, roots, p, h, z)
        alpha = alphas[row]
        # P = L + a sum_i c_i z_i z_i^T  and  h = L m_u + a sum_i c_i (r_ui - mu - b_i) z_i
        for f in range(d):
            h[f] = shifts[row, f] + alpha * h[f]
            for g in range(f, d):
                p[f, g] = precision[f, g] + alpha * p[f, g]
        # h becomes U^-T h, then the row becomes U^-1 (U^-T h + e).
        _factor(p, h)
        _solve(p, h, normals[row], mine[row])


@kernel(_INT, _INT, *_SIDE, _DOUBLES)
def square_errors(
    first: Any, last: Any, starts: Any, others: Any, ratings: Any, mu: Any, mine: Any, theirs: Any,
    sums: Any,
) -> None:  # fmt: skip
    """Set ``sums[row]`` to the sum of the squared errors of the ratings of a row."""
    d = mine.shape[1]
    for row in range(first, last):
        total = 0.0
        for n in range(starts[row], starts[row + 1]):
            other = others[n]
            # e = b_u + b_i + mu - r + p_u . q_i
            error = mine[row, 0] + theirs[other, 0] + mu - np.float64(ratings[n])
            for f in range(1, d):
                error += mine[row, f] * theirs[other, f]
            total += error * error
        sums[row] = total


@kernel(_STARTS, _OTHERS, _MATRIX, _MATRIX, _DOUBLES, _MATRIX)
def draw_effects(
    starts: Any, others: Any, effects: Any, residuals: Any, precisions: Any, normals: Any
) -> None:
    """Draw `LANES` columns of all effects, and subtract their changes from the residuals.

    `starts` and `others` give the rows that each effect applies to. `effects` and `normals` have
    shape (m, LANES), `residuals` (n, LANES); `precisions` are the l_f. All are float64.
    """
    sums = np.empty(LANES)
    for one in range(len(effects)):
        start, stop = starts[one], starts[one + 1]
        if start == stop:
            continue
        for f in range(LANES):  # n y_f + sum_u d_uf
            sums[f] = (stop - start) * effects[one, f]
        for n in range(start, stop):
            for f in range(LANES):
                sums[f] += residuals[others[n], f]
        for f in range(LANES):
            # y_f ~ N(l_f (n y_f + sum_u d_uf) / (1 + n l_f), 1 / (1 + n l_f))
            precision = 1.0 + (stop - start) * precisions[f]
            drawn = precisions[f] * sums[f] / precision + normals[one, f] / math.sqrt(precision)
            sums[f], effects[one, f] = effects[one, f] - drawn, drawn  # minus the change of y_f
        for n in range(start, stop):
            for f in range(LANES):
                residuals[others[n], f] += sums[f]


@inlined
def _sum_up(
    start: Any, stop: Any, others: Any, ratings: Any, mu: Any, theirs: Any, roots: Any,
    p: Any, h: Any, z: Any,
) -> None:  # fmt: skip
    """Sum over the ratings of a row, with ``c = root^2`` and targets ``t = r - mu - b``.

    Set the upper triangle of `p` to the sum of ``c z z^T``, and `h` to the sum of ``c t z``. `z` is
    scratch, for rows that are already multiplied by their root.
    """
    d = len(h)
    p[:], h[:] = 0.0, 0.0
    for some in range(start, stop, _TOGETHER):
        for n in range(_TOGETHER):
            if some + n < stop:
                other = others[some + n]
                root = roots[other]
                # With z' = root z and t' = root t: c z z^T = z' z'^T and c t z = t' z'
                target = root * (np.float64(ratings[some + n]) - mu - theirs[other, 0])
                z[n, 0] = root
                for f in range(1, d):
                    z[n, f] = root * theirs[other, f]
                for f in range(d):
                    h[f] += target * z[n, f]
            else:  # zeros add nothing
                z[n] = 0.0
        for f in range(d):  # p += z^T z; only the upper triangle is used
            a, b, c, e = z[0, f], z[1, f], z[2, f], z[3, f]
            for g in range(f, d):
                p[f, g] += (a * z[0, g] + b * z[1, g]) + (c * z[2, g] + e * z[3, g])


@inlined
def _factor(p: Any, h: Any) -> None:
    """Replace P by its Cholesky factor U, where ``P = U^T U``, and h by ``U^-T h``."""
    d = len(h)
    for f in range(d):
        # Row f of U is row f of what is left of P, divided by the root of its diagonal entry.
        pivot = 1.0 / math.sqrt(p[f, f])
        for g in range(f, d):
            p[f, g] *= pivot
        h[f] *= pivot
        for i in range(f + 1, d):  # subtract the outer product of row f from the rest
            share = p[f, i]
            h[i] -= share * h[f]
            for g in range(i, d):
                p[i, g] -= share * p[f, g]


@inlined
def _solve(p: Any, h: Any, normal: Any, row: Any) -> None:
    """Set a row to ``U^-1 (h + normal)`` by back substitution; `h` is ``U^-T h`` already."""
    d = len(h)
    for f in range(d - 1, -1, -1):
        # x_f = (h_f + e_f - sum_{g > f} U_fg x_g) / U_ff
        total = h[f] + normal[f]
        for g in range(f + 1, d):
            total -= p[f, g] * row[g]
        row[f] = total / p[f, f]
