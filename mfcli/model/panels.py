"""Rows to rank, in the order and the layout in which a kernel finds the best of them quickly.

The score of a row z with the bias b for a query x is at most b + |x| |z|. Rows come in descending
order of b + c |z|, where c is the mean length of the queries. Then, from any row with the sum s on,

    b + |x| |z| = b + c |z| + (|x| - c) |z| <= s + (|x| - c) (the largest or the smallest |z|),

depending on the sign. Once this is less than the n-th best score so far, the best n are found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mfcli.aligned import LINE, aligned
from mfcli.types import Doubles, Floats, Rows

_ROUNDING = 2.0**-22  # twice the largest relative error of a product and a sum in float32
_TINY = 1e-30  # more than the error of values too small for a relative one


class Panels(NamedTuple):
    """Rows in panels of `LINE`, which are scored together.

    Attributes
    ----------
    values : float32 array, shape (n_panels, k + 1, LINE)
        The factors and, at the end, the biases of the rows of each panel; aligned.
    rows : int32 array, shape (n_panels * LINE,)
        The number of each row; -1 for none, at the end of the last panel.
    bounds : float64 array, shape (n_panels, 3)
        For each panel and all further ones: the largest ``b + c |z|``, ``|z|``, and the smallest
        ``|z|``, so that no score that is computed exceeds the bound they give.
    usual : float
        The length c.
    """

    values: Floats
    rows: Rows
    bounds: Doubles
    usual: float


def make_panels(factors: Floats, biases: Floats, rows: Rows, usual: float) -> Panels:
    """Arrange some rows of a table.

    Parameters
    ----------
    factors, biases : float32 arrays, shapes (n_rows, k) and (n_rows,)
    rows : int32 array, shape (m,)
    usual : float
        The mean length of the queries. It affects the speed only.
    """
    k = factors.shape[1]
    exact = biases[rows].astype(np.float64)
    # Scores are rounded at each step, so the bound is raised by more than that.
    rounding = (k + 2) * _ROUNDING
    lengths = lengths_of(factors)[rows] * (1 + rounding)
    sums = exact + rounding * np.abs(exact) + usual * lengths
    order = np.argsort(-sums, kind="stable")
    count = -(-len(rows) // LINE)
    numbers = np.full(count * LINE, -1, np.int32)
    numbers[: len(rows)] = rows[order]
    values = aligned((count, k + 1, LINE))
    values[:, :k] = factors[numbers].reshape(count, LINE, k).transpose(0, 2, 1)
    values[:, k] = biases[numbers].reshape(count, LINE)
    slack = _TINY + 1e-12 * np.abs(sums).max(initial=0)  # of the bound itself
    starts = np.arange(0, len(rows), LINE)
    from_end = lengths[order][::-1]
    bounds = np.column_stack(
        [
            sums[order][starts] + slack,
            np.maximum.accumulate(from_end)[::-1][starts],
            np.minimum.accumulate(from_end)[::-1][starts],
        ]
    )
    return Panels(values, numbers, bounds, usual)


def lengths_of(factors: Floats) -> Doubles:
    """Return the length of each row, shape (n_rows,)."""
    lengths: Doubles = np.sqrt(np.einsum("nk,nk->n", factors, factors, dtype=np.float64))
    return lengths


def directions_of(factors: Floats) -> Floats:
    """Divide each row by its length; rows of zeros stay, shape (n_rows, k)."""
    length = np.linalg.norm(factors, axis=1, keepdims=True)
    directions: Floats = np.divide(factors, length, out=np.zeros_like(factors), where=length > 0)
    return directions
