"""Losses of a model on held-out ratings."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from mfcli.aligned import LINE, aligned, lanes_of
from mfcli.data import Ratings, pairwise_sum
from mfcli.model import Model
from mfcli.storage import array_type, compiled, each, release
from mfcli.training.engine import Losses
from mfcli.types import Doubles, Floats, Rows
from mfcli.vectors import fma, load, pointer, prefetch, total, zeros

_PIECE = 1 << 16  # ratings in one partial sum
_AHEAD = 16  # ratings between the prefetch of their rows and their use

_INT = types.intp
_ROWS = array_type(types.int32, 1, readonly=True)
_RATINGS = array_type(types.float32, 1, readonly=True)
_FLOATS = array_type(types.float32, 1)
_TABLE = array_type(types.float32, 2)


def held_out_losses(model: Model, held_out: Ratings, threads: int = 1) -> Losses:
    """Return the losses of a model of SGD or Adam on held-out ratings."""
    mse = held_out_mse(model, held_out, threads)
    return Losses(mse + _penalty(model, held_out), mse)


def held_out_mse(model: Model, held_out: Ratings, threads: int = 1) -> float:
    """Return the mean squared error of a model on held-out ratings.

    Predictions are those of `Model.predict_rows`, but for rounding.

    Parameters
    ----------
    model : Model
    held_out : Ratings
    threads : int
        Does not change the result.
    """
    # (b_u, p_u) . (1, q_i) = b_u + p_u . q_i
    users = _rows(model.user_factors, model.user_biases)
    items = _rows(model.item_factors, np.float32(1.0))
    biases = np.append(model.item_biases, np.float32(0.0))
    kernel = _squared_errors(users.shape[1])

    def add(user: Rows, item: Rows, rating: Floats, out: Doubles) -> None:
        kernel(user, item, rating, users, items, biases, np.float32(model.mu), out)

    return squared_errors(held_out, add, threads) / len(held_out)


def squared_errors(
    held_out: Ratings, add: Callable[[Rows, Rows, Floats, Doubles], None], threads: int
) -> float:
    """Return the sum of the squared errors of ratings, which are read piece by piece.

    Parameters
    ----------
    held_out : Ratings
    add : callable
        ``(user, item, rating, out)``: set ``out[0]`` to the sum of some of the ratings.
    threads : int
        Does not change the result.
    """
    sums: list[Doubles] = []
    pieces = (held_out.pieces(name) for name in ("user", "item", "rating"))
    for user, item, rating in zip(*pieces, strict=True):
        some = np.zeros(-(-len(rating) // _PIECE))

        def task(
            number: int, columns: tuple[Any, Any, Any] = (user, item, rating), out: Doubles = some
        ) -> None:
            users, items, ratings = columns
            part = slice(number * _PIECE, (number + 1) * _PIECE)
            add(users[part], items[part], ratings[part], out[number : number + 1])

        each(task, len(some), threads)
        sums.append(some)
    # The pieces are added in order, whatever thread has summed them.
    return float(np.concatenate(sums).sum())


def sum_over(values: Doubles, rows: Rows) -> float:
    """Return ``values[rows].sum()``, for rows that are read piece by piece."""

    def part(some: slice) -> Doubles:
        found = values[rows[some]]
        release(rows[some])
        return found

    return pairwise_sum(part, len(rows))


def _rows(factors: Floats, first: Floats | np.float32) -> Floats:
    """Return factors in rows of a multiple of 16 lanes after a first one; the last row has none.

    The last row is that of an unknown user or item, -1.
    """
    n, k = factors.shape
    rows = aligned((n + 1, lanes_of(1 + k)))
    rows[:n, 0], rows[:n, 1 : 1 + k] = first, factors
    if isinstance(first, np.float32):
        rows[n, 0] = first
    return rows


@functools.cache
def _squared_errors(width: int) -> Callable[..., None]:
    """Compile ``(user, item, rating, users, items, biases, mu, out)``, which sets ``out[0]``."""
    return compiled(
        _make_squared_errors(width), _ROWS, _ROWS, _RATINGS, _TABLE, _TABLE, _FLOATS,
        types.float32, array_type(types.float64, 1),
    )  # fmt: skip


def _make_squared_errors(width: int) -> Callable[..., None]:
    def kernel(
        user: Any, item: Any, rating: Any, users: Any, items: Any, biases: Any, mu: Any, out: Any
    ) -> None:
        p, q = pointer(users), pointer(items)
        like = zeros(LINE)
        squares = 0.0
        for n in range(len(rating)):
            if n + _AHEAD < len(rating):
                u, i = np.intp(user[n + _AHEAD]), np.intp(item[n + _AHEAD])
                for j in range(0, width, LINE):
                    prefetch(p, u * width + j)
                    prefetch(q, i * width + j)
            u, i = np.intp(user[n]), np.intp(item[n])
            u, i = u + len(users) * (u < 0), i + len(items) * (i < 0)
            products = zeros(LINE)
            for j in range(0, width, LINE):
                products = fma(load(p, u * width + j, like), load(q, i * width + j, like), products)
            error = total(products) + biases[i] + mu - rating[n]
            squares += np.float64(error) * np.float64(error)
        out[0] = squares

    return kernel


def _penalty(model: Model, held_out: Ratings) -> float:
    """Return the penalty of the tables, plus the mean penalty of the rows of each rating."""
    total = 0.0
    for name, table in model.tables.items():
        # sum over tables of reg |table|^2, plus the mean over ratings of reg |row|^2
        squares = np.square(table.reshape(len(table), -1), dtype=np.float64).sum(axis=1)
        rows = held_out.user if name.startswith("user") else held_out.item
        total += model.config.table_regs[name] * float(squares.sum())
        total += model.config.rating_regs[name] * (sum_over(squares, rows) / len(rows))
    return total
