"""Pictures of training histories."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mfcli.errors import Param, UsageError
from mfcli.evaluation import MEASURES
from mfcli.plots.canvas import check_suffix, new_figure, save
from mfcli.plots.style import COLORS, finish, set_log_scale
from mfcli.training import MSE_NAMES, History


def plot_histories(
    histories: Mapping[str, History],
    out: Path,
    *,
    rmse: bool = False,
    seconds: bool = False,
    title: str = "",
) -> None:
    """Draw loss and mean squared error on the training and validation ratings.

    Parameters
    ----------
    histories : mapping of History
        By the name of the run; each run has its color.
    out : Path
        PNG, SVG or PDF by its suffix; replaced atomically.
    rmse : bool
        Draw the root of the mean squared error.
    seconds : bool
        Compare how fast the runs learn: draw only the validation errors, against the training time
        on a logarithmic scale.
    title : str

    Raises
    ------
    UsageError
        If the suffix is another one, or `seconds` is given but a history has no times.
    ArtifactError
        If the file cannot be written.
    """
    check_suffix(out)
    runs = [_Run(name, history, seconds) for name, history in histories.items()]
    panels = _panels(runs, rmse, seconds)
    figure = new_figure(5.2 * len(panels), 4.0)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(grid, panels, strict=True):
        _draw(axes, runs, panel, both=not seconds)
        _label(axes, runs, panel, seconds)
        finish(axes, legend=True)
    if title:
        figure.suptitle(title, parse_math=False)
    save(figure, out)


class _Run:
    """A history and the horizontal positions of its entries."""

    def __init__(self, name: str, history: History, seconds: bool) -> None:
        self.name, self.history = name, history
        self.places: list[float] = list(range(1, len(history) + 1))
        if seconds:
            self.places = list(itertools.accumulate(_times(name, history)))


def _times(name: str, history: History) -> list[float]:
    """Return the seconds of each epoch; the logarithmic axis needs them above 0."""
    times = history.lists.get("seconds")
    if times and min(times) > 0:
        return times
    rule = "must have seconds above 0" if times else "has no list 'seconds'"
    raise UsageError(rule, place=name, remedy=["omit ", Param("seconds")])


class _Panel(NamedTuple):
    """What a panel shows: its label and the names that the list may have in a history."""

    label: str
    names: tuple[str, ...]
    root: bool = False

    def heights(self, values: list[float]) -> list[float]:
        return [math.sqrt(max(value, 0.0)) for value in values] if self.root else values


def _panels(runs: list[_Run], rmse: bool, seconds: bool) -> list[_Panel]:
    """Choose the panels that at least one run has a list for."""
    error = MEASURES["rmse" if rmse else "mse"].label
    panels = [_Panel("Loss", ("loss",)), _Panel(error, MSE_NAMES, root=rmse)]
    found = [panel for panel in panels if any(run.history.series(panel.names) for run in runs)]
    return found[-1:] if seconds else found


def _draw(axes: Axes, runs: list[_Run], panel: _Panel, *, both: bool) -> None:
    """Draw the validation errors of each run, and its training errors if `both` or alone."""
    for number, run in enumerate(runs):
        color = COLORS[number % len(COLORS)]
        prefix = f"{run.name} " if len(runs) > 1 else ""
        training = run.history.series(panel.names)
        validation = run.history.series(panel.names, "val_")
        if training and (both or not validation):
            style = {"color": color, "linestyle": "--", "label": f"{prefix}training"}
            _draw_line(axes, run, panel.heights(training), **style)
        if validation:
            heights = panel.heights(validation)
            name = f"{prefix}validation" if both else run.name
            best = min(range(len(heights)), key=heights.__getitem__)
            label = f"{name} (best {MEASURES['mse'].text(heights[best])})"
            _draw_line(axes, run, heights, color=color, label=label)
            place = run.places[best], heights[best]
            axes.plot(*place, marker="o", markersize=7, markerfacecolor="white", color=color)


def _draw_line(axes: Axes, run: _Run, heights: list[float], **style: Any) -> None:
    marker = "o" if len(heights) == 1 else ""  # a line of one point is invisible
    axes.plot(run.places, heights, marker=marker, linewidth=1.6, **style)


def _label(axes: Axes, runs: list[_Run], panel: _Panel, seconds: bool) -> None:
    axes.set_ylabel(panel.label)
    if seconds:
        set_log_scale(axes, [place for run in runs for place in run.places])
        axes.set_xlabel("Training time (seconds)")
        axes.set_ylabel(f"Validation {panel.label}")
    else:
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
