"""Sums over the ratings of a row, which make its normal equations.

A row is ``x_u = (b_u, p_u)``, and a row of the other side ``(b_i, q_i)``. Let ``z_i = (1, q_i)``.
In a model without biases, ``x_u = p_u``, ``z_i = q_i`` and ``b_i = 0``. A rating with the weight
``c_ui c_i`` has the target ``t_ui = r_ui - mu - b_i``. Its sums are::

    G = sum_i c_ui c_i z_i z_i^T,    g = sum_i c_ui c_i t_ui z_i

Rows have a multiple of 16 lanes, one cache line: the bias, the factors, and zeros. The rows of the
other side arrive as ``sqrt(c_i) z_i``, with ``sqrt(c_i) (mu + b_i)`` beside them. 64 of them at a
time are copied into a buffer that stays in the first-level cache. Sums over the buffer are formed
in registers, from zero, and then added, so that the rounding error of float32 grows with the square
root of the number of buffers, not of ratings. G is kept as tiles of 16 x 16 lanes; only those on
and above the diagonal are used.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mfcli.aligned import LINE
from mfcli.storage import inlined
from mfcli.training.normal_equations.records import other_of, rating_of, root_of
from mfcli.vectors import (
    add,
    add_products,
    fma,
    load,
    mul,
    pointer,
    prefetch,
    store,
    total,
    zeros,
)

CANCELED = 1e-3
"""A sum of squared errors that is smaller than this fraction of its terms is not exact enough."""

_BUFFER = 64  # ratings
_AHEAD = 16  # ratings between the prefetch of a row and its use
_STRIP = 4  # rows of a tile that are summed at once; two vectors of eight lanes each
_HALF = LINE // 2


_WIDEST = 32  # lanes of the rows that have a kernel of their own


def constant_width(width: int) -> int:
    """Return the width that a kernel is compiled for: 0 for the one that serves all wide rows.

    A constant saves time in short rows. Over wide ones, the compiler would unroll loops for many
    seconds, without a gain.
    """
    return width if width <= _WIDEST else 0


@inlined
def layout(width: Any) -> Any:
    """Return where the parts of the working memory of a kernel begin, and its size.

    The matrix P is at its start. It is followed by the buffer of 64 rows of the other side, the
    columns of the tiles on the diagonal of V (see `factors.py`), the vectors h and g, three vectors
    that the solution uses (known, roots and solved), and the targets in the buffer.
    """
    buffer = width * width
    columns = buffer + _BUFFER * width
    shift = columns + width * LINE
    target = shift + 5 * width
    return (
        buffer, columns, shift, shift + width, shift + 2 * width, shift + 3 * width,
        shift + 4 * width, target, target + _BUFFER,
    )  # fmt: skip


@inlined
def working_memory(size: Any) -> Any:
    """Return float32 zeros that begin with a cache line."""
    memory = np.zeros(size + LINE, np.float32)
    skip = (LINE - memory.ctypes.data // 4 % LINE) % LINE
    return memory[skip : skip + size]


@inlined
def add_ratings(
    start: Any, stop: Any, records: Any, weighted: Any, biased: Any, z: Any, offsets: Any,
    scratch: Any, width: Any, buffer: Any, shift: Any, gradient: Any, target: Any,
) -> Any:  # fmt: skip
    """Form g, and add G to P and g to h; return the sum of ``c t^2``.

    If they are `weighted`, `records` hold the ``sqrt(c_ui)``. Without biases, ``c_i = 1``.
    """
    base, source, before = pointer(scratch), pointer(z), pointer(offsets)
    like = zeros(LINE)
    squares = 0.0
    for j in range(0, width, LINE):
        store(base, gradient + j, like)
    for some in range(start, stop, _BUFFER):
        size = min(_BUFFER, stop - some)
        for n in range(size):
            if some + n + _AHEAD < stop:
                ahead = other_of(records, some + n + _AHEAD)
                prefetch(before, ahead)
                for j in range(0, width, LINE):
                    prefetch(source, ahead * width + j)
            other = other_of(records, some + n)
            # With biases, the first lane of z is the root: root t = root r - root (mu + b).
            rating = rating_of(records, some + n)
            t = rating * (z[other, 0] if biased else np.float32(1.0)) - offsets[other]
            if weighted:
                root = root_of(records, some + n)
                t *= root
                for j in range(0, width, LINE):
                    row = mul(root, load(source, other * width + j, like))
                    store(base, buffer + n * width + j, row)
            else:
                for j in range(0, width, LINE):
                    store(base, buffer + n * width + j, load(source, other * width + j, like))
            scratch[target + n] = t
            squares += np.float64(t) * np.float64(t)
        _add_buffer(scratch, width, buffer, gradient, target, size)
    for j in range(0, width, LINE):
        h = add(load(base, shift + j, like), load(base, gradient + j, like))
        store(base, shift + j, h)
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
def squared_errors(
    row: Any, start: Any, stop: Any, records: Any, weighted: Any, biased: Any, z: Any,
    offsets: Any, rows: Any, width: Any,
) -> Any:  # fmt: skip
    """Return the sum of ``c (t - x . z)^2``."""
    source, mine = pointer(z), pointer(rows)
    like = zeros(LINE)
    squares = 0.0
    for n in range(start, stop):
        other = other_of(records, n)
        products = zeros(LINE)
        for j in range(0, width, LINE):
            some = load(source, other * width + j, like)
            products = fma(some, load(mine, row * width + j, like), products)
        rating = rating_of(records, n) * (z[other, 0] if biased else np.float32(1.0))
        error = rating - offsets[other] - total(products)
        if weighted:
            error *= root_of(records, n)
        squares += np.float64(error) * np.float64(error)
    return squares
