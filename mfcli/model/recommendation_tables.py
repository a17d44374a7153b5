"""Recommendations as tables: lists in some order, with intervals and explanations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa

from mfcli.arguments import check_count, check_fraction
from mfcli.data import to_arrow
from mfcli.errors import warn
from mfcli.model.explanations import Explainer
from mfcli.model.folder import StoredModel
from mfcli.model.orders import BY_MEAN, Order
from mfcli.model.ranking import Ranking
from mfcli.model.rated import Rated
from mfcli.model.recommendations import top_items
from mfcli.storage import threads_of
from mfcli.types import Floats, Progress, Rows


def recommended(
    model: StoredModel,
    users: Rows,
    n: int,
    *,
    exclude: Rated | None = None,
    candidates: Rows | None = None,
    diversity: float = 0,
    explainer: Explainer | None = None,
    order: Order = BY_MEAN,
    clip: bool = True,
    threads: int | None = None,
    on_progress: Progress = lambda done, total: None,
) -> pa.Table:
    """Return a table of the best items for some users.

    Parameters
    ----------
    model, users, n, exclude, candidates, diversity
        As for `top_items`.
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

    Returns
    -------
    Arrow table
        Columns `user`, `rank` (from 1), `item`, `prediction` (or `score`); `low` and `high`, the
        interval of the expected rating, if the order has one; `sample`, the rating in the sample,
        if it is sorted by samples; and, if explained, `because_1`, `because_1_rating`,
        `because_1_contribution`, `because_2`, ...: the rated items that increase the prediction
        most, their ratings, and by how much they increase it.

    Warns
    -----
    MfcliWarning
        If no item is left for a user, or explanations are inaccurate.

    Raises
    ------
    ArtifactError
        If the order or the intervals need samples that the model does not have.
    UsageError
        If `n` or `threads` is not a whole number above 0, or `diversity` is not from 0 to 1.
    """
    check_count(n, "n", 1)
    check_fraction(diversity, "diversity")
    workers = threads_of(threads)
    ranking = _top(order)(
        model,
        users,
        n,
        exclude=exclude,
        candidates=candidates,
        diversity=diversity,
        threads=workers,
        on_progress=on_progress,
    )
    _warn_empty(ranking)
    columns = _columns(model, ranking, order, workers)
    if order.sort != "mean":
        ranking = _with_predictions(model, ranking)
    shown = model.clipped if clip else None
    table = ranking.table(model.users, model.items, "user", model.prediction_name, shown)
    for name, values in columns.items():
        table = table.append_column(name, to_arrow(shown(values) if shown else values))
    return explainer.explained(table, ranking, workers) if explainer else table


def _columns(model: StoredModel, ranking: Ranking, order: Order, threads: int) -> dict[str, Floats]:
    """Return what an order adds to a table: for all pairs of its ranking, not clipped."""
    ends = order.coverage
    columns = {} if ends is None else _intervals(model, ranking, ends, threads)
    if order.sort == "sample":
        columns["sample"] = ranking.scores[ranking.items >= 0]
    return columns


def _top(order: Order) -> Callable[..., Ranking]:
    """Return the function that ranks items in an order, called as `top_items`."""
    if order.sort == "mean":
        return top_items
    # Imported here because they load kernels that other orders do not need.
    from mfcli.model.top_of_bounds import top_of_bounds
    from mfcli.model.top_of_draws import top_of_draws

    if order.sort == "sample":
        return partial(top_of_draws, seed=order.seed)
    return partial(top_of_bounds, deviations=order.deviations)


def _with_predictions(model: StoredModel, ranking: Ranking) -> Ranking:
    """Return a ranking with the predictions of the model as scores."""
    listed, scores = ranking.items >= 0, np.full_like(ranking.scores, -np.inf)
    scores[listed] = model.predict_rows(*_pairs(ranking))
    return replace(ranking, scores=scores)


def _intervals(
    model: StoredModel, ranking: Ranking, coverage: float, threads: int
) -> dict[str, Floats]:
    """Return the ends of the intervals of the expected ratings of all pairs of a ranking."""
    from mfcli.model.posterior import Posterior  # its kernels are not needed otherwise

    found = Posterior(model).ratings(*_pairs(ranking), threads=threads)
    return dict(zip(("low", "high"), found.expected(coverage), strict=True))


def _pairs(ranking: Ranking) -> tuple[Rows, Rows]:
    listed = ranking.items >= 0
    users = np.broadcast_to(ranking.of[:, None], listed.shape)
    return users[listed], ranking.items[listed]


def _warn_empty(ranking: Ranking) -> None:
    """Warn about users for whom no item is left."""
    empty = int(np.count_nonzero((ranking.items < 0).all(axis=1)))
    if empty:
        warn(f"no item is left to recommend to {empty:,} of {len(ranking.of):,} users")
