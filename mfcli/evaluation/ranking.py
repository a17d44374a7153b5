"""Rank items with a model and with baselines, and measure the rankings.

The measures are defined in `mfcli/rankings/formulas.py` and `mfcli/rankings/beyond_accuracy.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfcli.clusters import current_cluster
from mfcli.data import Ratings, Translation
from mfcli.evaluation.baselines import Baseline
from mfcli.evaluation.bootstrap import Bootstrap, Measured
from mfcli.evaluation.ranking_breakdown import RankingBreakdown, ranking_breakdown
from mfcli.evaluation.user_sums import UserSums, user_sums
from mfcli.rankings import EXPOSURE_FORMULAS, SUM_FORMULAS
from mfcli.types import Counts, Doubles, Progress, Rows

if TYPE_CHECKING:
    from mfcli.evaluation.ranked_blocks import RankedBlock
    from mfcli.evaluation.ranking_tasks import RankingTask
    from mfcli.model import Model

RANKERS = ("model", "popular", "biases")
"""What ranks items: the model and the baselines."""


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
    # Imported here because they load the compiler.
    from mfcli.evaluation.ranked_blocks import WORK, BlockMeasures, RankedUsers, summed
    from mfcli.evaluation.ranking_tasks import activity_of

    model, users = task.model, task.liked.users
    counts = _item_counts(train, model)
    orders = {"popular": _order(counts), "biases": _order(_biases(model, train, baseline))}
    parts = task.known, task.excluded, counts, train.active_users, orders, cutoffs
    measures, cluster = BlockMeasures(model, *parts), current_cluster()
    activity = activity_of(users, task.known)
    ranked = RankedUsers(task.liked, activity > np.median(activity))
    names = [f"{ranker}:{name}" for ranker in RANKERS for name in summed(cutoffs)]
    with user_sums(names, len(users), WORK) as sums:
        found = {name: _RankingSums(sums, name, len(counts), cutoffs) for name in RANKERS}
        if cluster:
            blocks = measures.blocks_on(cluster, ranked)
        else:
            nbytes = 0 if sums.is_stored else sums.nbytes
            blocks = measures.blocks(ranked, nbytes, bootstrap.threads)
        for block in blocks:
            for one in found.values():
                one.add(block)
            on_progress(block.start + block.users, len(users))
        own = found["model"]
        breakdown = ranking_breakdown(activity, own.ndcg, counts, own.hits, task.liked.per_item)
        measured = _measured(found, sums, bootstrap)
    return MeasuredRankings(len(users), task.relevant_share, measured, breakdown, task.candidates)


def _item_counts(train: Ratings, model: Model) -> Counts:
    """Return the training ratings of each item of the model."""
    row = Translation(train.items, model.items)
    counts = np.zeros(len(model.items), np.int64)
    for piece in train.pieces("item"):
        rows = row(piece)
        # Items of `train` that the model does not know have row -1, which bincount refuses.
        counts += np.bincount(rows[rows >= 0], minlength=len(counts))
    return counts


def _order(scores: NDArray[Any]) -> Rows:
    # Stable, so that ties go to the lower row, as in `top_items`.
    return np.argsort(-scores, kind="stable").astype(np.int32)


def _biases(model: Model, train: Ratings, baseline: Baseline) -> Doubles:
    """Return the damped bias of each of the model's items; 0 for items that are not in train."""
    rows = train.items.rows(model.items.ids)
    return np.where(rows >= 0, baseline.item_biases[rows], 0.0)


class _RankingSums:
    """Accumulates what one ranker's measures need, block by block.

    Parameters
    ----------
    sums : UserSums
        Set to the values of each user, under names that begin with that of the ranker.
    name : str
        Of the ranker.
    items : int
        Number of items.
    cutoffs : sequence of int

    Attributes
    ----------
    exposures, hits : int64 arrays, shape (n_items,)
        How often each item is recommended, and how often to users to whom it is relevant.
    """

    def __init__(self, sums: UserSums, name: str, items: int, cutoffs: Sequence[int]) -> None:
        from mfcli.evaluation.ranked_blocks import means, summed

        self._sums, self._name, self._means = sums, name, means(cutoffs)
        self._rows = {one: f"{name}:{one}" for one in summed(cutoffs)}
        self.exposures, self.hits = np.zeros((2, items), np.int64)

    @property
    def ndcg(self) -> Doubles:
        """The NDCG of each user at the main cutoff."""
        return self._sums.get(self._rows["ndcg"])

    def add(self, block: RankedBlock) -> None:
        """Add the rankings of a block of users."""
        for row, values in zip(self._rows.values(), block.values[self._name], strict=True):
            self._sums.set(row, values, block.start)
        for totals, found in ((self.exposures, block.exposures), (self.hits, block.hits)):
            items, counts = found[self._name]
            totals[items] += counts

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
        means = {name: sums[name] / count for name in self._means}
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
