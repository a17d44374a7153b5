"""Recommendations as tables: lists in some order, with intervals and explanations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mfcli.arguments import check_count, check_fraction
from mfcli.clusters import current_cluster
from mfcli.data import to_arrow
from mfcli.errors import warn
from mfcli.model.explanations import Explainer, ExplanationChecks
from mfcli.model.folder import StoredModel
from mfcli.model.orders import BY_MEAN, Order
from mfcli.model.ranking import Ranking
from mfcli.model.rated import Rated
from mfcli.model.rated_parts import RatingPieces
from mfcli.model.recommendations import ArrangedItems, top_items
from mfcli.model.shared_values import even_parts, map_shared
from mfcli.model.user_ranges import UserRange, user_ranges
from mfcli.storage import check_memory, threads_of
from mfcli.types import Floats, Progress, Rows

if TYPE_CHECKING:
    from mfcli.clusters import Cluster
    from mfcli.model.posterior import Posterior


def recommended(model: StoredModel, users: Rows, n: int, **how: Any) -> pa.Table:
    """Return a table of the best items for some users; see `recommended_tables`."""
    return pa.concat_tables(recommended_tables(model, users, n, **how))


def recommended_tables(
    model: StoredModel,
    users: Rows,
    n: int,
    *,
    exclude: RatingPieces | None = None,
    candidates: Rows | ArrangedItems | None = None,
    diversity: float = 0,
    explainer: Explainer | None = None,
    order: Order = BY_MEAN,
    clip: bool = True,
    threads: int | None = None,
    on_progress: Progress = lambda done, total: None,
    on_sorting: Progress = lambda done, total: None,
) -> Iterator[pa.Table]:
    """Yield tables of the best items for some users, which follow each other.

    There is one table, unless what users have rated and their lists do not fit in memory, or the
    workers of a cluster make the tables.

    Parameters
    ----------
    model, users, n, candidates, diversity
        As for `top_items`.
    exclude : RatingPieces, optional
        Items not to recommend, in the rows of `model`.
    explainer : Explainer, optional
        Explains the predictions by ratings in the rows of `model`.
    order : Order
        What the lists are sorted by, and which intervals are shown.
    clip : bool
        Clip ratings to the rating scale; the order is that of the predictions before.
    threads : int, optional
        All cores by default; the result does not depend on it.
    on_progress : callable, optional
        Called with the number of users ranked and the total.
    on_sorting : callable, optional
        Called before, with the number of ratings that were sorted by user and the total, if they do
        not fit in memory.

    Yields
    ------
    Arrow table
        Columns `user`, `rank` (from 1), `item`, `prediction` (or `score`); `low` and `high`, the
        interval of the expected rating, if the order has one; `sample`, the rating in the sample,
        if it is sorted by samples; and, if explained, `because_1`, `because_1_rating`,
        `because_1_contribution`, `because_2`, ...: the rated items that increase the prediction
        most, their ratings, and by how much they increase it. They are null where there is no
        further item that increases the prediction.

    Warns
    -----
    MfcliWarning
        At the end, if no item is left for a user, a user has no ratings that explain, or
        explanations are inaccurate.

    Raises
    ------
    ArtifactError
        If the order or the intervals need samples that the model does not have.
    LimitError
        If there is too little memory or temporary space.
    UsageError
        If `n` or `threads` is not a whole number above 0, or `diversity` is not from 0 to 1.
    """
    check_count(n, "n", 1)
    check_fraction(diversity, "diversity")
    lists = _Lists(model, n, exclude, candidates, diversity, explainer, order, clip)
    cluster = current_cluster()
    if cluster:
        yield from _from_cluster(cluster, lists, users, on_progress)
    else:
        counts = _Counts()
        yield from lists.tables(users, threads_of(threads), counts, on_progress, on_sorting)
        counts.warn()


def recommended_now(
    model: StoredModel,
    users: Rows,
    n: int,
    *,
    exclude: RatingPieces | None = None,
    candidates: ArrangedItems | None = None,
    diversity: float = 0,
    explainer: Explainer | None = None,
) -> pa.Table:
    """Return the table of `recommended_tables` for a few users, without delay.

    What they have rated must fit in memory, which is not checked, and nothing is warned about.
    """
    lists = _Lists(model, n, exclude, candidates, diversity, explainer, BY_MEAN, True)
    return lists.table(UserRange(users, lists.known))


def _from_cluster(
    cluster: Cluster, lists: _Lists, users: Rows, on_progress: Progress
) -> Iterator[pa.Table]:
    """Yield the tables of consecutive parts of the users, which workers make."""
    # Before any worker fails, because all need the samples.
    if lists.order.needs_samples:
        _posterior_of(lists.model)
    _, each = lists.memory()
    parts = even_parts(len(users), each, cluster)
    pieces = (users[part] for part in parts)
    counts, done = _Counts(), 0
    nbytes = int(each * max((part.stop - part.start for part in parts), default=0))
    for tables, found in map_shared(cluster, _tables, lists, pieces, nbytes=nbytes):
        counts.add(found)
        done += found.users
        on_progress(done, len(users))
        yield from tables
    counts.warn()


def _tables(lists: _Lists, users: Rows) -> tuple[list[pa.Table], _Counts]:
    """Make the tables of some users, and count what to warn about; on a worker."""
    counts = _Counts()
    return [*lists.tables(users, threads_of(None), counts)], counts


def _shifted(on_progress: Progress, before: int, total: int) -> Progress:
    return lambda done, _: on_progress(before + done, total)


@dataclass
class _Counts:
    """What to warn about: users, those for whom no item is left, and what explanations miss."""

    users: int = 0
    empty: int = 0
    checks: ExplanationChecks = field(default_factory=ExplanationChecks)

    def add(self, other: _Counts) -> None:
        """Add what was counted for other users."""
        self.users, self.empty = self.users + other.users, self.empty + other.empty
        self.checks.merge(other.checks)

    def warn(self) -> None:
        """Warn about users for whom no item is left, and about explanations."""
        if self.empty:
            warn(f"no item is left to recommend to {self.empty:,} of {self.users:,} users")
        self.checks.warn()


@dataclass(frozen=True)
class _Lists:
    """Makes tables of the best items, with the arguments of `recommended_tables`."""

    model: StoredModel
    n: int
    exclude: RatingPieces | None
    candidates: Rows | ArrangedItems | None
    diversity: float
    explainer: Explainer | None
    order: Order
    clip: bool

    def memory(self) -> tuple[float, float]:
        """Return the bytes that are needed in any case, and those for each user, about."""
        items, users = len(self.model.items), len(self.model.users)
        # Arranged items and marks, for a few threads; pieces of ratings; rows of tables to be
        # written
        fixed = items * 4 * (2 * self.model.k + 20) + users * 40 + (96 << 20)
        reasons = self.explainer.count if self.explainer else 0
        return fixed, 32 + self.n * (128 + 80 * reasons)

    @property
    def known(self) -> dict[str, RatingPieces]:
        """What users have rated, by what it is used for."""
        known = {} if self.exclude is None else {"excluded": self.exclude}
        if self.explainer:
            known["explaining"] = self.explainer.ratings
        return known

    def table(self, part: UserRange) -> pa.Table:
        """Return the table of a range of users, in the order of predictions."""
        ranking = self._top(part, None, 1, lambda done, total: None)
        return self._table(part, ranking, None, 1, _Counts())

    def tables(
        self,
        users: Rows,
        threads: int,
        counts: _Counts,
        on_progress: Progress = lambda done, total: None,
        on_sorting: Progress = lambda done, total: None,
    ) -> Iterator[pa.Table]:
        """Yield tables of ranges of users, at least one, and add to `counts`."""
        fixed, each = self.memory()
        check_memory(fixed + each, "recommending items", "recommend fewer items")
        # Made once for all ranges of users.
        posterior = _posterior_of(self.model) if self.order.needs_samples else None
        for part in user_ranges(users, self.known, fixed=fixed, each=each, on_progress=on_sorting):
            shown = _shifted(on_progress, counts.users, len(users))
            ranking = self._top(part, posterior, threads, shown)
            yield self._table(part, ranking, posterior, threads, counts)

    def _top(
        self, part: UserRange, posterior: Posterior | None, threads: int, on_progress: Progress
    ) -> Ranking:
        """Rank items for a range of users."""
        exclude = None
        if "excluded" in part.known:
            exclude = Rated.by(part.users, part.known["excluded"])
        candidates = self.candidates
        if isinstance(candidates, ArrangedItems) and self.order.sort != "mean":
            candidates = candidates.rows
        return _top(self.order, posterior)(
            self.model,
            part.users,
            self.n,
            exclude=exclude,
            candidates=candidates,
            diversity=self.diversity,
            threads=threads,
            on_progress=on_progress,
        )

    def _table(
        self,
        part: UserRange,
        ranking: Ranking,
        posterior: Posterior | None,
        threads: int,
        counts: _Counts,
    ) -> pa.Table:
        """Return the table of a ranking."""
        model, shown = self.model, self.model.clipped if self.clip else None
        counts.users += len(ranking.of)
        counts.empty += int(np.count_nonzero((ranking.items < 0).all(axis=1)))
        columns = self._columns(ranking, posterior, threads)
        if self.order.sort != "mean":
            ranking = _with_predictions(model, ranking)
        table = ranking.table(model.users, model.items, "user", model.prediction_name, shown)
        for name, values in columns.items():
            table = table.append_column(name, to_arrow(shown(values) if shown else values))
        if self.explainer is None:
            return table
        known = part.known["explaining"]
        found = self.explainer.explain(ranking, known, counts.checks, threads)
        return self.explainer.explained(table, ranking, found)

    def _columns(
        self, ranking: Ranking, posterior: Posterior | None, threads: int
    ) -> dict[str, Floats]:
        """Return what the order adds to a table: for all pairs of a ranking, not clipped."""
        columns: dict[str, Floats] = {}
        if posterior and self.order.coverage is not None:
            found = posterior.ratings(*_pairs(ranking), threads=threads)
            ends = found.expected(self.order.coverage)
            columns = dict(zip(("low", "high"), ends, strict=True))
        if self.order.sort == "sample":
            columns["sample"] = ranking.scores[ranking.items >= 0]
        return columns


def _posterior_of(model: StoredModel) -> Posterior:
    from mfcli.model.posterior import Posterior  # its kernels are not needed otherwise

    return Posterior(model)


def _top(order: Order, posterior: Posterior | None) -> Callable[..., Ranking]:
    """Return the function that ranks items in an order, called as `top_items`."""
    if order.sort == "mean":
        return top_items
    # Imported here because they load kernels that other orders do not need.
    from mfcli.model.top_of_bounds import top_of_bounds
    from mfcli.model.top_of_draws import top_of_draws

    if order.sort == "sample":
        return partial(top_of_draws, seed=order.seed, posterior=posterior)
    return partial(top_of_bounds, deviations=order.deviations, posterior=posterior)


def _with_predictions(model: StoredModel, ranking: Ranking) -> Ranking:
    """Return a ranking with the predictions of the model as scores."""
    listed, scores = ranking.items >= 0, np.full_like(ranking.scores, -np.inf)
    scores[listed] = model.predict_rows(*_pairs(ranking))
    return replace(ranking, scores=scores)


def _pairs(ranking: Ranking) -> tuple[Rows, Rows]:
    listed = ranking.items >= 0
    users = np.broadcast_to(ranking.of[:, None], listed.shape)
    return users[listed], ranking.items[listed]
