"""A picture of a search for settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mfcli.evaluation import MEASURES
from mfcli.plots.canvas import DPI, Size, picture
from mfcli.plots.drawing import Axes
from mfcli.plots.style import (
    ACCENT,
    MAIN,
    OTHER,
    SEQUENCE,
    finish,
    set_figure_title,
    set_log_scale,
    set_title,
)
from mfcli.search import Attempt

_COLUMNS = 4
_LABEL = f"Validation {MEASURES['rmse'].label}"
_FEW = 6  # up to this many distinct values have a tick each
_WIDE = 10  # a larger ratio of the largest to the smallest value needs a logarithmic axis
_SHOWN = 95  # percentile of the errors at which the vertical axes end


def plot_search(
    trials: Sequence[Attempt],
    importances: dict[str, float],
    out: Path,
    *,
    title: str = "",
    size: Size | None = None,
    dpi: int = DPI,
) -> None:
    """Draw the errors of all trials in order, the importances, and the errors by each setting.

    Parameters
    ----------
    trials : sequence of Attempt
    importances : dict of float
        Of the settings that were searched; each has a panel.
    out : Path
        PNG, SVG or PDF by its suffix; replaced atomically.
    title : str
    size : Size, optional
        By default, as the number of panels needs.
    dpi : int

    Raises
    ------
    UsageError
        If the suffix is another one, or the size is too small or too large.
    ArtifactError
        If the file cannot be written.
    """
    complete = [trial for trial in trials if trial.is_complete]
    rows = 1 + -(-len(importances) // _COLUMNS)
    top = _top(trials)
    with picture(out, size or Size(14.0, 3.2 * rows), dpi) as figure:
        grid = figure.add_gridspec(rows, _COLUMNS)
        # Few trials have no importances.
        wide = _COLUMNS // 2 if importances else _COLUMNS
        _draw_trials(figure.add_subplot(grid[0, :wide]), trials, top)
        if importances:
            _draw_importances(figure.add_subplot(grid[0, wide:]), importances)
        for place, name in enumerate(importances):
            axes = figure.add_subplot(grid[1 + place // _COLUMNS, place % _COLUMNS])
            _draw_setting(axes, complete, name, top)
            if place % _COLUMNS == 0:
                axes.set_ylabel(_LABEL)
        if title:
            set_figure_title(figure, title)


def _top(trials: Sequence[Attempt]) -> float:
    """Return the largest error to draw; a few trials may have errors far above the others."""
    # An error of some trial, so that the errors of few trials are all drawn as they are.
    return float(np.percentile([trial.rmse for trial in trials], _SHOWN, method="higher"))


def _draw_trials(axes: Axes, trials: Sequence[Attempt], top: float) -> None:
    """Draw the error of each trial and the lowest error so far."""
    for is_complete, name, color in ((True, "complete", MAIN), (False, "pruned", OTHER)):
        some = [trial for trial in trials if trial.is_complete == is_complete]
        numbers, errors = [t.number for t in some], [min(t.rmse, top) for t in some]
        if some:
            axes.plot(numbers, errors, ".", color=color, label=name)
    complete = [trial for trial in trials if trial.is_complete]
    # Pruned trials do not count: their errors are from fewer epochs.
    best = np.minimum.accumulate([min(trial.rmse, top) for trial in complete])
    axes.step([t.number for t in complete], best, where="post", color=ACCENT, label="best so far")
    set_title(axes, "Trials")
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("Trial")
    axes.set_ylabel(_LABEL)
    finish(axes, legend=True)


def _draw_importances(axes: Axes, importances: dict[str, float]) -> None:
    names = sorted(importances, key=lambda name: importances[name])
    axes.barh(names, [importances[name] for name in names], color=MAIN)
    set_title(axes, "Importance of each setting")
    axes.set_xlabel("Fraction of the variation in error")
    finish(axes)


def _draw_setting(axes: Axes, trials: Sequence[Attempt], name: str, top: float) -> None:
    """Draw the error of each trial by its value of a setting."""
    some = [trial for trial in trials if name in trial.settings]
    values = [trial.settings[name] for trial in some]
    errors, order = [min(trial.rmse, top) for trial in some], [trial.number for trial in some]
    distinct = sorted(set(values))
    if len(distinct) <= _FEW:  # also for texts such as names of schedules
        axes.set_xticks(range(len(distinct)), [str(value) for value in distinct])
        axes.set_xlim(-0.5, len(distinct) - 0.5)
        values = [distinct.index(value) for value in values]
    elif min(values) > 0 and max(values) > _WIDE * min(values):
        set_log_scale(axes, values)
    axes.scatter(values, errors, c=order, cmap=SEQUENCE, s=14)
    set_title(axes, f"{name} (lighter: later trials)")
    finish(axes)
