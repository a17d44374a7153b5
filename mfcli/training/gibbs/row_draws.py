"""Compiled kernels that draw the rows of one side, given those of the other.

In the terms of `normal_equations.sums`: the ratings of user u are ``r_ui = mu + b_i + x_u . z_i +
noise``. Given the other side, noise of precision ``a_u c_ui c_i``, a Gaussian prior of precision L
and mean m_u, and unrated pairs that add S and s (see `SideRows.unrated`), x_u is Gaussian with::

    precision  a_u P,   where  P = L / a_u + S + G
    mean       P^-1 h,  where  h = L m_u / a_u + s + g

If ``P = U^T U`` with U upper triangular, and e is normal with variance ``1 / a_u``, then
``U^-1 (U^-T h + e)`` is a draw: its mean is ``U^-1 U^-T h = P^-1 h``, its covariance
``U^-1 U^-T / a_u = (a_u P)^-1`` (R. Salakhutdinov and A. Mnih, "Bayesian probabilistic matrix
factorization using Markov chain Monte Carlo", ICML 2008, equations 11 to 13, with the biases as one
more factor).

The squared errors of the new row x need no second pass over its ratings. With weights
``c = c_ui c_i``::

    sum_i c (t_ui - x . z_i)^2 = sum_i c t_ui^2 - 2 x . g + x^T G x
    x^T G x = x^T P x - x^T (L / a_u + S) x = |U x|^2 - x^T (L / a_u + S) x,
    where  U x = U^-T h + e

If the result is small beside the terms, rounding errors are large beside the result, which may even
be negative. Then the squared errors are summed one by one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from mfcli.aligned import LINE
from mfcli.storage import array_type, compiled, inlined
from mfcli.training.gibbs.normals import PER_COUNTER, normals
from mfcli.training.normal_equations.factors import factor, solve
from mfcli.training.normal_equations.records import RECORDS
from mfcli.training.normal_equations.sums import (
    CANCELED,
    add_ratings,
    constant_width,
    layout,
    squared_errors,
    working_memory,
)
from mfcli.vectors import fma, load, mul, pointer, store, total, zeros

_DRAWN = 16  # rows whose variates are drawn at once

_INT = types.intp
_FLOATS = array_type(types.float32, 1)
_TABLE = array_type(types.float32, 2)
_DOUBLES = array_type(types.float64, 1)
_KEY = array_type(types.uint32, 1)


def draw_rows(width: int, *, weighted: bool = False) -> Callable[..., None]:
    """Compile the kernel for rows of a width, or load it from the cache.

    It takes ``(first, last, origin, used, records, z, offsets, unrated, alphas, precision, mean,
    sums, key, turn, rows, expected, squares)`` and draws the rows `first` to ``last - 1`` that have
    ratings. Row 0 of all arrays is the row `origin` of its side.

    `records` are the ratings of these rows, see `Records`; only a `weighted` kernel reads the
    ``sqrt(c_ui)``. `z` holds ``sqrt(c_i) z_i`` and `offsets` ``sqrt(c_i) (mu + b_i)``; `unrated` is
    S, with s as one more row; `alphas` are the a_u, `precision` is L, and the prior mean m_u is
    ``mean + sums[u]``, or `mean` if `sums` has no rows. Lanes from `used` on are padding, where L
    is the identity and all rows are zero. Normal variates belong to `key`, `turn` and the row of
    the side. If `expected` has rows, they are set to the means of the distributions that rows are
    drawn from. ``squares[u]`` is set to the sum of c times the squared errors of the new row.
    Tables and `mean` begin with a cache line.
    """
    return _compiled(constant_width(width), weighted)


@functools.cache
def _compiled(constant: int, weighted: bool) -> Callable[..., None]:
    return compiled(
        _make_draw_rows(constant, weighted), _INT, _INT, _INT, _INT, RECORDS, _TABLE, _FLOATS,
        _TABLE, _FLOATS, _TABLE, _FLOATS, _TABLE, _KEY, types.int64, _TABLE,
        _TABLE, _DOUBLES,
    )  # fmt: skip


def _make_draw_rows(constant: int, weighted: bool) -> Callable[..., None]:
    def kernel(
        first: Any, last: Any, origin: Any, used: Any, records: Any, z: Any, offsets: Any,
        unrated: Any, alphas: Any, precision: Any, mean: Any, sums: Any,
        key: Any, turn: Any, rows: Any, expected: Any, squares: Any,
    ) -> None:  # fmt: skip
        width = constant if constant else rows.shape[1]
        buffer, columns, shift, gradient, known, roots_at, solved, target, size = layout(width)
        scratch = working_memory(size)
        counters = width // PER_COUNTER  # for the variates of a row
        e = np.empty(_DRAWN * width, np.float32)
        for row in range(first, last):
            ahead = (row - first) % _DRAWN
            if ahead == 0:
                normals((origin + row) * counters, _DRAWN * counters, turn, key[0], key[1], e)
            start, stop = records.starts[row], records.starts[row + 1]
            if start == stop:  # the model does not use rows without ratings
                continue
            variance = np.float32(1.0) / alphas[row]
            _set_prior(row, variance, precision, unrated, mean, sums, scratch, width, shift)
            squares[row] = add_ratings(
                start, stop, records, weighted, True, z, offsets, scratch, width, buffer, shift,
                gradient, target,
            )  # fmt: skip
            factor(scratch, width, columns, shift, roots_at, solved)
            deviation = np.float32(math.sqrt(variance))
            for drawing in range(0 if len(expected) else 1, 2):
                for n in range(used if drawing else 0):
                    place = (n // counters * _DRAWN + ahead) * counters + n % counters
                    scratch[solved + n] += deviation * e[place]
                solve(row, rows, scratch, width, columns, shift, known, roots_at, solved)
                if not drawing:  # without variates, the solution is the mean
                    expected[row] = rows[row]
                    # `solve` has kept what it solved for.
                    scratch[solved : solved + width] = scratch[shift : shift + width]
            terms, magnitude = _square_terms(
                row, variance, precision, unrated, rows, scratch, width, shift, gradient
            )
            magnitude += squares[row]
            squares[row] += terms
            if squares[row] < CANCELED * magnitude:
                squares[row] = squared_errors(
                    row, start, stop, records, weighted, True, z, offsets, rows, width
                )

    return kernel


@inlined
def _set_prior(
    row: Any, variance: Any, precision: Any, unrated: Any, mean: Any, sums: Any, scratch: Any,
    width: Any, shift: Any,
) -> None:  # fmt: skip
    """Set P to ``L / a + S``, and h to ``L m_u / a + s``."""
    base, prior, extra = pointer(scratch), pointer(precision), pointer(unrated)
    like = zeros(LINE)
    for j in range(0, width, LINE):
        h = zeros(LINE)
        for f in range(width):
            some = load(prior, f * width + j, like)
            m = mean[f]
            if len(sums):
                m += sums[row, f]
            h = fma(m, some, h)
            if f < j + LINE:
                place = f * width + j
                store(base, place, fma(variance, some, load(extra, place, like)))
        h = fma(variance, h, load(extra, width * width + j, like))
        store(base, shift + j, h)


@inlined
def _square_terms(
    row: Any, variance: Any, precision: Any, unrated: Any, rows: Any, scratch: Any, width: Any,
    shift: Any, gradient: Any,
) -> Any:  # fmt: skip
    """Return ``x^T G x - 2 x . g`` and ``|U x|^2``; `solve` has left ``U x`` in place of h."""
    base, mine = pointer(scratch), pointer(rows)
    prior, extra = pointer(precision), pointer(unrated)
    whole, slope, size = zeros(LINE), zeros(LINE), zeros(LINE)
    for j in range(0, width, LINE):
        x, moved = load(mine, row * width + j, whole), load(base, shift + j, whole)
        shared, others = zeros(LINE), zeros(LINE)  # L x and S x
        for f in range(width):
            shared = fma(rows[row, f], load(prior, f * width + j, whole), shared)
            others = fma(rows[row, f], load(extra, f * width + j, whole), others)
        # |U x|^2 - x^T (L / a + S) x
        size = fma(moved, moved, size)
        whole = fma(moved, moved, whole)
        whole = fma(mul(-variance, x), shared, whole)
        whole = fma(mul(np.float32(-1.0), x), others, whole)
        slope = fma(x, load(base, gradient + j, whole), slope)
    terms = np.float64(total(whole)) - 2.0 * np.float64(total(slope))
    return terms, np.float64(total(size))
