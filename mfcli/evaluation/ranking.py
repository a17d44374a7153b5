"""How well a ranking puts first what users turned out to like.

For each user, all items are ranked that the user has not rated in training; relevant are those that
the user rated at least so high in the ratings measured on. With n places, hit_j whether the item at
place j is relevant, and R relevant items of the user:

    DCG = sum_j hit_j / log2(j + 1)                 NDCG = DCG / (DCG of the R relevant items first)
    precision = sum_j hit_j / n                     recall = sum_j hit_j / R
    AP = sum_j hit_j (hits up to j) / j / R         RR = 1 / (place of the first hit), 0 without
    hit rate = whether there is a hit

and their means over the users who have relevant items (K. Jarvelin and J. Kekalainen, "Cumulated
gain-based evaluation of IR techniques", ACM TOIS 20(4), 2002, with gains of 0 and 1; the others as
in trec_eval). Coverage is the share of all items that anyone is recommended, popularity the mean
share of items that are rated less often than a recommended one, of ties half.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Ratings
from mfcli.errors import DataError
from mfcli.evaluation.baselines import Baseline
from mfcli.evaluation.bootstrap import Bootstrap, Doubles, intervals
from mfcli.model import Model, Rated, top_items, top_of_order
from mfcli.types import Rows

_BLOCK = 1 << 14  # users ranked at a time

Ranker = Callable[[Rows], Rows]
"""Takes rows of users, shape (m,), and gives rows of items, shape (m, n), best first."""

Progress = Callable[[int, int], None]
"""Told the users ranked so far, and all of them."""


@dataclass(frozen=True)
class RankingMeasures:
    """How good a ranking is: means over users, between 0 and 1."""

    ndcg: float
    recall: float
    precision: float
    map: float
    mrr: float
    hit_rate: float
    coverage: float
    popularity: float


@dataclass(frozen=True)
class MeasuredRanking:
    """Measures of a ranking and, but for coverage, what they were in each resample."""

    measures: RankingMeasures
    draws: dict[str, Doubles]

    def as_dict(self) -> dict[str, Any]:
        """Return the measures as plain values, with their intervals."""
        return asdict(self.measures) | {"intervals": intervals(self.draws)}


@dataclass(frozen=True)
class RankingMetrics:
    """What `evaluate_ranking` found.

    Attributes
    ----------
    at : int
        Places of each ranking.
    relevant : float
        Least rating of a relevant item.
    users : int
        Who have relevant items.
    share : float
        Of the ratings that are relevant.
    model, popular, biases : MeasuredRanking
        Of the model, of the most rated items in training, and of the highest damped item biases.
    """

    at: int
    relevant: float
    users: int
    share: float
    model: MeasuredRanking
    popular: MeasuredRanking
    biases: MeasuredRanking

    def as_dict(self) -> dict[str, Any]:
        """Return the metrics as plain values."""
        rankings = {name: getattr(self, name).as_dict() for name in ("model", "popular", "biases")}
        return {
            "at": self.at,
            "relevant": self.relevant,
            "users": self.users,
            "relevant_share": self.share,
            **rankings,
        }


def evaluate_ranking(
    model: Model,
    ratings: Ratings,
    train: Ratings,
    baseline: Baseline,
    *,
    at: int,
    relevant: float,
    bootstrap: Bootstrap,
    on_progress: Progress = lambda done, total: None,
) -> RankingMetrics:
    """Measure the rankings of a model, of popularity and of damped biases.

    Parameters
    ----------
    model : Model
    ratings : Ratings
        To measure on, over vocabularies of their own.
    train : Ratings
        What is not to be recommended, likewise.
    baseline : Baseline
        Fitted to `train`.
    at : int
        Places of each ranking.
    relevant : float
        Least rating of a relevant item.
    bootstrap : Bootstrap
        Its threads rank, too.
    on_progress : callable, optional

    Raises
    ------
    DataError
        If no rating is relevant.
    """
    own = train.within(model.users, model.items)
    rated = Rated.of(own)
    liked = _Liked.of(ratings.take(ratings.rating >= relevant), model, rated)
    if not len(liked.users):
        raise DataError(
            f"no rating of an item that is not in train is at least {relevant:g};"
            " lower --relevant, or leave out --ranking"
        )
    counts = np.bincount(own.item[own.item >= 0], minlength=len(model.items))
    rankers = _rankers(model, rated, counts, _biases(model, train, baseline), at, bootstrap.threads)
    shares = _shares_below(counts)
    found = {name: _Measuring(liked, at, shares) for name in rankers}
    for start in range(0, len(liked.users), _BLOCK):
        users = liked.users[start : start + _BLOCK]
        for name, rank in rankers.items():
            found[name].add(start, rank(users))
        on_progress(start + len(users), len(liked.users))
    return RankingMetrics(
        at,
        relevant,
        len(liked.users),
        float(np.mean(ratings.rating >= relevant)),
        **{name: measuring.result(bootstrap) for name, measuring in found.items()},
    )


def _rankers(
    model: Model,
    rated: Rated,
    counts: NDArray[np.int64],
    biases: Doubles,
    at: int,
    threads: int,
) -> dict[str, Ranker]:
    static = partial(top_of_order, n=at, rated=rated, threads=threads)
    return {
        "model": lambda users: top_items(model, users, at, exclude=rated, threads=threads).items,
        "popular": partial(static, _order(counts)),
        "biases": partial(static, _order(biases)),
    }


def _order(scores: NDArray[Any]) -> Rows:
    return np.argsort(-scores, kind="stable").astype(np.int32)


def _biases(model: Model, train: Ratings, baseline: Baseline) -> Doubles:
    """Return the damped bias of each of the model's items; 0 where train lacks it."""
    rows = train.items.rows(model.items.ids)
    return np.where(rows >= 0, baseline.item_biases[rows], 0.0)


def _shares_below(counts: NDArray[np.int64]) -> Doubles:
    """Return for each item the share of items with fewer ratings, those with as many as halves."""
    _, place, ties = np.unique(counts, return_inverse=True, return_counts=True)
    below = np.cumsum(ties) - ties / 2
    shares: Doubles = below[place] / len(counts)
    return shares


@dataclass(frozen=True)
class _Liked:
    """The relevant items of users.

    Attributes
    ----------
    users : int32 array, shape (n_users,)
        Rows in the model, -1 for the unknown; only users with relevant items.
    counts : int64 array, shape (n_users,)
        Relevant items of each, those included that the model does not know.
    keys : int64 array, ascending
        position in `users` * number of items + row of the item, for items that the model knows.
    items : int
        Number of items.
    """

    users: Rows
    counts: NDArray[np.int64]
    keys: NDArray[np.int64]
    items: int

    @classmethod
    def of(cls, ratings: Ratings, model: Model, rated: Rated) -> _Liked:
        """Collect relevant ratings, without those of items that their user rated in training."""
        known = ratings.within(model.users, model.items)
        new = ~_is_rated(known, rated)
        _, first, position = np.unique(ratings.user[new], return_index=True, return_inverse=True)
        user, item = known.user[new], known.item[new]
        keys = position.astype(np.int64) * len(model.items) + item
        counts = np.bincount(position, minlength=len(first))
        return cls(user[first], counts, np.sort(keys[item >= 0]), len(model.items))

    def hits(self, start: int, items: Rows) -> NDArray[np.bool_]:
        """Whether ranked items (m, n) are relevant to the users from position `start` on."""
        position = np.arange(start, start + len(items), dtype=np.int64)[:, None]
        _, found = _lookup(self.keys, position * self.items + items)
        return found & (items >= 0)


def _is_rated(known: Ratings, rated: Rated) -> NDArray[np.bool_]:
    """Whether each rating's user has rated its item in training."""
    n_items, n_users = len(known.items), len(known.users)
    keys = known.user.astype(np.int64) * n_items + known.item
    keys[known.item < 0] = -1
    order = np.argsort(keys)
    ascending, there = keys[order], np.zeros(len(keys), np.bool_)
    for start in range(0, n_users, _BLOCK):
        users = np.arange(start, min(start + _BLOCK, n_users), dtype=np.int32)
        position, item = rated.pairs(users)
        place, found = _lookup(ascending, (start + position) * n_items + item)
        there[order[place[found]]] = True
    return there


def _lookup(
    keys: NDArray[np.int64], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Find numbers among ascending keys: where each is or would be, and whether it is there."""
    if not len(keys):
        return np.zeros(wanted.shape, np.intp), np.zeros(wanted.shape, np.bool_)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return place, keys[place] == wanted


_ROWS = ("users", "ndcg", "recall", "precision", "map", "mrr", "hit_rate", "shares", "items")


class _Measuring:
    """Measures one way of ranking, block by block."""

    def __init__(self, liked: _Liked, at: int, shares: Doubles) -> None:
        self._liked, self._shares = liked, shares
        self._discounts = 1 / np.log2(np.arange(2, at + 2))
        self._rows = np.ones((len(_ROWS), len(liked.users)))
        self._recommended = np.zeros(len(shares), np.bool_)

    def add(self, start: int, items: Rows) -> None:
        """Add the rankings (m, n) of the users from position `start` on."""
        there, n = items >= 0, items.shape[1]
        hits = self._liked.hits(start, items)
        block = slice(start, start + len(items))
        relevant, discounts = self._liked.counts[block], self._discounts[:n]
        places = np.arange(1, n + 1)
        ideal = np.cumsum(self._discounts)[np.minimum(relevant, len(self._discounts)) - 1]
        values = {
            "ndcg": (hits * discounts).sum(axis=1) / ideal,
            "recall": hits.sum(axis=1) / relevant,
            "precision": hits.sum(axis=1) / len(self._discounts),
            "map": (hits * hits.cumsum(axis=1) / places).sum(axis=1) / relevant,
            "mrr": (hits / places).max(axis=1, initial=0),
            "hit_rate": hits.any(axis=1),
            "shares": (self._shares[items] * there).sum(axis=1),
            "items": there.sum(axis=1),
        }
        for name, column in values.items():
            self._rows[_ROWS.index(name), block] = column
        self._recommended[items[there]] = True

    def result(self, bootstrap: Bootstrap) -> MeasuredRanking:
        means = {name: float(value) for name, value in _means(self._rows.sum(axis=1)).items()}
        measures = RankingMeasures(coverage=float(self._recommended.mean()), **means)
        return MeasuredRanking(measures, _means(bootstrap.totals(self._rows)))


def _means(totals: Doubles) -> dict[str, Doubles]:
    """Work out the measures from sums over users, shape (9,) or (9, n)."""
    sums = dict(zip(_ROWS, totals, strict=True))
    users, shares, items = sums.pop("users"), sums.pop("shares"), sums.pop("items")
    means = {name: total / users for name, total in sums.items()}
    return means | {"popularity": np.asarray(shares / np.maximum(items, 1))}
