"""Rank items with a model and with baselines, and measure the rankings.

The measures are defined in `mfcli/rankings/formulas.py` and `mfcli/rankings/beyond_accuracy.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mfcli import model as models  # loads the kernels of rankings only when they are needed
from mfcli.data import Ratings
from mfcli.evaluation.baselines import Baseline
from mfcli.evaluation.bootstrap import Bootstrap, Measured
from mfcli.evaluation.measures import at_cutoff
from mfcli.evaluation.ranking_breakdown import RankingBreakdown, ranking_breakdown
from mfcli.rankings import (
    EXPOSURE_FORMULAS,
    GAP_TERMS,
    LIST_TERMS,
    SUM_FORMULAS,
    USER_FORMULAS,
    RankedHits,
)
from mfcli.storage import each
from mfcli.types import Counts, Doubles, Mask, Progress, Rows

if TYPE_CHECKING:
    from mfcli.evaluation.ranking_tasks import RankingTask
    from mfcli.model import Model
    from mfcli.rankings import ItemProperties

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
    breakdown : RankingBreakdown
        Of the model.
    candidates : str
        Which items are ranked and which are relevant, in words.
    """

    users: int
    relevant_share: float
    rankers: dict[str, Measured]
    breakdown: RankingBreakdown
    candidates: str


def measure_rankings(
    task: RankingTask,
    train: Ratings,
    baseline: Baseline,
    *,
    cutoffs: Sequence[int],
    bootstrap: Bootstrap,
    on_progress: Progress = lambda done, total: None,
) -> MeasuredRankings:
    """Measure the rankings of a model, of popularity and of damped biases.

    Parameters
    ----------
    task : RankingTask
    train : Ratings
        Any vocabularies.
    baseline : Baseline
        Fitted to `train`.
    cutoffs : sequence of int
        Measures at the first one have plain names; others are named like "ndcg@20". What accuracy
        does not show is measured at the first one only.
    bootstrap : Bootstrap
        Its threads also rank.
    on_progress : callable, optional
        Called with the number of users ranked and the total.
    """
    from mfcli.rankings import ItemProperties  # loads the compiler

    model, users = task.model, task.liked.users
    # Items of `train` that the model does not know have row -1, which bincount refuses.
    rows = train.within(train.users, model.items).item
    counts = np.bincount(rows[rows >= 0], minlength=len(model.items))
    trained = int(np.count_nonzero(np.bincount(train.user)))
    items = ItemProperties.of(counts, trained, model.item_factors)
    biases = _biases(model, train, baseline)
    rankers = _rankers(task, counts, biases, max(cutoffs), bootstrap.threads)
    shared = _Users(task, items)
    # All rankers rank a block before the next one, so that progress is of users.
    found = {name: _RankingSums(shared, items, cutoffs) for name in rankers}
    for start in range(0, len(users), _BLOCK):
        block = users[start : start + _BLOCK]
        ranked = {name: rank(block) for name, rank in rankers.items()}
        _add(found, start, ranked, bootstrap.threads)
        on_progress(start + len(block), len(users))
    own = found["model"]
    return MeasuredRankings(
        len(users),
        task.relevant_share,
        _measured(found, bootstrap),
        ranking_breakdown(shared.activity, own.ndcg, counts, own.hits, task.liked.per_item),
        task.candidates,
    )


def _add(found: dict[str, _RankingSums], start: int, ranked: dict[str, Rows], threads: int) -> None:
    """Add the rankings of a block of users, in parts on several threads."""
    parts = [(name, at) for name, items in ranked.items() for at in range(0, len(items), _PART)]

    def add(number: int) -> None:
        name, at = parts[number]
        found[name].add(start + at, ranked[name][at : at + _PART])

    each(add, len(parts), threads)


def _rankers(
    task: RankingTask, counts: Counts, biases: Doubles, n: int, threads: int
) -> dict[str, Ranker]:
    static = partial(models.top_of_order, n=n, rated=task.excluded, threads=threads)
    return {
        "model": lambda users: (
            models.top_items(task.model, users, n, exclude=task.excluded, threads=threads).items
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


class _Users:
    """What all rankers share about the users.

    Attributes
    ----------
    liked : RelevantItems
    activity : int64 array, shape (n_users,)
        Ratings from which each user is known.
    active : bool array, shape (n_users,)
        Whether the activity is above the median.
    profiles : float64 array, shape (n_users, groups)
        As `ItemProperties.profiles`.
    """

    def __init__(self, task: RankingTask, items: ItemProperties) -> None:
        self.liked = task.liked
        # Unknown users have the row -1: the last one, which has no items.
        self.activity = np.diff(task.known.starts)[self.liked.users]
        self.active: Mask = self.activity > np.median(self.activity)
        self.profiles = items.profiles(task.known, self.liked.users)


class _RankingSums:
    """Accumulates what one ranker's measures need, block by block.

    Attributes
    ----------
    rows : float64 array, shape (sums, n_users)
        The values of each user, to be summed.
    exposures, hits : int64 arrays, shape (n_items,)
        How often each item is recommended, and how often to users to whom it is relevant.
    """

    def __init__(self, users: _Users, items: ItemProperties, cutoffs: Sequence[int]) -> None:
        self._users, self._items, self._cutoffs = users, items, cutoffs
        main = cutoffs[0]
        self._means = [at_cutoff(name, n, main) for n in cutoffs for name in USER_FORMULAS]
        self._names = [*self._means, *LIST_TERMS, *GAP_TERMS]
        self.rows = np.empty((len(self._names), len(users.liked.users)))
        self.exposures = np.zeros(len(items.popularity), np.int64)
        self.hits = np.zeros_like(self.exposures)
        self._lock = threading.Lock()

    @property
    def ndcg(self) -> Doubles:
        """The NDCG of each user at the main cutoff."""
        row: Doubles = self.rows[self._names.index("ndcg")]
        return row

    def add(self, start: int, items: Rows) -> None:
        """Add the rankings, shape (m, n), of the users from position `start` on."""
        users, block = self._users, slice(start, start + len(items))
        hits = users.liked.hits(start, items)
        ranked = RankedHits(hits, users.liked.counts[block], max(self._cutoffs))
        values = [
            formula(ranked.up_to(cutoff))
            for cutoff in self._cutoffs
            for formula in USER_FORMULAS.values()
        ]
        main, main_hits = items[:, : self._cutoffs[0]], hits[:, : self._cutoffs[0]]
        values += [*self._items.terms(main, users.profiles[block])]
        active = users.active[block]
        values += [active, np.where(active, values[self._names.index("ndcg")], 0.0)]
        for row, value in zip(self.rows, values, strict=True):
            row[block] = value
        exposures, found = self._count(main[main >= 0]), self._count(main[main_hits])
        with self._lock:  # sums of whole numbers are the same in any order
            self.exposures += exposures
            self.hits += found

    def _count(self, items: Rows) -> Counts:
        return np.bincount(items, minlength=len(self.exposures))

    def measured(self, draws: Doubles) -> Measured:
        """Return the measures, given the sums of `rows` in each resample."""
        values = {name: _finite(float(v)) for name, v in self._of(self.rows.sum(axis=1)).items()}
        items = {name: formula(self.exposures) for name, formula in EXPOSURE_FORMULAS.items()}
        return Measured({**values, **items}, self._of(draws))

    def _of(self, totals: Doubles) -> dict[str, Doubles]:
        """Compute the measures from sums over users, shape (sums,) or (sums, resamples)."""
        sums = dict(zip(self._names, totals, strict=True))
        # A resample has as many users as there are.
        count = np.float64(self.rows.shape[1])
        means = {name: sums[name] / count for name in self._means}
        with np.errstate(divide="ignore", invalid="ignore"):  # undefined measures are dropped
            others = {n: formula(sums | {"users": count}) for n, formula in SUM_FORMULAS.items()}
        return means | others


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _measured(found: dict[str, _RankingSums], bootstrap: Bootstrap) -> dict[str, Measured]:
    """Return the measures of each ranker on the same resamples, which are drawn once."""
    from mfcli.evaluation.user_sums import UserSums
    rows=np.vstack([sums.rows for sums in found.values()])
    us=UserSums([str(i) for i in range(len(rows))], rows.shape[1])
    for i,r in enumerate(rows): us.set(str(i), r)
    draws = bootstrap.totals(us)
    parts = np.split(draws, len(found))
    return {
        name: sums.measured(part) for (name, sums), part in zip(found.items(), parts, strict=True)
    }
