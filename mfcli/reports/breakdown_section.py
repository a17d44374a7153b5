"""Where the errors of predicted ratings are: by popularity, activity, rating, month, ..."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mfcli.evaluation import ActivityError, Breakdown, MonthError, RankedGroup
from mfcli.pages import Axis, Chart, Line, line_chart
from mfcli.reports.blocks import Block, Figures, Section
from mfcli.reports.measured import Measured, drawn, left_out, measured_models, not_measured
from mfcli.reports.runs import Run

_LEAD = (
    "The same errors, for groups of ratings. Usually they are smaller for items and users with many"
    " training ratings, and larger for extreme ratings, which predictions near the middle miss."
)
_RMSE = Axis("RMSE (rating units)")


def breakdown_section(runs: Sequence[Run]) -> Section | None:
    """Show the errors of groups of ratings; None if no run predicts ratings."""
    found = [one for one in measured_models(runs) if one.metrics.breakdown]
    blocks: list[Block] = []
    if found:
        blocks += [*left_out(found), Figures(list(_charts(drawn(found))))]
    elif not any(run.metrics for run in runs):
        blocks += map(not_measured, runs)
    else:
        return None
    return Section("where", "Where the error is", _LEAD, blocks)


def _charts(models: Sequence[Measured]) -> Iterator[Chart]:
    yield _by_count(models, "item", lambda found: found.item_popularity)
    yield _by_count(models, "user", lambda found: found.user_activity)
    yield _by_rating(models)
    yield _calibration(models)
    yield _residuals(models)
    if any(_breakdown(one).month for one in models):
        yield _by_month(models)


def _breakdown(one: Measured) -> Breakdown:
    assert one.metrics.breakdown  # others are left out
    return one.metrics.breakdown


def name_of(one: Measured, models: Sequence[Measured]) -> str:
    """Return what the line of a model is called: its name, if there are others."""
    return one.name if len(models) > 1 else "model"


def middle_of(group: ActivityError | RankedGroup) -> float:
    """Return where a range of counts is on a logarithmic axis, on which 0 has no place."""
    return math.sqrt((group.low + 0.5) * (group.high + 0.5))


def _by_count(
    models: Sequence[Measured], whose: str, rows_of: Callable[[Breakdown], Sequence[ActivityError]]
) -> Chart:
    lines = []
    for one in models:
        rows = rows_of(_breakdown(one))
        x, y = [middle_of(row) for row in rows], [row.rmse for row in rows]
        low, high = ends_of([row.interval for row in rows])
        name = name_of(one, models)
        lines.append(Line(name, x, y, low, high, marks=True, color=one.color))
    kind = {"item": "popularity", "user": "activity"}[whose]
    return line_chart(
        f"Error by {whose} {kind}",
        lines,
        Axis(f"Training ratings of the {whose}", log=True),
        _RMSE,
        note=f"Each point is about a tenth of the ratings, by how often their {whose} was rated in"
        " training. The bands are 95% intervals.",
        column=f"training ratings of the {whose}, middle of the range",
    )


def ends_of(
    intervals: Sequence[tuple[float, float] | None],
) -> tuple[list[float | None], list[float | None]]:
    """Return the low and the high ends of intervals; None where there is none."""
    return [one and one[0] for one in intervals], [one and one[1] for one in intervals]


def _by_rating(models: Sequence[Measured]) -> Chart:
    lines = []
    for one in models:
        rows = _breakdown(one).rating
        low, high = ends_of([row.interval for row in rows])
        x, y = [row.rating for row in rows], [row.rmse for row in rows]
        lines.append(Line(name_of(one, models), x, y, low, high, marks=True, color=one.color))
    return line_chart(
        "Error by rating",
        lines,
        Axis("Rating"),
        _RMSE,
        note="Rare, extreme ratings are harder to predict than common ones.",
        column="rating",
    )


def _calibration(models: Sequence[Measured]) -> Chart:
    lines = []
    for one in models:
        rows = _breakdown(one).calibration
        x, y = [row.prediction for row in rows], [row.rating for row in rows]
        lines.append(Line(name_of(one, models), x, y, marks=True, color=one.color))
    return line_chart(
        "Calibration",
        lines,
        Axis("Predicted rating"),
        Axis("Mean rating"),
        diagonal=True,
        note="On the diagonal, ratings are on average as predicted; above it, predictions are too"
        " low. Points at the ends may stand for few ratings.",
        column="predicted rating",
    )


def _residuals(models: Sequence[Measured]) -> Chart:
    lines = []
    for one in models:
        found = _breakdown(one).residuals
        edges, counts = np.array(found.edges), np.array(found.ratings, np.float64)
        full = np.flatnonzero(counts)
        shown = slice(full[0], full[-1] + 1) if len(full) else slice(0)
        x = ((edges[1:] + edges[:-1]) / 2)[shown]
        y = (counts / max(counts.sum(), 1))[shown]
        lines.append(Line(name_of(one, models), x.tolist(), y.tolist(), color=one.color))
    return line_chart(
        "Residuals",
        lines,
        Axis("Rating minus prediction"),
        Axis("Share of the ratings", percent=True),
        note="The narrower the peak around 0, the better.",
        column="rating minus prediction, middle of the bin",
    )


def _by_month(models: Sequence[Measured]) -> Chart:
    lines = []
    for one in models:
        rows = _breakdown(one).month or []
        x, y = list(map(_seconds, rows)), [row.rmse for row in rows]
        lines.append(Line(name_of(one, models), x, y, color=one.color))
    return line_chart(
        "Error by month",
        lines,
        Axis("Month", time=True),
        _RMSE,
        note="Months with few ratings vary by chance.",
        column="month",
    )


def _seconds(row: MonthError) -> float:
    return float(np.datetime64(row.month, "M").astype("datetime64[s]").astype(np.int64))
