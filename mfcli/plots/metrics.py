"""A picture of where the error of a model is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mfcli.errors import ArtifactError
from mfcli.evaluation import SavedMetrics
from mfcli.plots.canvas import COLOURS, add_legend, check_suffix, dress, new_figure, save

_COLOUR = COLOURS[0]


def plot_metrics(metrics: SavedMetrics, out: Path, *, title: str = "") -> list[str]:
    """Draw where the error of a model is.

    Parameters
    ----------
    metrics : SavedMetrics
    out : Path
        PNG, SVG or PDF by its suffix; replaced atomically.
    title : str

    Returns
    -------
    list of str
        The panels: RMSE by popularity, activity, rating and, if there are times, month;
        calibration; residuals.

    Raises
    ------
    UsageError
        If the suffix is none of those.
    ArtifactError
        If the file cannot be written, or the metrics are those of folds.
    """
    check_suffix(out)
    if metrics.breakdown is None:
        raise ArtifactError(
            f"{metrics.path}: holds the metrics of folds; draw one of them: mfcli evaluate --split"
            " split/fold-1 --model fold-1/model"
        )
    panels = _panels(metrics)
    figure = new_figure(13.0, 7.0)
    grid = figure.subplots(2, 3).ravel()
    for axes, (name, draw) in zip(grid, panels.items(), strict=False):
        draw(axes)
        axes.set_title(name, fontsize="medium")
        dress(axes)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    figure.suptitle(title or _title(metrics), parse_math=False)
    save(figure, out)
    return list(panels)


def _title(metrics: SavedMetrics) -> str:
    protocol = metrics.protocols[0]
    return (
        f"RMSE {metrics.measures['rmse']:.4f} on {protocol['ratings']:,} {protocol['on']} ratings"
    )


def _panels(metrics: SavedMetrics) -> dict[str, Callable[[Axes], None]]:
    """Choose what to draw: the name of each panel and what draws it."""
    found, whole = metrics.breakdown or {}, metrics.measures["rmse"]
    panels: dict[str, Callable[[Axes], None]] = {
        "Error by popularity": partial(
            _ranges,
            rows=found["item_popularity"],
            whole=whole,
            whose="the item",
        ),
        "Error by activity": partial(
            _ranges, rows=found["user_activity"], whole=whole, whose="the user"
        ),
        "Error by rating": partial(_values, rows=found["rating"], whole=whole),
        "Calibration": partial(_calibration, rows=found["calibration"]),
        "Residuals": partial(_residuals, residuals=found["residuals"]),
    }
    if found["month"]:
        panels["Error by month"] = partial(_months, rows=found["month"], whole=whole)
    return panels


def _ranges(axes: Axes, rows: list[dict[str, Any]], whole: float, whose: str) -> None:
    """Draw a point for each tenth of the ratings."""
    ends = [(row["from"], row["to"]) for row in rows]
    names = [f"{low:,}" if low == high else f"{low:,}-{high:,}" for low, high in ends]
    axes.plot([row["rmse"] for row in rows], marker="o", color=_COLOUR)
    axes.set_xticks(range(len(rows)), names, rotation=45, ha="right", fontsize="small")
    axes.set_xlabel(f"Training ratings of {whose}, in tenths of the ratings")
    _error_axis(axes, whole)


def _error_axis(axes: Axes, whole: float) -> None:
    """Draw the error over all ratings, too."""
    axes.axhline(whole, color="black", linewidth=1, linestyle="--", label=f"all: {whole:.4f}")
    axes.set_ylabel("RMSE")
    add_legend(axes)


def _values(axes: Axes, rows: list[dict[str, Any]], whole: float) -> None:
    names = [f"{row['rating']:.3g}" for row in rows]
    axes.bar(names, [row["rmse"] for row in rows], color=_COLOUR)
    axes.set_xlabel("Rating")
    _error_axis(axes, whole)


def _calibration(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Draw the mean rating for each range of predictions, larger dots for more ratings."""
    x, y = ([row[name] for row in rows] for name in ("prediction", "rating"))
    most = max(row["ratings"] for row in rows)
    ends = [min(*x, *y), max(*x, *y)] if len(rows) > 1 else [x[0], x[0]]
    axes.plot(ends, ends, color="black", linewidth=1, linestyle="--", label="as predicted")
    axes.plot(x, y, color=_COLOUR, linewidth=1)
    axes.scatter(x, y, s=[4 + 80 * row["ratings"] / most for row in rows], color=_COLOUR)
    axes.set_xlabel("Predicted rating")
    axes.set_ylabel("Mean rating")
    add_legend(axes)


def _residuals(axes: Axes, residuals: dict[str, list[float]]) -> None:
    edges, ratings = residuals["edges"], residuals["ratings"]
    axes.stairs(ratings, edges, fill=True, color=_COLOUR)
    axes.axvline(0, color="black", linewidth=1, linestyle="--")
    full = [n for n, count in enumerate(ratings) if count]
    if full:
        axes.set_xlim(edges[full[0]], edges[full[-1] + 1])
    axes.set_xlabel("Rating less prediction")
    axes.set_ylabel("Ratings")


def _months(axes: Axes, rows: list[dict[str, Any]], whole: float) -> None:
    months = np.array([row["month"] for row in rows], "datetime64[M]")
    marker = "o" if len(rows) == 1 else ""
    axes.plot(months, [row["rmse"] for row in rows], marker=marker, linewidth=1.2, color=_COLOUR)
    axes.tick_params(axis="x", rotation=45)
    axes.set_xlabel("Month")
    _error_axis(axes, whole)
