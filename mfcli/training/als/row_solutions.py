"""Compiled kernels that solve for the rows of one side, given those of the other.

In the terms of `normal_equations.sums`, where ``c_i = 1``: a row x_u with the penalty D_u, a
diagonal matrix, minimizes the sum over its ratings and the unrated pairs, which add S and s (see
`SideRows.unrated`)::

    sum_i c_ui (t_ui - x . z_i)^2 + x^T S x - 2 x . s + x^T D_u x

so ``P x = h`` with ``P = D_u + S + G`` and ``h = s + g``. The minimum is
``sum_i c_ui t_ui^2 - x . h``, where ``x . h = x^T P x = |U x|^2``. The squared errors of the new
row need no second pass over its ratings::

    sum_i c_ui (t_ui - x . z_i)^2 = sum_i c_ui t_ui^2 - 2 x . g + |U x|^2 - x^T (S + D_u) x

If the result is small beside the terms, as in the kernel of the sampler, the errors are summed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from mfcli.aligned import LINE
from mfcli.storage import array_type, compiled, inlined
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
from mfcli.vectors import add, fma, load, pointer, store, total, zeros

_INT = types.intp
_FLOATS = array_type(types.float32, 1)
_TABLE = array_type(types.float32, 2)
_SUMS = array_type(types.float64, 2)


def solve_rows(width: int, *, weighted: bool, biased: bool) -> Callable[..., None]:
    """Compile the kernel for rows of a width, or load it from the cache.

    It takes ``(first, last, records, z, offsets, unrated, penalties, rows, sums)`` and solves for
    the rows `first` to ``last - 1`` that have ratings. The arguments are those of `draw_rows`, and:

    penalties : float32 array, shape (n, 2)
        Of the first lane of each row, which is the bias in a `biased` kernel, and of the other
        lanes, above 0: the diagonal of D_u.
    sums : float64 array, shape (n, 2)
        Set to the sum of c_ui times the squared errors, and to the minimum, of each row.
    """
    return _compiled(constant_width(width), weighted, biased)


@functools.cache
def _compiled(constant: int, weighted: bool, biased: bool) -> Callable[..., None]:
    return compiled(
        _make_solve_rows(constant, weighted, biased), _INT, _INT, RECORDS, _TABLE, _FLOATS,
        _TABLE, _TABLE, _TABLE, _SUMS,
    )  # fmt: skip


def _make_solve_rows(constant: int, weighted: bool, biased: bool) -> Callable[..., None]:

    def kernel(
        first: Any, last: Any, records: Any, z: Any, offsets: Any, unrated: Any, penalties: Any,
        rows: Any, sums: Any,
    ) -> None:  # fmt: skip
        width = constant if constant else rows.shape[1]
        buffer, columns, shift, gradient, known, roots_at, solved, target, size = layout(width)
        scratch = working_memory(size)
        for row in range(first, last):
            start, stop = records.starts[row], records.starts[row + 1]
            if start == stop:  # the model does not use rows without ratings
                continue
            _set_penalty(row, penalties, unrated, scratch, width, shift)
            squares = add_ratings(
                start, stop, records, weighted, biased, z, offsets, scratch, width, buffer, shift,
                gradient, target,
            )  # fmt: skip
            factor(scratch, width, columns, shift, roots_at, solved)
            solve(row, rows, scratch, width, columns, shift, known, roots_at, solved)
            terms, explained = _square_terms(
                row, penalties, unrated, rows, scratch, width, shift, gradient
            )
            sums[row, 0], sums[row, 1] = squares + terms, squares - explained
            if sums[row, 0] < CANCELED * (squares + explained):
                sums[row, 0] = squared_errors(
                    row, start, stop, records, weighted, biased, z, offsets, rows, width
                )

    return kernel


@inlined
def _set_penalty(
    row: Any, penalties: Any, unrated: Any, scratch: Any, width: Any, shift: Any
) -> None:
    """Set P to ``D + S``, and h to s."""
    base, extra = pointer(scratch), pointer(unrated)
    like = zeros(LINE)
    for j in range(0, width, LINE):
        for f in range(j + LINE):
            store(base, f * width + j, load(extra, f * width + j, like))
        store(base, shift + j, load(extra, width * width + j, like))
    scratch[0] += penalties[row, 0]
    for f in range(1, width):
        scratch[f * width + f] += penalties[row, 1]


@inlined
def _square_terms(
    row: Any, penalties: Any, unrated: Any, rows: Any, scratch: Any, width: Any, shift: Any,
    gradient: Any,
) -> Any:  # fmt: skip
    """Return ``x^T G x - 2 x . g`` and ``|U x|^2``; `solve` has left ``U x`` in place of h."""
    base, extra, mine = pointer(scratch), pointer(unrated), pointer(rows)
    size, rest = zeros(LINE), zeros(LINE)
    for j in range(0, width, LINE):
        x, moved = load(mine, row * width + j, size), load(base, shift + j, size)
        size = fma(moved, moved, size)
        # S x + 2 g
        others = load(base, gradient + j, size)
        others = add(others, others)
        for f in range(width):
            others = fma(rows[row, f], load(extra, f * width + j, size), others)
        rest = fma(x, others, rest)
    penalty = penalties[row, 0] * rows[row, 0] * rows[row, 0]
    for f in range(1, width):
        penalty += penalties[row, 1] * rows[row, f] * rows[row, f]
    explained = np.float64(total(size))
    return explained - np.float64(total(rest)) - np.float64(penalty), explained
