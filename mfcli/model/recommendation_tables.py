"""Recommendations as tables: lists in some order, with intervals and explanations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mfcli.arguments import check_count, check_fraction
from mfcli.data import to_arrow
from mfcli.errors import warn
from mfcli.model.explanations import Explainer, ExplanationChecks
from mfcli.model.folder import StoredModel
from mfcli.model.orders import BY_MEAN, Order
from mfcli.model.ranking import Ranking
from mfcli.model.rated import Rated
from mfcli.model.rated_parts import RatingPieces
from mfcli.model.recommendations import top_items
from mfcli.model.user_ranges import UserRange, user_ranges
from mfcli.storage import check_memory, threads_of
from mfcli.types import Floats, Progress, Rows

if TYPE_CHECKING:
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
    candidates: Rows | None = None,
    diversity: float = 0,
    explainer: Explainer | None = None,
    order: Order = BY_MEAN,
    clip: bool = True,
    threads: int | None = None,
    on_progress: Progress = lambda done, total: None,
    on_sorting: Progress = lambda done, total: None,
) -> Iterator[pa.Table]:
    """Yield tables of the best items for some users, which follow each other.

    There is one table, unless what users have rated and their lists do not fit in memory.

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
    lists = _Lists(model, order, explainer, threads_of(threads), clip)
    top = partial(lists.top, n=n, candidates=candidates, diversity=diversity)
    known = {} if exclude is None else {"excluded": exclude}
    if explainer:
        known["explaining"] = explainer.ratings
    fixed, each = _memory(model, n, explainer)
    check_memory(fixed + each, "recommending items", "recommend fewer items")
    done = 0
    for part in user_ranges(users, known, fixed=fixed, each=each, on_progress=on_sorting):
        ranking = top(part, on_progress=_shifted(on_progress, done, len(users)))
        yield lists.table(part, ranking)
        done += len(part.users)
    lists.warn()


def _shifted(on_progress: Progress, before: int, total: int) -> Progress:
    return lambda done, _: on_progress(before + done, total)


def _memory(model: StoredModel, n: int, explainer: Explainer | None) -> tuple[float, float]:
    """Return the bytes that are needed in any case, and those for each user, about."""
    # Arranged items and marks, for a few threads; pieces of ratings; rows of tables to be written
    fixed = len(model.items) * 4 * (2 * model.k + 20) + len(model.users) * 40 + (96 << 20)
    reasons = explainer.count if explainer else 0
    return fixed, 32 + n * (128 + 80 * reasons)


class _Lists:
    """Makes tables of rankings, and counts what to warn about."""

    def __init__(
        self,
        model: StoredModel,
        order: Order,
        explainer: Explainer | None,
        threads: int,
        clip: bool,
    ) -> None:
        self._model, self._order, self._explainer = model, order, explainer
        self._threads, self._shown = threads, model.clipped if clip else None
        self._users, self._empty, self._checks = 0, 0, ExplanationChecks()
        # Made once for all ranges of users.
        self._posterior = _posterior_of(model) if order.needs_samples else None

    def top(self, part: UserRange, **how: Any) -> Ranking:
        """Rank items for a range of users."""
        exclude = None
        if "excluded" in part.known:
            exclude = Rated.by(part.users, part.known["excluded"])
        ranked = _top(self._order, self._posterior)
        return ranked(self._model, part.users, exclude=exclude, threads=self._threads, **how)

    def table(self, part: UserRange, ranking: Ranking) -> pa.Table:
        """Return the table of a ranking."""
        model, shown = self._model, self._shown
        self._users += len(ranking.of)
        self._empty += int(np.count_nonzero((ranking.items < 0).all(axis=1)))
        columns = self._columns(ranking)
        if self._order.sort != "mean":
            ranking = _with_predictions(model, ranking)
        table = ranking.table(model.users, model.items, "user", model.prediction_name, shown)
        for name, values in columns.items():
            table = table.append_column(name, to_arrow(shown(values) if shown else values))
        if self._explainer is None:
            return table
        known = part.known["explaining"]
        found = self._explainer.explain(ranking, known, self._checks, self._threads)
        return self._explainer.explained(table, ranking, found)

    def _columns(self, ranking: Ranking) -> dict[str, Floats]:
        """Return what the order adds to a table: for all pairs of a ranking, not clipped."""
        columns: dict[str, Floats] = {}
        if self._posterior and self._order.coverage is not None:
            found = self._posterior.ratings(*_pairs(ranking), threads=self._threads)
            ends = found.expected(self._order.coverage)
            columns = dict(zip(("low", "high"), ends, strict=True))
        if self._order.sort == "sample":
            columns["sample"] = ranking.scores[ranking.items >= 0]
        return columns

    def warn(self) -> None:
        """Warn about users for whom no item is left, and about explanations."""
        if self._empty:
            warn(f"no item is left to recommend to {self._empty:,} of {self._users:,} users")
        self._checks.warn()


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
