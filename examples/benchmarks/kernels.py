"""Kernels that are measured alone: sums of the Gibbs engine, and the peaks of the machine.

They are not kept in the cache of mfcli, which does not know their sources.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba

from mfcli.training.normal_equations.sums import (
    add_ratings,
    constant_width,
    layout,
    working_memory,
)
from mfcli.vectors import add, fma, load, pointer, store, total, zeros


@functools.cache
def gram_matrices(width: int) -> Callable[..., None]:
    """Make a kernel for the sums over the ratings of each row, as the engine computes them.

    It takes ``(first, last, records, z, offsets, out)``; see `draw_rows`.
    """
    constant = constant_width(width)

    def kernel(first: Any, last: Any, records: Any, z: Any, offsets: Any, out: Any) -> None:
        width = constant if constant else z.shape[1]
        buffer, _, shift, gradient, _, _, _, target, size = layout(width)
        scratch = working_memory(size)
        for row in range(first, last):
            scratch[:buffer] = 0.0
            scratch[shift : shift + width] = 0.0
            squares = add_ratings(
                records.starts[row], records.starts[row + 1], records, False, True, z, offsets,
                scratch, width, buffer, shift, gradient, target,
            )  # fmt: skip
            out[row] = squares + scratch[0]  # used, so that the compiler omits nothing

    made: Callable[..., None] = numba.njit(nogil=True)(kernel)
    return made


@functools.cache
def multiply_adds(lanes: int) -> Callable[..., None]:
    """Make a kernel for ``turns`` times ten independent multiply-adds of vectors.

    It takes ``(turns, values)``; values are 12 vectors, of which it changes the first.
    """

    def kernel(turns: Any, values: Any) -> None:
        base, like = pointer(values), zeros(lanes)
        x, y = load(base, 10 * lanes, like), load(base, 11 * lanes, like)
        # Ten sums, because the next multiply-add of a sum waits for the last one.
        a, b = load(base, 0, like), load(base, lanes, like)
        c, d = load(base, 2 * lanes, like), load(base, 3 * lanes, like)
        e, f = load(base, 4 * lanes, like), load(base, 5 * lanes, like)
        g, h = load(base, 6 * lanes, like), load(base, 7 * lanes, like)
        i, j = load(base, 8 * lanes, like), load(base, 9 * lanes, like)
        for _ in range(turns):
            a, b, c, d, e = fma(a, x, y), fma(b, x, y), fma(c, x, y), fma(d, x, y), fma(e, x, y)
            f, g, h, i, j = fma(f, x, y), fma(g, x, y), fma(h, x, y), fma(i, x, y), fma(j, x, y)
        left = add(add(add(a, b), add(c, d)), e)
        store(base, 0, add(left, add(add(add(f, g), add(h, i)), j)))

    made: Callable[..., None] = numba.njit(nogil=True)(kernel)
    return made


@functools.cache
def reads() -> Callable[..., None]:
    """Make a kernel that reads an array some times, and writes the sum to its first value.

    It takes ``(turns, values)``. The array begins with a cache line; its size is a multiple of 64.
    """

    def kernel(turns: Any, values: Any) -> None:
        base, like = pointer(values), zeros(16)
        a, b, c, d = like, like, like, like
        for _ in range(turns):
            for n in range(0, len(values), 64):
                a, b = add(a, load(base, n, like)), add(b, load(base, n + 16, like))
                c, d = add(c, load(base, n + 32, like)), add(d, load(base, n + 48, like))
        values[0] = total(add(add(a, b), add(c, d)))

    made: Callable[..., None] = numba.njit(nogil=True)(kernel)
    return made
