"""A picture of a search for settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from mfcli.plots.canvas import COLOURS, add_legend, check_suffix, dress, new_figure, save
from mfcli.search import Attempt

_COLUMNS = 4
_FEW = 6  # values that are drawn as words
_WIDE = 10  # times the least value is the greatest where the axis is logarithmic
_SHOWN = 95  # percent of the trials that the range of errors has room for


def plot_search(
    trials: Sequence[Attempt], importances: dict[str, float], out: Path, *, title: str = ""
) -> None:
    """Draw the trials one after another, what mattered, and the errors over each setting.

    Parameters
    ----------
    trials : sequence of Attempt
    importances : dict of float
        Of the settings that were chosen; each has a panel.
    out : Path
        PNG, SVG or PDF by its suffix; replaced atomically.
    title : str

    Raises
    ------
    UsageError
        If the suffix is none of those.
    ArtifactError
        If the file cannot be written.
    """
    check_suffix(out)
    whole = [trial for trial in trials if trial.is_whole]
    rows = 1 + -(-len(importances) // _COLUMNS)
    figure = new_figure(14.0, 3.2 * rows)
    grid = figure.add_gridspec(rows, _COLUMNS)
    top = _top(trials)
    _draw_history(figure.add_subplot(grid[0, : _COLUMNS // 2]), trials, top)
    _draw_importances(figure.add_subplot(grid[0, _COLUMNS // 2 :]), importances)
    for place, name in enumerate(importances):
        axes = figure.add_subplot(grid[1 + place // _COLUMNS, place % _COLUMNS])
        _draw_slice(axes, whole, name, top)
    if title:
        figure.suptitle(title, parse_math=False)
    save(figure, out)


def _top(trials: Sequence[Attempt]) -> float:
    """Return the greatest error with a place in the picture: a few go beyond all bounds."""
    return float(np.percentile([trial.rmse for trial in trials], _SHOWN))


def _draw_history(axes: Axes, trials: Sequence[Attempt], top: float) -> None:
    for is_whole, name, colour in ((True, "to the end", 0), (False, "cut short", 5)):
        some = [t for t in trials if t.is_whole == is_whole]
        axes.plot(
            [t.number for t in some],
            [min(t.rmse, top) for t in some],
            ".",
            color=COLOURS[colour],
            label=name,
        )
    whole = [t for t in trials if t.is_whole]
    best = np.minimum.accumulate([t.rmse for t in whole])
    axes.step([t.number for t in whole], best, where="post", color=COLOURS[1], label="best")
    axes.set_title("Trials", fontsize="medium")
    axes.set_xlabel("trial")
    axes.set_ylabel("validation RMSE")
    add_legend(axes)
    dress(axes)


def _draw_importances(axes: Axes, importances: dict[str, float]) -> None:
    names = sorted(importances, key=lambda name: importances[name])
    axes.barh(names, [importances[name] for name in names], color=COLOURS[0])
    axes.set_title("Importance: share of the spread of errors", fontsize="medium")
    dress(axes)


def _draw_slice(axes: Axes, trials: Sequence[Attempt], name: str, top: float) -> None:
    some = [trial for trial in trials if name in trial.settings]
    values = [trial.settings[name] for trial in some]
    errors, colours = [min(trial.rmse, top) for trial in some], [t.number for t in some]
    distinct = sorted(set(values))
    if len(distinct) <= _FEW:
        axes.set_xticks(range(len(distinct)), [str(value) for value in distinct])
        axes.set_xlim(-0.5, len(distinct) - 0.5)
        values = [distinct.index(value) for value in values]
    elif min(values) > 0 and max(values) > _WIDE * min(values):
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.scatter(values, errors, c=colours, cmap="viridis", s=14)
    axes.set_title(f"{name} (later trials are lighter)", fontsize="medium")
    dress(axes)
