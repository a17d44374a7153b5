"""A picture of the measures of a model by several properties of the ratings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from mfcli.evaluation import (
    MEASURES,
    ActivityError,
    Breakdown,
    CalibrationPoint,
    FoldMetrics,
    Metrics,
    MonthError,
    RatingError,
    Residuals,
)
from mfcli.plots.canvas import DPI, Size, panels, picture
from mfcli.plots.drawing import Axes
from mfcli.plots.group_errors import (
    RMSE,
    RMSE_LABEL,
    draw_groups,
    label_activity,
    label_ratings,
    of_one_split,
    rating_name,
    value_of,
)
from mfcli.plots.rankings import ranking_panels
from mfcli.plots.style import MAIN, OTHER, REFERENCE, finish, set_figure_title, set_title

_SIZE, _COLUMNS = Size(13.0, 7.0), 3
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # of the years 1 and 9999, the only ones with labels


def plot_metrics(
    metrics: Metrics | FoldMetrics,
    out: Path,
    *,
    title: str = "",
    size: Size | None = None,
    dpi: int = DPI,
) -> list[str]:
    """Draw the errors of a model by several properties of the ratings, or its rankings.

    Rankings are drawn if there are no rating errors.

    Parameters
    ----------
    metrics : Metrics
    out : Path
        PNG, SVG or PDF by its suffix; replaced atomically.
    title : str, optional
        By default, the main measure and the ratings it was measured on.
    size : Size, optional
    dpi : int

    Returns
    -------
    list of str
        The titles of the panels: errors by item popularity, user activity, rating and, if the
        ratings have times, month; calibration; residuals. Of rankings: accuracy, also by user
        activity, item popularity and cutoff; what accuracy does not show.

    Raises
    ------
    UsageError
        If the suffix is another one, or the size is too small or too large.
    ArtifactError
        If the file cannot be written, or these are the metrics of several folds.
    """
    one = of_one_split(metrics)
    drawn = ranking_panels(one) if one.breakdown is None else _panels(one, one.breakdown)
    with picture(out, size or _SIZE, dpi) as figure:
        for axes, (name, draw) in zip(
            panels(figure, len(drawn), _COLUMNS), drawn.items(), strict=True
        ):
            draw(axes)
            set_title(axes, name)
            finish(axes, legend=bool(axes.get_legend_handles_labels()[0]))
        set_figure_title(figure, title or _title(one))
    return list(drawn)


def _title(metrics: Metrics) -> str:
    protocol = metrics.protocol
    measure = RMSE if metrics.has_errors else MEASURES["ndcg"]
    at = "" if metrics.has_errors else f"@{protocol.cutoffs[0]}"
    value = measure.text(value_of(metrics, measure.name))
    return f"{measure.label}{at} {value} on {protocol.ratings:,} {protocol.rows}"


def _panels(metrics: Metrics, found: Breakdown) -> dict[str, Callable[[Axes], None]]:
    """Return what draws each panel, by its title."""
    overall = value_of(metrics, RMSE.name)
    drawn: dict[str, Callable[[Axes], None]] = {
        "Error by item popularity": partial(
            _draw_activity, rows=found.item_popularity, overall=overall, whose="item"
        ),
        "Error by user activity": partial(
            _draw_activity, rows=found.user_activity, overall=overall, whose="user"
        ),
        "Error by rating": partial(_draw_ratings, rows=found.rating, overall=overall),
        "Calibration": partial(_draw_calibration, rows=found.calibration),
        "Residuals": partial(_draw_residuals, residuals=found.residuals),
    }
    if found.month:
        drawn["Error by month"] = partial(_draw_months, rows=found.month, overall=overall)
    return drawn


def _draw_activity(axes: Axes, rows: list[ActivityError], overall: float, whose: str) -> None:
    """Draw a point for each tenth of the ratings, labeled with the range that it covers."""
    draw_groups(axes, range(len(rows)), rows, color=MAIN, marker="o")
    label_activity(axes, rows, whose)
    _draw_overall(axes, overall)


def _draw_overall(axes: Axes, overall: float) -> None:
    """Draw the error on all ratings, and label the axis of errors."""
    axes.axhline(overall, label=f"all ratings: {RMSE.text(overall)}", **REFERENCE)
    axes.set_ylabel(RMSE_LABEL)


def _draw_ratings(axes: Axes, rows: list[RatingError], overall: float) -> None:
    axes.bar(range(len(rows)), [row.rmse for row in rows], color=OTHER)
    draw_groups(axes, range(len(rows)), rows, color=MAIN, linestyle="none")
    label_ratings(axes, list(map(rating_name, rows)))
    _draw_overall(axes, overall)


def _draw_calibration(axes: Axes, rows: list[CalibrationPoint]) -> None:
    """Draw the mean rating by prediction; the area of a dot grows with its number of ratings."""
    x, y = [row.prediction for row in rows], [row.rating for row in rows]
    # Areas grow with the ratings, not widths, because people compare areas.
    most = max(1, *(row.ratings for row in rows))
    # The diagonal, over the range of both axes.
    ends = [min(*x, *y), max(*x, *y)] if len(rows) > 1 else [x[0], x[0]]
    axes.plot(ends, ends, label="perfect calibration", **REFERENCE)
    axes.plot(x, y, color=MAIN, linewidth=1)
    axes.scatter(x, y, s=[4 + 80 * row.ratings / most for row in rows], color=MAIN)
    axes.set_xlabel("Predicted rating")
    axes.set_ylabel("Mean rating")


def _draw_residuals(axes: Axes, residuals: Residuals) -> None:
    edges, ratings = residuals.edges, residuals.ratings
    axes.stairs(ratings, edges, fill=True, color=MAIN)
    axes.axvline(0, **REFERENCE)
    # Omit the empty bins at both ends.
    full = [n for n, count in enumerate(ratings) if count]
    if full:
        axes.set_xlim(edges[full[0]], edges[full[-1] + 1])
    axes.set_xlabel("Rating minus prediction")
    axes.set_ylabel("Number of ratings")


def _draw_months(axes: Axes, rows: list[MonthError], overall: float) -> None:
    months = np.array([row.month for row in rows], "datetime64[M]")
    marker = "o" if len(rows) == 1 else ""  # a line of one point is invisible
    axes.plot(months, [row.rmse for row in rows], marker=marker, linewidth=1.2, color=MAIN)
    left, right = axes.get_xlim()
    # matplotlib adds a margin, which may go beyond the years that it can label.
    axes.set_xlim(max(left, _FIRST_DAY), min(right, _LAST_DAY))
    axes.tick_params(axis="x", rotation=45)
    axes.set_xlabel("Month")
    _draw_overall(axes, overall)
