"""Rank items with a model and with baselines, and measure the rankings.

The measures are defined in `mfcli/rankings/formulas.py` and `mfcli/rankings/beyond_accuracy.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mfcli import model as models  # loads the kernels of rankings only when they are needed
from mfcli.data import Ratings, Translation
from mfcli.evaluation.baselines import Baseline
from mfcli.evaluation.bootstrap import Bootstrap, Measured
from mfcli.evaluation.measures import at_cutoff
from mfcli.evaluation.ranking_breakdown import RankingBreakdown, ranking_breakdown
from mfcli.evaluation.user_sums import UserSums, user_sums
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
    from mfcli.model import Model, Rated
    from mfcli.rankings import ItemProperties

_BLOCK = 1 << 14  # users ranked at a time
_PART = 1 << 12  # users measured by a task
_WORK = "measuring rankings"
_PER_ITEM = 32  # numbers for each item beside its factors: properties, orders and marks
_PER_USER = 64  # bytes for each user of a range: its profile, and where its items begin
RANKERS = ("model", "popular", "biases")
"""What ranks items: the model and the baselines."""

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
    from mfcli.evaluation.ranking_tasks import activity_of  # loads the compiler
    from mfcli.rankings import ItemProperties

    model, users, threads = task.model, task.liked.users, bootstrap.threads
    counts = _item_counts(train, model)
    items = ItemProperties.of(counts, train.active_users, model.item_factors)
    orders = {"popular": _order(counts), "biases": _order(_biases(model, train, baseline))}
    activity = activity_of(users, task.known)
    active: Mask = activity > np.median(activity)
    names = [f"{ranker}:{name}" for ranker in RANKERS for name in _names(cutoffs)]
    with user_sums(names, len(users), _WORK) as sums:
        # All rankers rank a block before the next one, so that progress is of users.
        found = {name: _RankingSums(sums, name, task, items, active, cutoffs) for name in RANKERS}
        for start, some, known, excluded in _ranges(task, sums):
            rankers = _rankers(model, excluded, orders, max(cutoffs), threads)
            profiles = items.profiles(known, some)
            for at in range(0, len(some), _BLOCK):
                block = slice(at, at + _BLOCK)
                ranked = {name: rank(some[block]) for name, rank in rankers.items()}
                _add(found, start + at, ranked, profiles[block], threads)
                on_progress(start + at + len(some[block]), len(users))
        own = found["model"]
        parts = activity, own.ndcg, counts, own.hits, task.liked.per_item
        breakdown = ranking_breakdown(*parts)
        measured = _measured(found, sums, bootstrap)
    return MeasuredRankings(len(users), task.relevant_share, measured, breakdown, task.candidates)


def _ranges(task: RankingTask, sums: UserSums) -> Iterator[tuple[int, Rows, Rated, Rated]]:
    """Yield the first user of each range, all of its users, and what they know and exclude."""
    from mfcli.model import Rated, user_ranges

    model, start = task.model, 0
    known = {"excluded": task.excluded}
    if task.known is not task.excluded:
        known["profile"] = task.known
    fixed = 4 * len(model.items) * (model.k + _PER_ITEM) + (0 if sums.is_stored else sums.nbytes)
    users = task.liked.users
    for part in user_ranges(users, known, fixed=fixed, each=_PER_USER, work=_WORK):
        rated = {name: Rated.by(part.users, ratings) for name, ratings in part.known.items()}
        yield start, part.users, rated.get("profile", rated["excluded"]), rated["excluded"]
        start += len(part.users)


def _item_counts(train: Ratings, model: Model) -> Counts:
    """Return the training ratings of each item of the model."""
    row = Translation(train.items, model.items)
    counts = np.zeros(len(model.items), np.int64)
    for piece in train.pieces("item"):
        rows = row(piece)
        # Items of `train` that the model does not know have row -1, which bincount refuses.
        counts += np.bincount(rows[rows >= 0], minlength=len(counts))
    return counts


def _add(
    found: dict[str, _RankingSums],
    start: int,
    ranked: dict[str, Rows],
    profiles: Doubles,
    threads: int,
) -> None:
    """Add the rankings of a block of users, in parts on several threads."""
    parts = [(name, at) for name, items in ranked.items() for at in range(0, len(items), _PART)]

    def add(number: int) -> None:
        name, at = parts[number]
        part = slice(at, at + _PART)
        found[name].add(start + at, ranked[name][part], profiles[part])

    each(add, len(parts), threads)


def _rankers(
    model: Model, excluded: Rated, orders: Mapping[str, Rows], n: int, threads: int
) -> dict[str, Ranker]:
    static = partial(models.top_of_order, n=n, rated=excluded, threads=threads)
    return {
        "model": lambda users: (
            models.top_items(model, users, n, exclude=excluded, threads=threads).items
        ),
        **{name: partial(static, order) for name, order in orders.items()},
    }


def _order(scores: NDArray[Any]) -> Rows:
    # Stable, so that ties go to the lower row, as in `top_items`.
    return np.argsort(-scores, kind="stable").astype(np.int32)


def _biases(model: Model, train: Ratings, baseline: Baseline) -> Doubles:
    """Return the damped bias of each of the model's items; 0 for items that are not in train."""
    rows = train.items.rows(model.items.ids)
    return np.where(rows >= 0, baseline.item_biases[rows], 0.0)


def _means(cutoffs: Sequence[int]) -> list[str]:
    """Return the names of the measures that are means over users."""
    return [at_cutoff(name, n, cutoffs[0]) for n in cutoffs for name in USER_FORMULAS]


def _names(cutoffs: Sequence[int]) -> list[str]:
    """Return the names of what is summed over users."""
    return [*_means(cutoffs), *LIST_TERMS, *GAP_TERMS]


class _RankingSums:
    """Accumulates what one ranker's measures need, block by block.

    Parameters
    ----------
    sums : UserSums
        Set to the values of each user, under names that begin with that of the ranker.
    name : str
        Of the ranker.
    task : RankingTask
    items : ItemProperties
    active : bool array, shape (n_users,)
        Whether the activity of each user is above the median.
    cutoffs : sequence of int

    Attributes
    ----------
    exposures, hits : int64 arrays, shape (n_items,)
        How often each item is recommended, and how often to users to whom it is relevant.
    """

    def __init__(
        self,
        sums: UserSums,
        name: str,
        task: RankingTask,
        items: ItemProperties,
        active: Mask,
        cutoffs: Sequence[int],
    ) -> None:
        self._sums, self._liked, self._active = sums, task.liked, active
        self._items, self._cutoffs = items, cutoffs
        self._rows = {one: f"{name}:{one}" for one in _names(cutoffs)}
        self.exposures = np.zeros(len(items.popularity), np.int64)
        self.hits = np.zeros_like(self.exposures)
        self._lock = threading.Lock()

    @property
    def ndcg(self) -> Doubles:
        """The NDCG of each user at the main cutoff."""
        return self._sums.get(self._rows["ndcg"])

    def add(self, start: int, items: Rows, profiles: Doubles) -> None:
        """Add the rankings, shape (m, n), of the users from position `start` on."""
        block = slice(start, start + len(items))
        hits = self._liked.hits(start, items)
        ranked = RankedHits(hits, self._liked.counts[block], max(self._cutoffs))
        values = [
            formula(ranked.up_to(cutoff))
            for cutoff in self._cutoffs
            for formula in USER_FORMULAS.values()
        ]
        main, main_hits = items[:, : self._cutoffs[0]], hits[:, : self._cutoffs[0]]
        values += [*self._items.terms(main, profiles)]
        active, ndcg = self._active[block], values[[*self._rows].index("ndcg")]
        values += [active, np.where(active, ndcg, 0.0)]
        for row, value in zip(self._rows.values(), values, strict=True):
            self._sums.set(row, value, start)
        exposures, found = self._count(main[main >= 0]), self._count(main[main_hits])
        with self._lock:  # sums of whole numbers are the same in any order
            self.exposures += exposures
            self.hits += found

    def _count(self, items: Rows) -> Counts:
        return np.bincount(items, minlength=len(self.exposures))

    def totals(self) -> dict[str, Doubles]:
        """Return the sums over all users."""
        return {name: np.asarray(self._sums.get(row).sum()) for name, row in self._rows.items()}

    def measured(self, totals: dict[str, Doubles], draws: Mapping[str, Doubles]) -> Measured:
        """Return the measures, given the sums over all users and those in each resample."""
        own = {name: draws[row] for name, row in self._rows.items()}
        values = {name: _finite(float(v)) for name, v in self._of(totals).items()}
        items = {name: formula(self.exposures) for name, formula in EXPOSURE_FORMULAS.items()}
        return Measured({**values, **items}, self._of(own))

    def _of(self, sums: dict[str, Doubles]) -> dict[str, Doubles]:
        """Compute the measures from sums over users, each a number or one for each resample."""
        # A resample has as many users as there are.
        count: Doubles = np.asarray(float(self._sums.users))
        means = {name: sums[name] / count for name in _means(self._cutoffs)}
        with np.errstate(divide="ignore", invalid="ignore"):  # undefined measures are dropped
            others = {n: formula(sums | {"users": count}) for n, formula in SUM_FORMULAS.items()}
        return means | others


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _measured(
    found: dict[str, _RankingSums], sums: UserSums, bootstrap: Bootstrap
) -> dict[str, Measured]:
    """Return the measures of each ranker on the same resamples, which are drawn once."""
    totals = {name: one.totals() for name, one in found.items()}  # before the sums are rounded
    draws = dict(zip(sums.names, bootstrap.totals(sums), strict=True))
    return {name: one.measured(totals[name], draws) for name, one in found.items()}
