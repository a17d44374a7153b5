"""A picture of the errors or the rankings of several models, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mfcli.errors import warn
from mfcli.evaluation import (
    MEASURES,
    ActivityError,
    FoldMetrics,
    Measure,
    Metrics,
    RankedGroup,
    RatingError,
    compare,
)
from mfcli.plots.canvas import DPI, Size, panels, picture
from mfcli.plots.drawing import Axes
from mfcli.plots.group_errors import (
    RMSE,
    RMSE_LABEL,
    Groups,
    capitalized,
    draw_groups,
    label_activity,
    label_ratings,
    of_one_split,
    rating_name,
    reaches,
    value_of,
)
from mfcli.plots.legends import add_legend_below, height_below, shortened
from mfcli.plots.style import color_of, finish, marker_of, set_figure_title, set_title

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

    If only rankings were measured of a run, the rankings of all runs are drawn.

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
        rating; or NDCG, recall by item popularity, NDCG by user activity and recall.

    Warns
    -----
    MfcliWarning
        If the runs were measured in different ways.

    Raises
    ------
    UsageError
        If the suffix is another one, or the size is too small or too large.
    ArtifactError
        If the file cannot be written, or a run has the metrics of several folds, or no rankings
        although another one has nothing else.
    """
    named = dict(zip(shortened(list(runs)), map(of_one_split, runs.values()), strict=True))
    has_errors = all(run.has_errors for run in named.values())
    drawn, what = (_ERRORS, "errors") if has_errors else (_RANKINGS, "rankings")
    if not compare(runs, any_protocol=True).same_protocol:
        warn(f"the runs were measured in different ways, so their {what} are not comparable")
    main = RMSE if has_errors else MEASURES["ndcg"]
    with picture(out, size or _size(len(named)), dpi) as figure:
        grid = panels(figure, len(drawn), _COLUMNS)
        for axes, (name, draw) in zip(grid, drawn.items(), strict=True):
            draw(axes, named)
            set_title(axes, name)
            finish(axes)
        add_legend_below(figure, _entries(grid[1], named, main))
        set_figure_title(figure, title or _title(next(iter(named.values())), main))
    return list(drawn)


def _size(runs: int) -> Size:
    # Two rows of panels, in each of which there is room for the names of all runs.
    height = max(_HEIGHT, 2 * (_MARGINS + _NAME * runs))
    return Size(_WIDTH, height + height_below(_WIDTH, runs))


def _title(metrics: Metrics, main: Measure) -> str:
    protocol = metrics.protocol
    what = main.label if main is RMSE else f"Rankings of {protocol.cutoffs[0]} items"
    return f"{what} with 95% intervals on {protocol.ratings:,} {protocol.rows}"


def _style(number: int) -> dict[str, Any]:
    return {"color": color_of(number), "marker": marker_of(number) or "o", "markersize": 4}


def _entries(axes: Axes, runs: Mapping[str, Metrics], main: Measure) -> list[tuple[Any, str]]:
    return [
        (
            axes.plot([], [], **_style(number))[0],
            f"{name} ({main.text(value_of(metrics, main.name))})",
        )
        for number, (name, metrics) in enumerate(runs.items())
    ]


def _draw_overall(axes: Axes, runs: Mapping[str, Metrics], measure: Measure = RMSE) -> None:
    """Draw a measure of each run on all ratings, from top to bottom."""
    for number, metrics in enumerate(runs.values()):
        value = value_of(metrics, measure.name)
        reach = reaches([value], [metrics.intervals.get(measure.name)])
        axes.errorbar([value], [number], xerr=reach, capsize=3, **_style(number))
    axes.set_yticks(range(len(runs)), list(runs), fontsize="small")
    axes.set_ylim(len(runs) - 0.5, -0.5)
    axes.set_xlabel(RMSE_LABEL if measure is RMSE else capitalized(measure.label))


def _draw_items(axes: Axes, runs: Mapping[str, Metrics]) -> None:
    found = [run.breakdown.item_popularity for run in runs.values() if run.breakdown]
    _draw_activity(axes, found, "item", RMSE_LABEL)


def _draw_users(axes: Axes, runs: Mapping[str, Metrics]) -> None:
    found = [run.breakdown.user_activity for run in runs.values() if run.breakdown]
    _draw_activity(axes, found, "user", RMSE_LABEL)


def _draw_ranked_items(axes: Axes, runs: Mapping[str, Metrics]) -> None:
    # Files of older versions have no breakdown.
    found = [run.ranking_breakdown for run in runs.values()]
    rows = [one.item_popularity if one else [] for one in found]
    _draw_activity(axes, rows, "item", capitalized(MEASURES["recall"].label))


def _draw_ranked_users(axes: Axes, runs: Mapping[str, Metrics]) -> None:
    found = [run.ranking_breakdown for run in runs.values()]
    rows = [one.user_activity if one else [] for one in found]
    _draw_activity(axes, rows, "user", MEASURES["ndcg"].label)


def _draw_activity(
    axes: Axes, columns: Sequence[Sequence[ActivityError | RankedGroup]], whose: str, label: str
) -> None:
    _draw_side_by_side(axes, columns, [range(len(rows)) for rows in columns])
    axes.set_ylabel(label)
    if len({tuple((row.low, row.high) for row in rows) for rows in columns}) == 1:
        label_activity(axes, columns[0], whose)
    else:  # measured on different ratings, so the ranges differ
        axes.set_xticks(range(max(map(len, columns))))
        axes.set_xlabel(f"Training ratings of the {whose}, from few to many (deciles)")


def _draw_ratings(axes: Axes, runs: Mapping[str, Metrics]) -> None:
    columns: list[list[RatingError]] = [
        run.breakdown.rating for run in runs.values() if run.breakdown
    ]
    # Runs that were measured on different ratings may lack some values.
    means = {rating_name(row): row.rating for rows in columns for row in rows}
    names = sorted(means, key=means.__getitem__)
    _draw_side_by_side(
        axes, columns, [[names.index(rating_name(row)) for row in rows] for rows in columns]
    )
    axes.set_ylabel(RMSE_LABEL)
    label_ratings(axes, names)


def _draw_side_by_side(
    axes: Axes, columns: Sequence[Groups], places: Sequence[Sequence[int]]
) -> None:
    """Draw the groups of each run, a bit to the right of those of the run before."""
    step = _SPREAD / len(columns)
    for number, (rows, groups) in enumerate(zip(columns, places, strict=True)):
        shift = (number - (len(columns) - 1) / 2) * step
        draw_groups(axes, [n + shift for n in groups], rows, linewidth=0.8, **_style(number))


_ERRORS: dict[str, Callable[[Axes, Mapping[str, Metrics]], None]] = {
    _OVERALL: _draw_overall,
    _BY_ITEM: _draw_items,
    _BY_USER: _draw_users,
    _BY_RATING: _draw_ratings,
}
_RANKINGS: dict[str, Callable[[Axes, Mapping[str, Metrics]], None]] = {
    "NDCG": partial(_draw_overall, measure=MEASURES["ndcg"]),
    "Recall by item popularity": _draw_ranked_items,
    "NDCG by user activity": _draw_ranked_users,
    "Recall": partial(_draw_overall, measure=MEASURES["recall"]),
}
