"""Rank items with a model and with baselines, and measure the rankings.

The measures are defined in `mfcli/rankings/formulas.py`.
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
from mfcli.errors import Param
from mfcli.evaluation.baselines import Baseline
from mfcli.evaluation.bootstrap import Bootstrap, Measured
from mfcli.rankings import (
    ITEM_FORMULAS,
    SUM_FORMULAS,
    SUM_TERMS,
    USER_FORMULAS,
    RankedHits,
    RankedItems,
)
from mfcli.storage import each
from mfcli.types import Counts, Doubles, Mask, Progress, Rows

if TYPE_CHECKING:
    from mfcli.model import Model, Rated
    from mfcli.rankings import RelevantItems

_BLOCK = 1 << 14  # users ranked at a time
_PART = 1 << 12  # users measured by a task

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
    from mfcli.rankings import RelevantItems  # loads the compiler

    own = train.within(model.users, model.items)
    rated = models.Rated.of(own)
    liked = RelevantItems.of(
        ratings,
        model.users,
        model.items,
        rated,
        relevant=relevant,
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
        ranked = {name: rank(users) for name, rank in rankers.items()}
        _add(found, start, ranked, bootstrap.threads)
        on_progress(start + len(users), len(liked.users))
    return MeasuredRankings(
        len(liked.users),
        float(np.mean(ratings.rating >= relevant)),
        _measured(found, bootstrap),
    )


def _add(found: dict[str, _RankingSums], start: int, ranked: dict[str, Rows], threads: int) -> None:
    """Add the rankings of a block of users, in parts on several threads."""
    parts = [(name, at) for name, items in ranked.items() for at in range(0, len(items), _PART)]

    def add(number: int) -> None:
        name, at = parts[number]
        found[name].add(start + at, ranked[name][at : at + _PART])

    each(add, len(parts), threads)


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


class _RankingSums:
    """Accumulates what one ranker's measures need, block by block.

    Attributes
    ----------
    rows : float64 array, shape (sums, n_users)
        The values of each user, to be summed.
    """

    def __init__(self, liked: RelevantItems, at: int, popularity: Doubles) -> None:
        self._liked, self._at, self._popularity = liked, at, popularity
        self._terms = [*USER_FORMULAS, *SUM_TERMS]
        self.rows = np.empty((len(self._terms), len(liked.users)))  # a value for each user
        self._recommended: Mask = np.zeros(len(popularity), np.bool_)

    def add(self, start: int, items: Rows) -> None:
        """Add the rankings, shape (m, n), of the users from position `start` on."""
        block = slice(start, start + len(items))
        hits = RankedHits(self._liked.hits(start, items), self._liked.counts[block], self._at)
        ranked = RankedItems(items >= 0, self._popularity[items])
        values = [formula(hits) for formula in USER_FORMULAS.values()]
        values += [term(ranked) for term in SUM_TERMS.values()]
        for row, value in zip(self.rows, values, strict=True):
            row[block] = value
        self._recommended[items[ranked.is_item]] = True

    def measured(self, draws: Doubles) -> Measured:
        """Return the measures, given the sums of `rows` in each resample."""
        values = {name: float(v) for name, v in self._computed(self.rows.sum(axis=1)).items()}
        items = {name: formula(self._recommended) for name, formula in ITEM_FORMULAS.items()}
        return Measured({**values, **items}, self._computed(draws))

    def _computed(self, totals: Doubles) -> dict[str, Doubles]:
        """Compute the measures from sums over users, shape (sums,) or (sums, resamples)."""
        sums = dict(zip(self._terms, totals, strict=True))
        # A resample has as many users as there are.
        means = {name: sums[name] / self.rows.shape[1] for name in USER_FORMULAS}
        return means | {name: formula(sums) for name, formula in SUM_FORMULAS.items()}


def _measured(found: dict[str, _RankingSums], bootstrap: Bootstrap) -> dict[str, Measured]:
    """Return the measures of each ranker on the same resamples, which are drawn once."""
    draws = bootstrap.totals(np.vstack([sums.rows for sums in found.values()]))
    parts = np.split(draws, len(found))
    return {
        name: sums.measured(part) for (name, sums), part in zip(found.items(), parts, strict=True)
    }
