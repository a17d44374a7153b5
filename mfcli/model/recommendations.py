"""Rank items for users by predicted rating, and items or users by similarity."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from mfcli.data import (
    Ratings,
    RatingsLike,
    as_pairs,
    as_ratings,
    is_table,
)
from mfcli.errors import UsageError, warn
from mfcli.model.diversity import Diversity
from mfcli.model.factorization import Factorization
from mfcli.model.folder import StoredModel
from mfcli.model.orders import BY_MEAN, Order
from mfcli.model.panels import Panels, directions_of, lengths_of, make_panels
from mfcli.model.ranking import Ranking
from mfcli.model.rated import Rated
from mfcli.model.rated_parts import RatedParts
from mfcli.model.top_n import GROUP, first_unrated, scratch_for, select_best
from mfcli.splits import PARTS, Split
from mfcli.storage import each
from mfcli.types import Floats, Mask, Progress, Rows

_BLOCK = 50 * GROUP  # queries ranked by a task
_SAMPLE = 1024  # queries whose mean length is computed

Select: TypeAlias = Callable[[Rows, Rows, Floats], None]
"""Takes queries, and lists of items and scores that it sets, as `select_best` does."""


def excluded(model: StoredModel, exclude: Split | RatingsLike | None) -> RatedParts | None:
    """Return the pairs that are not recommended, in the rows of a model.

    Parameters
    ----------
    model : StoredModel
    exclude : Split, Ratings or what `ratings_from` takes, optional
        They may have other vocabularies: pairs are matched by their ids. A table needs no ratings.

    Raises
    ------
    DataError, UsageError
        If it is neither a split nor ratings nor a table of pairs.
    """
    if exclude is None:
        return None
    if is_table(exclude) and not isinstance(exclude, Ratings):
        return RatedParts([_pairs_in(model, exclude)], model.users, model.items)
    if isinstance(exclude, Split):
        parts = [*exclude.parts.values()]
    elif isinstance(exclude, str) and exclude in ("split", *PARTS, "none"):
        # The words of the command line; any other text is the path of a file.
        rule, remedy = "must be a split or ratings", "give a Split, or a part, such as split.train"
        raise UsageError(rule, param="exclude", value=exclude, remedy=remedy)
    else:
        parts = [as_ratings(exclude, "exclude", model.feedback)]
    return RatedParts(parts, model.users, model.items)


def trained_parts(model: StoredModel, split: Split) -> RatedParts:
    """Return the ratings that a model was trained on."""
    parts = [part for name, part in split.parts.items() if name in ("train", *model.trained_on)]
    return RatedParts(parts, model.users, model.items)


def _pairs_in(model: Factorization, table: Any) -> Ratings:
    """Return the pairs of a table in the rows of a model; ratings of zero stand for any."""
    users, items = as_pairs(table, "exclude")
    user, item = model.users.rows(users), model.items.rows(items)
    return Ratings(user, item, np.zeros(len(user), np.float32), None, model.users, model.items)


@dataclass(frozen=True)
class ArrangedItems:
    """Items to choose from, arranged in advance, so that many small requests are fast.

    Attributes
    ----------
    model : Factorization
    rows : int32 array
        Of the items, ascending.
    panels : Panels
    """

    model: Factorization
    rows: Rows
    panels: Panels

    @classmethod
    def of(
        cls, model: Factorization, rows: Rows | None = None, users: Rows | None = None
    ) -> ArrangedItems:
        """Arrange some items of a model for some users, given by their rows; by default all.

        The lists of other users are the same, and take longer if the users are very different.
        """
        if rows is None:
            rows = np.arange(len(model.items), dtype=np.int32)
        if users is None:
            users = np.arange(len(model.users), dtype=np.int32)
        usual = _usual_length(model.user_factors, users)
        return cls(model, rows, make_panels(model.item_factors, model.item_biases, rows, usual))

    @functools.cached_property
    def directions(self) -> Floats:
        """Factors of all items with the length 1, shape (n_items, k)."""
        return directions_of(self.model.item_factors)

    @functools.cached_property
    def have_biases(self) -> bool:
        """Whether an item has a bias."""
        return bool(self.model.item_biases.any())


def top_items(
    model: Factorization,
    users: Rows,
    n: int,
    *,
    exclude: Rated | None = None,
    candidates: Rows | ArrangedItems | None = None,
    diversity: float = 0,
    threads: int = 1,
    on_progress: Progress = lambda done, total: None,
) -> Ranking:
    """Rank items for users by predicted rating.

    If the model has no item biases, all items have the same prediction for a user without factors.
    Such a user gets the most popular items.

    Parameters
    ----------
    model : Factorization
    users : int32 array, shape (m,)
        Rows of the user tables; -1 for an unknown user, who has no factors and no bias.
    n : int
        Number of items for each user.
    exclude : Rated, optional
        Items not to recommend.
    candidates : int32 array or ArrangedItems, optional
        Rows of the items to choose from, ascending; by default all.
    diversity : float
        From 0, for the best items, to 1; see `diversity.py`.
    threads : int
        Does not change the result.
    on_progress : callable, optional
        Called with the number of users ranked and the total.

    Returns
    -------
    Ranking
    """
    # One product ranks by p . q + b_i. The rest is the same for all items of a user and is added
    # afterwards.
    exclude = exclude or Rated.nothing(len(model.users))
    if not isinstance(candidates, ArrangedItems):
        candidates = ArrangedItems.of(model, candidates, users)
    ranking = _ranked_in(
        candidates.panels,
        len(model.items),
        model.user_factors,
        users,
        n,
        exclude,
        threads,
        on_progress,
        Diversity(diversity, candidates.directions) if diversity else None,
    )
    equal = _have_equal_scores(model, users, candidates.have_biases)
    if equal.any():
        order = candidates.rows[np.argsort(-model.items.counts[candidates.rows], kind="stable")]
        shape = users[equal], ranking.items.shape[1]
        ranking.items[equal] = top_of_order(order, *shape, exclude, threads)
    constant = np.float32(model.mu) + np.append(model.user_biases, np.float32(0))[users]
    return replace(ranking, scores=ranking.scores + constant[:, None])


def _have_equal_scores(model: Factorization, users: Rows, have_biases: bool) -> Mask:
    """Return for which users all items have the same score."""
    if have_biases:
        return np.zeros(len(users), np.bool_)
    return (users < 0) | ~np.asarray(model.user_factors[users].any(axis=1))


def warn_untrained(model: Factorization, users: Rows, order: Order = BY_MEAN) -> None:
    """Warn about users without training ratings, whose recommendations are not personal."""
    untrained = int(np.count_nonzero(model.users.counts[users] == 0))
    if untrained:
        by = "the items' biases" if model.item_biases.any() else "popularity"
        how = "with tastes drawn at random" if order.sort == "sample" else f"by {by} alone"
        warn(
            f"{untrained:,} of {len(users):,} users have no training ratings; items are recommended"
            f" to them {how}"
        )


def top_of_order(order: Rows, users: Rows, n: int, rated: Rated, threads: int = 1) -> Rows:
    """Return the first items of an order, the same for all users, that each user has not rated.

    Parameters
    ----------
    order : int32 array
        Rows of items, best first.
    users : int32 array, shape (m,)
        -1 for an unknown user.
    n : int
    rated : Rated
    threads : int
        Does not change the result.

    Returns
    -------
    int32 array, shape (m, n)
        -1 where fewer than n are left.
    """
    items = np.full((len(users), n), -1, np.int32)
    size = -(-len(users) // max(threads, 1))
    most = max(order.max(initial=-1), rated.items.max(initial=-1))

    def task(number: int) -> None:
        part = slice(number * size, (number + 1) * size)
        seen = np.full(most + 1, -1, np.int32)
        first_unrated(order, rated.starts, rated.items, users[part], seen, items[part])

    each(task, -(-len(users) // size) if size else 0, threads)
    return items


class Similarity:
    """Ranks the rows of a table by the cosine of their factors with those of given rows.

    A row is not in its own ranking. Rows of zeros, which have no training ratings, and rows that
    are not allowed are in no ranking. The ranking of a row of zeros is empty.

    Parameters
    ----------
    factors : float32 array, shape (n_rows, k)
    allowed : bool array, shape (n_rows,), optional
    """

    def __init__(self, factors: Floats, allowed: Mask | None = None) -> None:
        # cos(p, q) = (p / |p|) . (q / |q|), so the rows are scaled once and then only multiplied.
        self._unit = directions_of(factors)
        self._has_direction: Mask = np.asarray(self._unit.any(axis=1))
        shown = self._has_direction & (True if allowed is None else allowed)
        zeros = np.zeros(len(factors), np.float32)
        candidates = np.flatnonzero(shown).astype(np.int32)
        self._panels = make_panels(self._unit, zeros, candidates, 1.0)
        self._itself = Rated.itself(len(factors))

    def ranking(self, rows: Rows, n: int) -> Ranking:
        """Rank the rows that are most similar to given ones.

        Parameters
        ----------
        rows : int32 array, shape (m,)
        n : int
        """
        size = len(self._unit)
        ranking = _ranked_in(self._panels, size, self._unit, rows, min(n, size - 1), self._itself)
        empty = ~self._has_direction[rows]
        ranking.items[empty], ranking.scores[empty] = -1, -np.inf
        # Rounding can give 1.0000001, which is no cosine.
        return replace(ranking, scores=np.minimum(ranking.scores, np.float32(1)))


def similar(factors: Floats, rows: Rows, n: int, allowed: Mask | None = None) -> Ranking:
    """Rank the rows of a table that are most similar to given ones; see `Similarity`."""
    return Similarity(factors, allowed).ranking(rows, n)


def _ranked(
    factors: Floats,
    queries: Rows,
    table: tuple[Floats, Floats],
    candidates: Rows,
    n: int,
    exclude: Rated,
    threads: int = 1,
) -> Ranking:
    """Rank some rows of a table of factors and biases for rows of `factors`."""
    panels = make_panels(*table, candidates, _usual_length(factors, queries))
    return _ranked_in(panels, len(table[1]), factors, queries, n, exclude, threads)


def _usual_length(factors: Floats, queries: Rows) -> float:
    """Return the mean length of some rows."""
    sample = queries[:: 1 + len(queries) // _SAMPLE]
    return float(lengths_of(factors[sample]).mean()) if len(sample) else 0.0


def _ranked_in(
    panels: Panels,
    size: int,
    factors: Floats,
    queries: Rows,
    n: int,
    exclude: Rated,
    threads: int = 1,
    on_progress: Progress = lambda done, total: None,
    diversity: Diversity | None = None,
) -> Ranking:
    """Rank arranged rows, of a table of this size, for rows of `factors`, block by block."""
    factors = np.ascontiguousarray(factors, np.float32)

    def select(users: Rows, items: Rows, best: Floats) -> None:
        scratch, marks = scratch_for(panels.values), np.zeros(size, np.uint32)
        select_best(
            factors, users, panels.usual, panels.values, panels.rows, panels.bounds,
            exclude.starts, exclude.items, scratch, marks, items, best,
        )  # fmt: skip

    count = int(np.count_nonzero(panels.rows >= 0))
    return ranked_by(select, queries, n, count, threads, on_progress, diversity)


def ranked_by(
    select: Select,
    queries: Rows,
    n: int,
    count: int,
    threads: int,
    on_progress: Progress,
    diversity: Diversity | None,
) -> Ranking:
    """Rank with a function that finds the best of `count` rows for a block of queries."""
    items, best = empty_lists(len(queries), min(n, count))
    finished = itertools.count(1)  # `next` is atomic

    def task(number: int) -> None:
        part = slice(number * _BLOCK, (number + 1) * _BLOCK)
        chosen = items[part], best[part]
        found = chosen
        if diversity:
            found = empty_lists(len(chosen[0]), min(diversity.pool(n), count))
        select(queries[part], *found)
        if diversity:
            diversity.choose(*found, *chosen)
        on_progress(min(_BLOCK * next(finished), len(queries)), len(queries))

    each(task, -(-len(queries) // _BLOCK), threads)
    return Ranking(queries, items, best)


def empty_lists(count: int, n: int) -> tuple[Rows, Floats]:
    """Return the items and scores of empty lists."""
    return np.full((count, n), -1, np.int32), np.full((count, n), -np.inf, np.float32)
