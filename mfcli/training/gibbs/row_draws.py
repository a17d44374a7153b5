"""Compiled kernels that draw the rows of one side, given those of the other.

A row is ``x_u = (b_u, p_u)``, and a row of the other side ``(b_i, q_i)``. Let ``z_i = (1, q_i)``.
The ratings of user u are ``r_ui = mu + b_i + x_u . z_i + noise``. Given the other side, noise of
precision ``a_u c_i`` and a Gaussian prior of precision L and mean m_u, x_u is Gaussian with::

    precision  a_u P,   where  P = L / a_u + sum_i c_i z_i z_i^T
    mean       P^-1 h,  where  h = L m_u / a_u + sum_i c_i (r_ui - mu - b_i) z_i

If ``P = U^T U`` with U upper triangular, and e is normal with variance ``1 / a_u``, then
``U^-1 (U^-T h + e)`` is a draw: its mean is ``U^-1 U^-T h = P^-1 h``, its covariance
``U^-1 U^-T / a_u = (a_u P)^-1`` (R. Salakhutdinov and A. Mnih, "Bayesian probabilistic matrix
factorization using Markov chain Monte Carlo", ICML 2008, equations 11 to 13, with the biases as one
more factor).

How it is computed
------------------
Rows have a multiple of 16 lanes, one cache line: the bias, the factors, and zeros. The rows of the
other side arrive as ``sqrt(c_i) z_i``, with ``sqrt(c_i) (mu + b_i)`` beside them. 64 of them at a
time are copied into a buffer that stays in the first-level cache. Sums over the buffer are formed
in registers, from zero, and then added to P, so that the rounding error of float32 grows with the
square root of the number of buffers, not of ratings. P is kept as tiles of 16 x 16 lanes; only
those on and above the diagonal are used. U is found row of tiles by row of tiles: what the rows
above contribute is again a sum of products of rows.

The squared errors of the new row x need no second pass over its ratings. With targets
``t_i = r_ui - mu - b_i``, ``G = sum_i c_i z_i z_i^T`` and ``g = sum_i c_i t_i z_i``::

    sum_i c_i (t_i - x . z_i)^2 = sum_i c_i t_i^2 - 2 x . g + x^T G x
    x^T G x = x^T P x - x^T L x / a_u = |U x|^2 - x^T L x / a_u,   where  U x = U^-T h + e

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
from mfcli.vectors import (
    add,
    add_products,
    fma,
    load,
    mul,
    pointer,
    prefetch,
    sqrt,
    store,
    subtract_products,
    total,
    zeros,
)

_BUFFER = 64  # ratings
_AHEAD = 16  # ratings between the prefetch of a row and its use
_DRAWN = 16  # rows whose variates are drawn at once
_STRIP = 4  # rows of a tile that are summed at once; two vectors of eight lanes each
_HALF = LINE // 2
_PIVOT = np.float32(2.0**-18)  # of a diagonal element: smaller pivots are rounding errors
_CANCELED = 1e-3  # a sum that is smaller than this fraction of its terms is not exact enough

_INT = types.intp
_STARTS = array_type(types.int64, 1)
_OTHERS = array_type(types.int32, 1)
_FLOATS = array_type(types.float32, 1)
_TABLE = array_type(types.float32, 2)
_DOUBLES = array_type(types.float64, 1)
_KEY = array_type(types.uint32, 1)


@functools.cache
def draw_rows(width: int) -> Callable[..., None]:
    """Compile the kernel for rows of a width, or load it from the cache.

    It takes ``(first, last, used, starts, others, ratings, z, offsets, alphas, precision, mean,
    sums, key, turn, rows, squares)`` and draws the rows `first` to ``last - 1`` that have
    ratings.

    Row u has the ratings ``starts[u]`` to ``starts[u + 1] - 1``: `others` gives their rows of the
    other side, and `ratings` their values. `z` holds ``sqrt(c_i) z_i`` and `offsets`
    ``sqrt(c_i) (mu + b_i)``; `alphas` are the a_u, `precision` is L, and the prior mean m_u is
    ``mean + sums[u]``. Lanes from `used` on are padding, where L is the identity and all rows are
    zero. Normal variates belong to `key`, `turn` and the row. ``squares[u]`` is set to the sum of
    ``c_i`` times the squared errors of the new row. Tables and `mean` begin with a cache line.
    """
    return compiled(
        _make_draw_rows(width), _INT, _INT, _INT, _STARTS, _OTHERS, _FLOATS, _TABLE, _FLOATS,
        _FLOATS, _TABLE, _FLOATS, _TABLE, _KEY, types.int64, _TABLE, _DOUBLES,
    )  # fmt: skip


def _make_draw_rows(width: int) -> Callable[..., None]:
    # Where the parts of the working memory begin; P is at its start.
    buffer = width * width
    columns = buffer + _BUFFER * width
    shift = columns + width * LINE
    gradient, known, roots, solved = (shift + n * width for n in range(1, 5))
    target = shift + 5 * width
    size = target + _BUFFER
    counters = width // PER_COUNTER  # for the variates of a row

    def kernel(
        first: Any, last: Any, used: Any, starts: Any, others: Any, ratings: Any, z: Any,
        offsets: Any, alphas: Any, precision: Any, mean: Any, sums: Any, key: Any, turn: Any,
        rows: Any, squares: Any,
    ) -> None:  # fmt: skip
        memory = np.zeros(size + LINE, np.float32)
        skip = (LINE - memory.ctypes.data // 4 % LINE) % LINE
        scratch = memory[skip : skip + size]
        base, like = pointer(scratch), zeros(LINE)
        e = np.empty(_DRAWN * width, np.float32)
        for row in range(first, last):
            ahead = (row - first) % _DRAWN
            if ahead == 0:
                normals(row * counters, _DRAWN * counters, turn, key[0], key[1], e)
            start, stop = starts[row], starts[row + 1]
            if start == stop:  # the model does not use rows without ratings
                continue
            variance = np.float32(1.0) / alphas[row]
            _set_prior(row, variance, precision, mean, sums, scratch, width, shift, gradient)
            squares[row] = _add_ratings(
                start, stop, others, ratings, z, offsets, scratch, width, buffer, gradient, target
            )
            for j in range(0, width, LINE):
                h = add(load(base, shift + j, like), load(base, gradient + j, like))
                store(base, shift + j, h)
            _factor(scratch, width, columns, shift, roots, solved)
            deviation = np.float32(math.sqrt(variance))
            for n in range(used):
                place = (n // counters * _DRAWN + ahead) * counters + n % counters
                scratch[solved + n] += deviation * e[place]
            _solve(row, rows, scratch, width, columns, shift, known, roots, solved)
            terms, magnitude = _square_terms(
                row, variance, precision, rows, scratch, width, shift, gradient
            )
            magnitude += squares[row]
            squares[row] += terms
            if squares[row] < _CANCELED * magnitude:
                squares[row] = _squared_errors(
                    row, start, stop, others, ratings, z, offsets, rows, width
                )

    return kernel


@inlined
def _set_prior(
    row: Any, variance: Any, precision: Any, mean: Any, sums: Any, scratch: Any, width: Any,
    shift: Any, gradient: Any,
) -> None:  # fmt: skip
    """Set P to ``L / a``, h to ``L m_u / a`` and g to zeros."""
    base, prior = pointer(scratch), pointer(precision)
    like = zeros(LINE)
    for j in range(0, width, LINE):
        h = zeros(LINE)
        for f in range(width):
            some = load(prior, f * width + j, like)
            h = fma(mean[f] + sums[row, f], some, h)
            if f < j + LINE:
                store(base, f * width + j, mul(variance, some))
        store(base, shift + j, mul(variance, h))
        store(base, gradient + j, like)


@inlined
def _add_ratings(
    start: Any, stop: Any, others: Any, ratings: Any, z: Any, offsets: Any, scratch: Any,
    width: Any, buffer: Any, gradient: Any, target: Any,
) -> Any:  # fmt: skip
    """Add G to P and the sum of ``c t z`` to g; return the sum of ``c t^2``."""
    base, source, before = pointer(scratch), pointer(z), pointer(offsets)
    like = zeros(LINE)
    squares = 0.0
    for some in range(start, stop, _BUFFER):
        size = min(_BUFFER, stop - some)
        for n in range(size):
            if some + n + _AHEAD < stop:
                ahead = np.intp(others[some + n + _AHEAD])
                prefetch(before, ahead)
                for j in range(0, width, LINE):
                    prefetch(source, ahead * width + j)
            other = np.intp(others[some + n])
            for j in range(0, width, LINE):
                store(base, buffer + n * width + j, load(source, other * width + j, like))
            # The first lane of z is the root: root t = root r - root (mu + b).
            t = ratings[some + n] * z[other, 0] - offsets[other]
            scratch[target + n] = t
            squares += np.float64(t) * np.float64(t)
        _add_buffer(scratch, width, buffer, gradient, target, size)
    return squares


@inlined
def _add_buffer(
    scratch: Any, width: Any, buffer: Any, gradient: Any, target: Any, size: Any
) -> None:
    """Add the sums over the ratings in the buffer to P and g."""
    base = pointer(scratch)
    like, half = zeros(LINE), zeros(_HALF)
    # g is the product of one row, the targets, and the buffer.
    for j in range(0, width, LINE):
        add_products(
            base, gradient + j, width, base, target, 0, 1, base, buffer + j, width, size, 1, like
        )
    for i in range(0, width, LINE):
        # The upper half of a tile on the diagonal, and all tiles to the right of it.
        for s in range(i, i + LINE, _STRIP):
            for j in range(i if s < i + _HALF else i + LINE, width, LINE):
                add_products(
                    base, s * width + j, width, base, buffer + s, 1, width,
                    base, buffer + j, width, size, _STRIP, like,
                )  # fmt: skip
        # Of its lower half, only the right half is above the diagonal.
        s = i + _HALF
        add_products(
            base, s * width + s, width, base, buffer + s, 1, width,
            base, buffer + s, width, size, _HALF, half,
        )  # fmt: skip


@inlined
def _factor(scratch: Any, width: Any, columns: Any, shift: Any, roots: Any, solved: Any) -> None:
    """Replace P by U, where ``P = U^T U``, and h by zeros; keep ``U^-T h``.

    With D the squares of the diagonal of U, ``U = D^1/2 V``. The 16 x 16 tiles on the diagonal of V
    are kept by columns, because `_solve` needs them so. Roots are those of ``D^-1``.

    If the noise is tiny, P can be singular up to rounding: its pivots are kept above zero.
    """
    base = pointer(scratch)
    like = zeros(LINE)
    for f in range(width):
        scratch[roots + f] = _PIVOT * scratch[f * width + f]  # until the root is known
    for i in range(0, width, LINE):
        # Subtract the products of the rows above.
        if i:
            for s in range(i, i + LINE, _STRIP):
                for j in range(i, width, LINE):
                    subtract_products(
                        base, s * width + j, width, base, s, 1, width,
                        base, j, width, i, _STRIP, like,
                    )  # fmt: skip
        # Eliminate without square roots: they would add to the time from one pivot to the next.
        for f in range(i, i + LINE):
            pivot = max(scratch[f * width + f], scratch[roots + f])
            inverse = np.float32(1.0) / pivot
            scratch[roots + f] = inverse
            for g in range(f + 1, i + LINE):  # subtract row f times V_fg
                share = scratch[f * width + g] * inverse
                scratch[columns + g * LINE + f - i] = share
                for j in range(i, width, LINE):
                    above = load(base, f * width + j, like)
                    place = g * width + j
                    store(base, place, fma(-share, above, load(base, place, like)))
            # y_f = h_f, and h loses y_f / D_f times row f
            y = scratch[shift + f]
            scratch[solved + f] = y
            share = -y * inverse
            for j in range(i, width, LINE):
                above = load(base, f * width + j, like)
                store(base, shift + j, fma(share, above, load(base, shift + j, like)))
        root = sqrt(load(base, roots + i, like))
        store(base, roots + i, root)
        store(base, solved + i, mul(root, load(base, solved + i, like)))
        for f in range(i, i + LINE):
            for j in range(i + LINE, width, LINE):
                place = f * width + j
                store(base, place, mul(scratch[roots + f], load(base, place, like)))


@inlined
def _solve(
    row: Any, rows: Any, scratch: Any, width: Any, columns: Any, shift: Any, known: Any, roots: Any,
    solved: Any,
) -> None:  # fmt: skip
    """Set a row x to the solution of ``U x = U^-T h + e``, and keep ``U x`` in the place of h."""
    base, out = pointer(scratch), pointer(rows)
    like = zeros(LINE)
    for j in range(0, width, LINE):
        store(base, shift + j, load(base, solved + j, like))
    for n in range(width // LINE):
        i = width - LINE - n * LINE
        # x_f = (U x)_f / U_ff - sum_{g > f} V_fg x_g; first the g of the tiles to the right
        for f in range(i, i + LINE):
            sums = zeros(LINE)
            for j in range(i + LINE, width, LINE):
                sums = fma(load(base, f * width + j, like), load(base, solved + j, like), sums)
            scratch[known + f] = total(sums)
        left = fma(np.float32(-1.0), load(base, known + i, like), load(base, shift + i, like))
        left = mul(load(base, roots + i, like), left)
        store(base, solved + i, left)
        for g in range(LINE - 1, 0, -1):
            share = -scratch[solved + i + g]
            left = fma(share, load(base, columns + (i + g) * LINE, like), left)
            store(base, solved + i, left)
        store(out, row * width + i, left)


@inlined
def _square_terms(
    row: Any, variance: Any, precision: Any, rows: Any, scratch: Any, width: Any, shift: Any,
    gradient: Any,
) -> Any:  # fmt: skip
    """Return ``x^T G x - 2 x . g`` and ``|U x|^2``; `_solve` has left ``U x`` in place of h."""
    base, prior, mine = pointer(scratch), pointer(precision), pointer(rows)
    whole, slope, size = zeros(LINE), zeros(LINE), zeros(LINE)
    for j in range(0, width, LINE):
        x, moved = load(mine, row * width + j, whole), load(base, shift + j, whole)
        shared = zeros(LINE)  # L x
        for f in range(width):
            shared = fma(rows[row, f], load(prior, f * width + j, whole), shared)
        # |U x|^2 - x^T L x / a
        size = fma(moved, moved, size)
        whole = fma(moved, moved, whole)
        whole = fma(mul(-variance, x), shared, whole)
        slope = fma(x, load(base, gradient + j, whole), slope)
    terms = np.float64(total(whole)) - 2.0 * np.float64(total(slope))
    return terms, np.float64(total(size))


@inlined
def _squared_errors(
    row: Any, start: Any, stop: Any, others: Any, ratings: Any, z: Any, offsets: Any, rows: Any,
    width: Any,
) -> Any:  # fmt: skip
    """Return the sum of ``c (t - x . z)^2``."""
    source, mine = pointer(z), pointer(rows)
    like = zeros(LINE)
    squares = 0.0
    for n in range(start, stop):
        other = np.intp(others[n])
        products = zeros(LINE)
        for j in range(0, width, LINE):
            some = load(source, other * width + j, like)
            products = fma(some, load(mine, row * width + j, like), products)
        error = ratings[n] * z[other, 0] - offsets[other] - total(products)
        squares += np.float64(error) * np.float64(error)
    return squares
