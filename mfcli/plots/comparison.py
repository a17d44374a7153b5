"""A picture of the errors of several models, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mfcli.errors import warn
from mfcli.evaluation import ActivityError, FoldMetrics, Metrics, RatingError, compare
from mfcli.plots.canvas import DPI, Size, panels, picture
from mfcli.plots.drawing import Axes
from mfcli.plots.group_errors import (
    RMSE,
    RMSE_LABEL,
    Errors,
    draw_errors,
    label_activity,
    label_ratings,
    of_one_split,
    rating_name,
    rmse_of,
)
from mfcli.plots.legends import add_legend_below, height_below, shortened
from mfcli.plots.style import color_of, finish, marker_of, set_figure_title, set_title
from mfcli.splits import ratings_of

_WIDTH, _HEIGHT, _COLUMNS = 11.0, 8.0, 2
_NAME, _MARGINS = 0.16, 1.0  # inches of a name, and of what is above and below a panel
_SPREAD = 0.6  # width that the points of a group take together; groups are 1 apart
_BY_ITEM, _BY_USER = "Error by item popularity", "Error by user activity"
_OVERALL, _BY_RATING = "Error on all ratings", "Error by rating"


def plot_comparison(
    runs: Mapping[str, Metrics | FoldMetrics],
    out: Path,
    *,
    title: str = "",
    size: Size | None = None,
    dpi: int = DPI,
) -> list[str]:
    """Draw the errors of several models side by side, with 95% intervals.

    Parameters
    ----------
    runs : mapping of Metrics
        By the name of the run.
    out : Path
        PNG, SVG or PDF by its suffix; replaced atomically.
    title : str, optional
        By default, the ratings that the first run was measured on.
    size : Size, optional
    dpi : int

    Returns
    -------
    list of str
        The titles of the panels: errors on all ratings, and by item popularity, user activity and
        rating.

    Warns
    -----
    MfcliWarning
        If the runs were measured in different ways.

    Raises
    ------
    UsageError
        If the suffix is another one, or the size is too small or too large.
    ArtifactError
        If the file cannot be written, or a run has the metrics of several folds.
    """
    named = dict(zip(shortened(list(runs)), map(of_one_split, runs.values()), strict=True))
    if not compare(runs, any_protocol=True).same_protocol:
        warn("the runs were measured in different ways, so their errors are not comparable")
    drawn = {_OVERALL: _draw_overall, _BY_ITEM: _draw_items, _BY_USER: _draw_users,
             _BY_RATING: _draw_ratings}  # fmt: skip
    with picture(out, size or _size(len(named)), dpi) as figure:
        grid = panels(figure, len(drawn), _COLUMNS)
        for axes, (name, draw) in zip(grid, drawn.items(), strict=True):
            draw(axes, named)
            set_title(axes, name)
            finish(axes)
        add_legend_below(figure, _entries(grid[1], named))
        set_figure_title(figure, title or _title(next(iter(named.values()))))
    return list(drawn)


def _size(runs: int) -> Size:
    # Two rows of panels, in each of which there is room for the names of all runs.
    height = max(_HEIGHT, 2 * (_MARGINS + _NAME * runs))
    return Size(_WIDTH, height + height_below(_WIDTH, runs))


def _title(metrics: Metrics) -> str:
    protocol = metrics.protocol
    return f"{RMSE.label} with 95% intervals on {protocol.ratings:,} {ratings_of(protocol.on)}"


def _style(number: int) -> dict[str, Any]:
    return {"color": color_of(number), "marker": marker_of(number) or "o", "markersize": 4}


def _entries(axes: Axes, runs: Mapping[str, Metrics]) -> list[tuple[Any, str]]:
    return [
        (axes.plot([], [], **_style(number))[0], f"{name} ({RMSE.text(rmse_of(metrics))})")
        for number, (name, metrics) in enumerate(runs.items())
    ]


def _draw_overall(axes: Axes, runs: Mapping[str, Metrics]) -> None:
    """Draw the error of each run on all ratings, from top to bottom."""
    for number, metrics in enumerate(runs.values()):
        rmse = rmse_of(metrics)
        low, high = metrics.intervals.get(RMSE.name) or (math.nan, math.nan)  # NaN is not drawn
        ends = [[rmse - low], [high - rmse]]
        axes.errorbar([rmse], [number], xerr=ends, capsize=3, **_style(number))
    axes.set_yticks(range(len(runs)), list(runs), fontsize="small")
    axes.set_ylim(len(runs) - 0.5, -0.5)
    axes.set_xlabel(RMSE_LABEL)


def _draw_items(axes: Axes, runs: Mapping[str, Metrics]) -> None:
    _draw_activity(axes, [run.breakdown.item_popularity for run in runs.values()], "item")


def _draw_users(axes: Axes, runs: Mapping[str, Metrics]) -> None:
    _draw_activity(axes, [run.breakdown.user_activity for run in runs.values()], "user")


def _draw_activity(axes: Axes, columns: Sequence[Sequence[ActivityError]], whose: str) -> None:
    _draw_side_by_side(axes, columns, [range(len(rows)) for rows in columns])
    if len({tuple((row.low, row.high) for row in rows) for rows in columns}) == 1:
        label_activity(axes, columns[0], whose)
    else:  # measured on different ratings, so the ranges differ
        axes.set_xticks(range(max(map(len, columns))))
        axes.set_xlabel(f"Training ratings of the {whose}, from few to many (deciles)")


def _draw_ratings(axes: Axes, runs: Mapping[str, Metrics]) -> None:
    columns: list[list[RatingError]] = [run.breakdown.rating for run in runs.values()]
    # Runs that were measured on different ratings may lack some values.
    means = {rating_name(row): row.rating for rows in columns for row in rows}
    names = sorted(means, key=means.__getitem__)
    _draw_side_by_side(
        axes, columns, [[names.index(rating_name(row)) for row in rows] for rows in columns]
    )
    label_ratings(axes, names)


def _draw_side_by_side(
    axes: Axes, columns: Sequence[Errors], places: Sequence[Sequence[int]]
) -> None:
    """Draw the errors of each run, a bit to the right of those of the run before."""
    step = _SPREAD / len(columns)
    for number, (rows, groups) in enumerate(zip(columns, places, strict=True)):
        shift = (number - (len(columns) - 1) / 2) * step
        draw_errors(axes, [n + shift for n in groups], rows, linewidth=0.8, **_style(number))
    axes.set_ylabel(RMSE_LABEL)
