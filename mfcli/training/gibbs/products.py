"""Products of tall matrices, with the same bits for any number of threads.

A BLAS may add in a different order on another machine or with other threads. Here the order is
fixed: rows are added one after another within tasks of a fixed size, and tasks are added in order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from mfcli.storage import array_type, each, kernel
from mfcli.types import Doubles

_ROWS = 1 << 14  # of one task

_INT = types.intp
_MATRIX = array_type(types.float64, 2)


def gram(rows: Doubles, threads: int) -> Doubles:
    """Return ``rows^T rows``, shape (width, width)."""
    tasks = -(-len(rows) // _ROWS)
    # One partial sum per task; they are added in order below.
    parts = np.zeros((tasks, rows.shape[1], rows.shape[1]))

    def task(number: int) -> None:
        last = min((number + 1) * _ROWS, len(rows))
        _gram(number * _ROWS, last, rows, parts[number])

    each(task, tasks, threads)
    total: Doubles = parts.sum(axis=0)
    return total


def multiplied(rows: Doubles, matrix: Doubles, threads: int) -> Doubles:
    """Return ``rows @ matrix``."""
    out, matrix = np.empty((len(rows), matrix.shape[1])), np.ascontiguousarray(matrix)

    def task(number: int) -> None:
        last = min((number + 1) * _ROWS, len(rows))
        _multiply(number * _ROWS, last, rows, matrix, out)

    each(task, -(-len(rows) // _ROWS), threads)
    return out


@kernel(_INT, _INT, _MATRIX, _MATRIX)
def _gram(first: Any, last: Any, rows: Any, out: Any) -> None:
    """Set `out` to the sum of ``x x^T`` over the rows x from `first` to ``last - 1``."""
    out[:] = 0.0
    for row in range(first, last):
        for f in range(rows.shape[1]):
            share = rows[row, f]  # the inner loop is along a row, so that it can be vectorized
            for g in range(rows.shape[1]):
                out[f, g] += share * rows[row, g]


@kernel(_INT, _INT, _MATRIX, _MATRIX, _MATRIX)
def _multiply(first: Any, last: Any, rows: Any, matrix: Any, out: Any) -> None:
    """Set the rows `first` to ``last - 1`` of `out` to the product of `rows` and `matrix`."""
    for row in range(first, last):
        out[row] = 0.0
        for f in range(matrix.shape[0]):
            share = rows[row, f]
            for g in range(matrix.shape[1]):
                out[row, g] += share * matrix[f, g]
