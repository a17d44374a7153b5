"""A picture of a search for settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

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
from mfcli.training import ValidationMeasure

_COLUMNS = 4
_ERROR = ValidationMeasure()
_FEW = 6  # up to this many distinct values have a tick each
_WIDE = 10  # a larger ratio of the largest to the smallest value needs a logarithmic axis
_SHOWN = 95  # percentile of the values, the best one first, at which the vertical axes end


def plot_search(
    trials: Sequence[Attempt],
    importances: dict[str, float],
    out: Path,
    *,
    measure: ValidationMeasure = _ERROR,
    title: str = "",
    size: Size | None = None,
    dpi: int = DPI,
) -> None:
    """Draw the values of all trials in order, the importances, and the values by each setting.

    Parameters
    ----------
    trials : sequence of Attempt
    importances : dict of float
        Of the settings that were searched; each has a panel.
    out : Path
        PNG, SVG or PDF by its suffix; replaced atomically.
    measure : ValidationMeasure
        That the search followed.
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
    scale = _Scale.of(trials, measure)
    with picture(out, size or Size(14.0, 3.2 * rows), dpi) as figure:
        grid = figure.add_gridspec(rows, _COLUMNS)
        # Few trials have no importances.
        wide = _COLUMNS // 2 if importances else _COLUMNS
        _draw_trials(figure.add_subplot(grid[0, :wide]), trials, scale)
        if importances:
            _draw_importances(figure.add_subplot(grid[0, wide:]), importances, scale)
        for place, name in enumerate(importances):
            axes = figure.add_subplot(grid[1 + place // _COLUMNS, place % _COLUMNS])
            _draw_setting(axes, complete, name, scale)
            if place % _COLUMNS == 0:
                axes.set_ylabel(scale.label)
        if title:
            set_figure_title(figure, title)


class _Scale(NamedTuple):
    """The vertical axes; a few trials may be far worse than the others."""

    measure: ValidationMeasure
    worst: float

    @classmethod
    def of(cls, trials: Sequence[Attempt], measure: ValidationMeasure) -> Self:
        # The value of some trial, so that the values of few trials are all drawn as they are.
        values = sorted((trial.value for trial in trials), reverse=measure.is_ranking)
        return cls(measure, values[math.ceil((len(values) - 1) * _SHOWN / 100)])

    @property
    def label(self) -> str:
        return f"Validation {self.measure.label}"

    def places(self, trials: Sequence[Attempt]) -> list[float]:
        """Return where the trials are drawn."""
        is_better = self.measure.is_better
        return [t.value if is_better(t.value, self.worst) else self.worst for t in trials]


def _draw_trials(axes: Axes, trials: Sequence[Attempt], scale: _Scale) -> None:
    """Draw the value of each trial and the best one so far."""
    for is_complete, name, color in ((True, "complete", MAIN), (False, "pruned", OTHER)):
        some = [trial for trial in trials if trial.is_complete == is_complete]
        if some:
            numbers = [trial.number for trial in some]
            axes.plot(numbers, scale.places(some), ".", color=color, label=name)
    complete = [trial for trial in trials if trial.is_complete]
    # Pruned trials do not count: their values are from fewer epochs.
    best_of = np.maximum if scale.measure.is_ranking else np.minimum
    best = best_of.accumulate(scale.places(complete))
    axes.step([t.number for t in complete], best, where="post", color=ACCENT, label="best so far")
    set_title(axes, "Trials")
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("Trial")
    axes.set_ylabel(scale.label)
    finish(axes, legend=True)


def _draw_importances(axes: Axes, importances: dict[str, float], scale: _Scale) -> None:
    names = sorted(importances, key=lambda name: importances[name])
    axes.barh(names, [importances[name] for name in names], color=MAIN)
    set_title(axes, "Importance of each setting")
    what = scale.measure.label if scale.measure.is_ranking else "error"
    axes.set_xlabel(f"Fraction of the variation in {what}")
    finish(axes)


def _draw_setting(axes: Axes, trials: Sequence[Attempt], name: str, scale: _Scale) -> None:
    """Draw the measure of each trial by its value of a setting."""
    some = [trial for trial in trials if name in trial.settings]
    values = [trial.settings[name] for trial in some]
    order = [trial.number for trial in some]
    distinct = sorted(set(values))
    if len(distinct) <= _FEW:  # also for texts such as names of schedules
        axes.set_xticks(range(len(distinct)), [str(value) for value in distinct])
        axes.set_xlim(-0.5, len(distinct) - 0.5)
        values = [distinct.index(value) for value in values]
    elif min(values) > 0 and max(values) > _WIDE * min(values):
        set_log_scale(axes, values)
    axes.scatter(values, scale.places(some), c=order, cmap=SEQUENCE, s=14)
    set_title(axes, f"{name} (lighter: later trials)")
    finish(axes)
