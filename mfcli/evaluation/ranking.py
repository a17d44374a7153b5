"""Rank items with a model and with baselines, and measure the rankings.

The measures and their definitions are in `ranking_measures.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mfcli import model as models  # loads the kernels of rankings only when they are needed
from mfcli.data import Ratings
from mfcli.errors import DataError, Param
from mfcli.evaluation.baselines import Baseline
from mfcli.evaluation.bootstrap import Bootstrap, Measured
from mfcli.evaluation.ranking_measures import (
    ITEM_FORMULAS,
    SUM_FORMULAS,
    SUM_TERMS,
    USER_FORMULAS,
    RankedHits,
)
from mfcli.types import Counts, Doubles, Mask, Progress, Rows

if TYPE_CHECKING:
    from mfcli.model import Model, Rated

_BLOCK = 1 << 14  # users ranked at a time

Ranker: TypeAlias = Callable[[Rows], Rows]
"""Takes the rows of m users, and returns rows of items, shape (m, n), best first, -1 for none."""


@dataclass(frozen=True)
class MeasuredRankings:
    """The measures of several rankers for the same users.

    Attributes
    ----------
    users : int
        Users with relevant items.
    relevant_share : float
        Fraction of the ratings that are relevant.
    rankers : dict of Measured
        Of the `model`, of the most `popular` items in training, and of the items with the highest
        damped `biases`.
    """

    users: int
    relevant_share: float
    rankers: dict[str, Measured]


def measure_rankings(
    model: Model,
    ratings: Ratings,
    train: Ratings,
    baseline: Baseline,
    *,
    at: int,
    relevant: float,
    bootstrap: Bootstrap,
    on_progress: Progress = lambda done, total: None,
) -> MeasuredRankings:
    """Measure the rankings of a model, of popularity and of damped biases.

    Parameters
    ----------
    model : Model
    ratings : Ratings
        To measure on; any vocabularies.
    train : Ratings
        Its pairs are not recommended; any vocabularies.
    baseline : Baseline
        Fitted to `train`.
    at : int
        Ranking cutoff.
    relevant : float
        Smallest rating of a relevant item.
    bootstrap : Bootstrap
        Its threads also rank.
    on_progress : callable, optional
        Called with the number of users ranked and the total.

    Raises
    ------
    DataError
        If no rating is relevant.
    """
    own = train.within(model.users, model.items)
    rated = models.Rated.of(own)
    is_relevant = ratings.rating >= relevant
    liked = _Liked.of(ratings.take(is_relevant), model, rated)
    if not len(liked.users):
        raise DataError(
            f"no rating of an item that its user did not rate in training is at least {relevant:g}",
            remedy=["lower ", Param("relevant"), ", or omit ", Param("ranking")],
        )
    # Items of `train` that the model does not know have row -1, which bincount refuses.
    counts = np.bincount(own.item[own.item >= 0], minlength=len(model.items))
    rankers = _rankers(model, rated, counts, _biases(model, train, baseline), at, bootstrap.threads)
    popularity = _fractions_below(counts)
    # All rankers rank a block before the next one, so that progress is of users.
    found = {name: _RankingSums(liked, at, popularity) for name in rankers}
    for start in range(0, len(liked.users), _BLOCK):
        users = liked.users[start : start + _BLOCK]
        for name, rank in rankers.items():
            found[name].add(start, rank(users))
        on_progress(start + len(users), len(liked.users))
    return MeasuredRankings(
        len(liked.users),
        float(np.mean(is_relevant)),
        {name: sums.measured(bootstrap) for name, sums in found.items()},
    )


def _rankers(
    model: Model, rated: Rated, counts: Counts, biases: Doubles, at: int, threads: int
) -> dict[str, Ranker]:
    static = partial(models.top_of_order, n=at, rated=rated, threads=threads)
    return {
        "model": lambda users: (
            models.top_items(model, users, at, exclude=rated, threads=threads).items
        ),
        "popular": partial(static, _order(counts)),
        "biases": partial(static, _order(biases)),
    }


def _order(scores: NDArray[Any]) -> Rows:
    # Stable, so that ties go to the lower row, as in `top_items`.
    return np.argsort(-scores, kind="stable").astype(np.int32)


def _biases(model: Model, train: Ratings, baseline: Baseline) -> Doubles:
    """Return the damped bias of each of the model's items; 0 for items that are not in train."""
    rows = train.items.rows(model.items.ids)
    return np.where(rows >= 0, baseline.item_biases[rows], 0.0)


def _fractions_below(counts: Counts) -> Doubles:
    """Return, for each item, the fraction of items with fewer ratings; ties count half."""
    _, place, ties = np.unique(counts, return_inverse=True, return_counts=True)
    # Items with fewer ratings, plus half of those with equally many.
    below = np.cumsum(ties) - ties / 2
    fractions: Doubles = below[place] / len(counts)
    return fractions


@dataclass(frozen=True)
class _Liked:
    """The relevant items of each user.

    Attributes
    ----------
    users : int32 array, shape (n_users,)
        Rows in the model, -1 for unknown users; only users with relevant items.
    counts : int64 array, shape (n_users,)
        Relevant items of each user, including items that the model does not know.
    keys : int64 array, ascending
        (position in `users`) * `items` + (row of the item), for items that the model knows.
    items : int
        Number of items in the model.
    """

    users: Rows
    counts: Counts
    keys: NDArray[np.int64]
    items: int

    @classmethod
    def of(cls, ratings: Ratings, model: Model, rated: Rated) -> _Liked:
        """Collect relevant ratings, except for items that their user rated in training."""
        known = ratings.within(model.users, model.items)
        new = ~_is_rated(known, rated)
        # `position` numbers the users with relevant items; `first` is a rating of each of them.
        _, first, position = np.unique(ratings.user[new], return_index=True, return_inverse=True)
        user, item = known.user[new], known.item[new]
        # One number for each pair: sorted, they take the place of a set for each user.
        keys = position.astype(np.int64) * len(model.items) + item
        counts = np.bincount(position, minlength=len(first))
        return cls(user[first], counts, np.sort(keys[item >= 0]), len(model.items))

    def hits(self, start: int, items: Rows) -> Mask:
        """Return whether ranked items, shape (m, n), are relevant to the users from `start` on."""
        position = np.arange(start, start + len(items), dtype=np.int64)[:, None]
        _, found = _lookup(self.keys, position * self.items + items)
        # No item, -1, gives the key of another pair, which may be relevant.
        return found & (items >= 0)


def _is_rated(known: Ratings, rated: Rated) -> Mask:
    """Return whether the user of each rating has also rated its item in training."""
    n_items, n_users = len(known.items), len(known.users)
    keys = known.user.astype(np.int64) * n_items + known.item
    # No rated pair has a negative key, so unknown users and items are never found.
    keys[known.item < 0] = -1
    order = np.argsort(keys)
    ascending, is_rated = keys[order], np.zeros(len(keys), np.bool_)
    for start in range(0, n_users, _BLOCK):
        # Block by block, because the keys of all training ratings would take eight bytes each.
        users = np.arange(start, min(start + _BLOCK, n_users), dtype=np.int32)
        position, item = rated.pairs(users)
        place, found = _lookup(ascending, (start + position) * n_items + item)
        is_rated[order[place[found]]] = True
    return is_rated


def _lookup(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> tuple[NDArray[np.intp], Mask]:
    """Find numbers among ascending keys: the position of each, and whether it is present."""
    if not len(keys):
        return np.zeros(wanted.shape, np.intp), np.zeros(wanted.shape, np.bool_)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return place, keys[place] == wanted


class _RankingSums:
    """Accumulates what one ranker's measures need, block by block."""

    def __init__(self, liked: _Liked, at: int, popularity: Doubles) -> None:
        self._liked, self._at, self._popularity = liked, at, popularity
        self._terms = USER_FORMULAS | SUM_TERMS
        self._rows = np.empty((len(self._terms), len(liked.users)))  # a value for each user
        self._recommended: Mask = np.zeros(len(popularity), np.bool_)

    def add(self, start: int, items: Rows) -> None:
        """Add the rankings, shape (m, n), of the users from position `start` on."""
        block = slice(start, start + len(items))
        ranked = RankedHits(
            hits=self._liked.hits(start, items),
            is_item=items >= 0,
            popularity=self._popularity[items],
            relevant=self._liked.counts[block],
            cutoff=self._at,
        )
        for row, term in zip(self._rows, self._terms.values(), strict=True):
            row[block] = term(ranked)
        self._recommended[items[ranked.is_item]] = True

    def measured(self, bootstrap: Bootstrap) -> Measured:
        """Return the measures and their draws."""
        # The first sum counts the users of a resample.
        rows = np.vstack([np.ones(len(self._liked.users)), self._rows])
        values = {name: float(value) for name, value in self._computed(rows.sum(axis=1)).items()}
        items = {name: formula(self._recommended) for name, formula in ITEM_FORMULAS.items()}
        return Measured({**values, **items}, self._computed(bootstrap.totals(rows)))

    def _computed(self, totals: Doubles) -> dict[str, Doubles]:
        """Compute the measures from sums over users, shape (sums,) or (sums, resamples)."""
        users, *others = totals
        sums = dict(zip(self._terms, others, strict=True))
        means = {name: sums[name] / users for name in USER_FORMULAS}
        return means | {name: formula(sums) for name, formula in SUM_FORMULAS.items()}
