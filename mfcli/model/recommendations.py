"""What to recommend: the items a user has not rated, by predicted rating; and what is alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.data import Ratings, Vocabulary
from mfcli.model.factorization import Factorization
from mfcli.storage import each
from mfcli.training import shared_kernels

_SCORES = 1 << 23  # predicted ratings held at a time by each thread: 32 MB

Rows = NDArray[np.int32]


@dataclass(frozen=True)
class Ranking:
    """The best items of some users, or the nearest of some items.

    Attributes
    ----------
    of : int32 array, shape (m,)
        Rows of the users (or items) that were asked about.
    items : int32 array, shape (m, n)
        Rows, best first; of equal scores the lower row first. -1 where there are fewer than n.
    scores : float32 array, shape (m, n)
        Predicted ratings, not clipped (or cosines); -infinity where there is no item.
    """

    of: Rows
    items: Rows
    scores: NDArray[np.float32]

    def table(self, of: Vocabulary, items: Vocabulary, name: str, score: str) -> pa.Table:
        """List the ranking in raw ids: `name`, rank (from 1), item and `score`."""
        full = (self.items >= 0).ravel()
        n = self.items.shape[1]
        ranks = np.tile(np.arange(1, n + 1, dtype=np.int32), len(self.of))[full]
        columns = {
            name: of.ids.take(pa.array(np.repeat(self.of, n)[full])),
            "rank": pa.array(ranks),
            "item": items.ids.take(pa.array(self.items.ravel()[full])),
            score: pa.array(self.scores.ravel()[full]),
        }
        return pa.table(columns)


@dataclass(frozen=True)
class Rated:
    """What each user has rated, to be left out.

    Attributes
    ----------
    starts : int64 array, shape (n_users + 2,)
        Where each user's items begin. The last user is any unknown one (row -1), with no items.
    items : int32 array, shape (n_ratings,)
    """

    starts: NDArray[np.int64]
    items: Rows

    @classmethod
    def of(cls, first: Ratings, *others: Ratings) -> Rated:
        """Collect what ratings over the same vocabularies name; unknown ids (-1) do not count."""
        user = np.concatenate([part.user for part in (first, *others)])
        item = np.concatenate([part.item for part in (first, *others)])
        known = (user >= 0) & (item >= 0)
        if not known.all():
            user, item = user[known], item[known]
        counts = np.bincount(user, minlength=len(first.users) + 1)
        order = np.argsort(user, kind="stable")
        return cls(np.concatenate([[0], np.cumsum(counts)]), item[order])

    def pairs(self, users: Rows) -> tuple[NDArray[np.int64], Rows]:
        """List what some users have rated: positions in `users`, and rows of items."""
        starts, counts = self.starts[users], np.diff(self.starts)[users]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        position = np.repeat(np.arange(len(users)), counts)
        return position, self.items[np.repeat(starts, counts) + within]


def top_items(
    model: Factorization,
    users: Rows,
    n: int,
    *,
    exclude: Rated | None = None,
    candidates: Rows | None = None,
    threads: int = 1,
) -> Ranking:
    """Rank items for users by predicted rating.

    Parameters
    ----------
    model : Factorization
    users : int32 array, shape (m,)
        Rows of the user tables; -1 for any unknown user, who has no factors and no bias.
    n : int
        Items for each user.
    exclude : Rated, optional
        What is not to be recommended again.
    candidates : int32 array, optional
        Rows of the only items allowed, ascending; all by default.
    threads : int
        The result does not depend on it.

    Returns
    -------
    Ranking
    """
    allowed = np.arange(len(model.items), dtype=np.int32) if candidates is None else candidates
    # One product ranks by p . q + b_i; what is the same for all items of a user is added after.
    nobody = np.zeros((1, model.k), np.float32)  # the last row is that of -1
    factors = np.concatenate([model.user_factors, nobody])
    left = np.column_stack([factors, np.ones(len(factors), np.float32)])
    right = np.column_stack([model.item_factors, model.item_biases])[allowed]
    place = np.full(len(model.items), -1, np.int32)
    place[allowed] = np.arange(len(allowed), dtype=np.int32)

    def hide(scores: NDArray[np.float32], block: Rows) -> None:
        if exclude is not None:
            _hide_rated(scores, block, exclude, place)

    ranking = _ranked(left, right, users, min(n, len(allowed)), hide, threads)
    constant = np.float32(model.mu) + np.append(model.user_biases, np.float32(0))[users]
    items = np.where(ranking.items >= 0, allowed[ranking.items], -1).astype(np.int32)
    return Ranking(users, items, ranking.scores + constant[:, None])


def top_of_order(order: Rows, users: Rows, n: int, rated: Rated, threads: int = 1) -> Rows:
    """Rank items for users in one order for all, without what each has rated.

    Parameters
    ----------
    order : int32 array, shape (n_items,)
        Rows of the items, best first.
    users : int32 array, shape (m,)
        -1 for any unknown user.
    n : int
    rated : Rated
    threads : int

    Returns
    -------
    int32 array, shape (m, n)
        -1 where fewer than n are left.
    """
    items = np.full((len(users), n), -1, np.int32)
    size = -(-len(users) // max(threads, 1))

    def task(number: int) -> None:
        part = slice(number * size, (number + 1) * size)
        seen = np.full(len(order), -1, np.int32)
        arrays = (order, rated.starts, rated.items, users[part], seen, items[part])
        shared_kernels().first_unrated(*arrays)

    each(task, -(-len(users) // size) if size else 0, threads)
    return items


def similar(
    factors: NDArray[np.float32], rows: Rows, n: int, allowed: NDArray[np.bool_] | None = None
) -> Ranking:
    """Rank rows of a table by the cosine of their factors to those of some rows, without these.

    A row of zeros, which no rating has moved, is like nothing. If `allowed` is given, so is a row
    for which it is false.
    """
    length = np.linalg.norm(factors, axis=1, keepdims=True)
    unit = np.divide(factors, length, out=np.zeros_like(factors), where=length > 0)
    hidden = (length == 0).ravel() | (False if allowed is None else ~allowed)

    def hide(scores: NDArray[np.float32], block: Rows) -> None:
        scores[:, hidden] = -np.inf
        scores[np.arange(len(block)), block] = -np.inf

    return _ranked(unit, unit, rows, min(n, len(factors) - 1), hide, 1)


def _ranked(
    left: NDArray[np.float32],
    right: NDArray[np.float32],
    rows: Rows,
    n: int,
    hide: Any,
    threads: int,
) -> Ranking:
    """Rank the rows of `right` by their products with rows of `left`, in blocks."""
    size = max(1, min(_SCORES // max(len(right), 1), -(-len(rows) // max(threads, 1))))
    items = np.full((len(rows), n), -1, np.int32)
    best = np.full((len(rows), n), -np.inf, np.float32)
    columns = np.ascontiguousarray(right.T)

    def task(number: int) -> None:
        part = slice(number * size, (number + 1) * size)
        scores = left[rows[part]] @ columns  # (b, n_items)
        hide(scores, rows[part])
        shared_kernels().select_top(scores, items[part], best[part])

    each(task, -(-len(rows) // size), threads)
    return Ranking(rows, items, best)


def _hide_rated(
    scores: NDArray[np.float32], users: Rows, rated: Rated, place: NDArray[np.int32]
) -> None:
    row, items = rated.pairs(users)
    column = place[items]
    scores[row[column >= 0], column[column >= 0]] = -np.inf
