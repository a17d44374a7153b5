"""Products of tall matrices of float32, with the same bits for any number of threads.

A BLAS may add in a different order on another machine or with other threads. Here the order is
fixed: rows are added one after another within pieces of a fixed size, and pieces are added in
order.
All widths are multiples of 16.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from mfcli.aligned import LINE, aligned, as_aligned
from mfcli.storage import array_type, each, kernel
from mfcli.types import Doubles, Floats
from mfcli.vectors import add_products, pointer, store, zeros

_ROWS = 1 << 13  # of a piece
_CHUNK = 64  # rows summed in float32, before their sum is added in float64
_STRIP = 4  # rows of a product that are computed at once

_TABLE = array_type(types.float32, 2)
_MATRIX = array_type(types.float64, 2)


def in_pieces(task: Callable[[slice], None], rows: int, threads: int) -> None:
    """Call a task with slices of rows, on some threads; the slices do not depend on them."""
    each(
        lambda number: task(slice(number * _ROWS, min((number + 1) * _ROWS, rows))),
        -(-rows // _ROWS),
        threads,
    )


def sum_of_rows(rows: Floats, threads: int) -> Doubles:
    """Return the sum of the rows, float64 of shape (width,)."""
    return _sum(lambda some: rows[some], rows.shape, threads)


def sum_of_products(weights: Floats, rows: Floats, threads: int) -> Doubles:
    """Return ``weights @ rows``, float64 of shape (width,)."""
    return _sum(lambda some: weights[some, None] * rows[some], rows.shape, threads)


def _sum(rows_in: Callable[[slice], Floats], shape: tuple[int, ...], threads: int) -> Doubles:
    """Return the sum of the rows that a function returns for each piece."""
    # One partial sum per piece; they are added in order.
    parts = np.zeros((-(-shape[0] // _ROWS), shape[1]))

    def task(some: slice) -> None:
        rows_in(some).sum(axis=0, dtype=np.float64, out=parts[some.start // _ROWS])

    in_pieces(task, shape[0], threads)
    whole: Doubles = parts.sum(axis=0)
    return whole


def gram(rows: Floats, threads: int) -> Doubles:
    """Return ``rows^T rows``, float64 of shape (width, width)."""
    rows, width = as_aligned(rows), rows.shape[1]
    parts = np.zeros((-(-len(rows) // _ROWS), width, width))

    def task(some: slice) -> None:
        _gram(rows[some], aligned((width, width)), parts[some.start // _ROWS])

    in_pieces(task, len(rows), threads)
    upper = np.triu(parts.sum(axis=0))
    whole: Doubles = upper + np.triu(upper, 1).T
    return whole


def add_product(rows: Floats, matrix: Doubles | Floats, out: Floats) -> None:
    """Add ``rows @ matrix`` to `out`; the matrix is rounded to float32 first.

    Rows and `out` begin with a cache line.
    """
    _add_product(rows, as_aligned(matrix), out)


def multiplied(rows: Floats, matrix: Doubles | Floats, threads: int) -> Floats:
    """Return ``rows @ matrix``, float32; the matrix is rounded first."""
    factor = as_aligned(matrix)
    out = aligned((len(rows), matrix.shape[1]))
    in_pieces(lambda some: _add_product(rows[some], factor, out[some]), len(rows), threads)
    return out


@kernel(_TABLE, _TABLE, _MATRIX)
def _gram(rows: Any, some: Any, out: Any) -> None:
    """Add ``x x^T`` over the rows x to the upper triangle of `out`.

    `some` is working memory for a matrix.
    """
    base, tile = pointer(rows), pointer(some)
    width = rows.shape[1]
    like = zeros(LINE)
    for start in range(0, len(rows), _CHUNK):
        count, at = min(_CHUNK, len(rows) - start), start * width
        for n in range(0, width * width, LINE):
            store(tile, n, like)
        for s in range(0, width, _STRIP):
            for j in range(s // LINE * LINE, width, LINE):
                add_products(
                    tile, s * width + j, width, base, at + s, 1, width,
                    base, at + j, width, count, _STRIP, like,
                )  # fmt: skip
        for f in range(width):
            for g in range(f, width):
                out[f, g] += some[f, g]


@kernel(_TABLE, _TABLE, _TABLE)
def _add_product(rows: Any, matrix: Any, out: Any) -> None:
    base, factor, product = pointer(rows), pointer(matrix), pointer(out)
    inner, width = matrix.shape
    like = zeros(LINE)
    whole = len(rows) - len(rows) % _STRIP
    for row in range(0, whole, _STRIP):
        for j in range(0, width, LINE):
            add_products(
                product, row * width + j, width, base, row * inner, inner, 1,
                factor, j, width, inner, _STRIP, like,
            )  # fmt: skip
    for row in range(whole, len(rows)):
        for j in range(0, width, LINE):
            add_products(
                product, row * width + j, width, base, row * inner, inner, 1,
                factor, j, width, inner, 1, like,
            )  # fmt: skip
