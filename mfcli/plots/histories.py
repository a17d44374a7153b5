"""Pictures of training histories."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mfcli.errors import Param, UsageError
from mfcli.evaluation import MEASURES
from mfcli.plots.canvas import check_suffix, picture
from mfcli.plots.drawing import Axes, MaxNLocator
from mfcli.plots.legends import Legend
from mfcli.plots.style import COLORS, MARKERS, finish, set_log_scale
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
        By the name of the run; each run has its color and, if there are many, its marker. Entries
        that are not finite are left out.
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
    runs = [_Run(number, *run, seconds) for number, run in enumerate(histories.items())]
    panels = _panels(runs, rmse, seconds)
    legend = Legend([run.name for run in runs], lines=2 if not seconds else 1)
    with picture(out, 5.2 * len(panels), 4.0 + legend.height) as figure:
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, panel in zip(grid, panels, strict=True):
            _draw(axes, runs, panel, legend, both=not seconds)
            _label(axes, runs, panel, seconds)
            finish(axes)
            legend.add(axes)
        if title:
            figure.suptitle(title)


class _Run:
    """A history, the horizontal positions of its entries, and its color and marker."""

    def __init__(self, number: int, name: str, history: History, seconds: bool) -> None:
        self.name, self.history = name, history
        self.color = COLORS[number % len(COLORS)]
        # The marker changes when all colors are used, so 49 runs look different.
        self.marker = MARKERS[number // len(COLORS) % len(MARKERS)]
        self.places: list[float] = list(range(1, len(history) + 1))
        if seconds:
            self.places = list(itertools.accumulate(_times(name, history)))


def _times(name: str, history: History) -> list[float]:
    """Return the seconds of each epoch; the logarithmic axis needs them above 0."""
    times = history.lists.get("seconds")
    if times and all(0 < time < math.inf for time in times):
        return times
    rule = "must have seconds above 0" if times else "has no list 'seconds'"
    raise UsageError(rule, place=name, remedy=["omit ", Param("seconds")])


class _Panel(NamedTuple):
    """What a panel shows: its label and the names that the list may have in a history."""

    label: str
    names: tuple[str, ...]
    root: bool = False

    def points(self, run: _Run, prefix: str = "") -> list[tuple[float, float]]:
        """Return the places and heights of the finite entries of a run's list."""
        heights = run.history.series(self.names, prefix) or []
        if self.root:
            # Other programs may write an error of -0.0, or slightly below 0.
            heights = [math.sqrt(max(height, 0.0)) for height in heights]
        pairs = zip(run.places, heights, strict=False)  # a list may be missing
        return [(place, height) for place, height in pairs if math.isfinite(height)]


def _panels(runs: list[_Run], rmse: bool, seconds: bool) -> list[_Panel]:
    """Choose the panels that at least one run has a list for."""
    error = MEASURES["rmse" if rmse else "mse"].label
    panels = [_Panel("Loss", ("loss",)), _Panel(error, MSE_NAMES, root=rmse)]
    found = [panel for panel in panels if any(run.history.series(panel.names) for run in runs)]
    return found[-1:] if seconds else found


def _draw(axes: Axes, runs: list[_Run], panel: _Panel, legend: Legend, *, both: bool) -> None:
    """Draw the validation errors of each run, and its training errors if `both` or alone."""
    for run in runs:
        training, validation = panel.points(run), panel.points(run, "val_")
        if training and (both or not validation):
            line = _draw_line(axes, run, training, linestyle="--")
            legend.entry(axes, line, run.name, "training")
        if validation:
            line = _draw_line(axes, run, validation)
            best = min(validation, key=lambda point: point[1])
            part = "validation " if both else ""
            text = f"{part}(best {MEASURES['mse'].text(best[1])})"
            legend.entry(axes, line, run.name, text)
            axes.plot(*best, marker="o", markersize=7, markerfacecolor="white", color=run.color)


def _draw_line(axes: Axes, run: _Run, points: list[tuple[float, float]], **style: Any) -> Any:
    marker = run.marker or ("o" if len(points) == 1 else "")  # a line of one point is invisible
    every = max(1, len(points) // 10)
    places, heights = zip(*points, strict=True)
    style |= {"color": run.color, "marker": marker, "markersize": 4, "markevery": every}
    return axes.plot(places, heights, linewidth=1.6, **style)[0]


def _label(axes: Axes, runs: list[_Run], panel: _Panel, seconds: bool) -> None:
    axes.set_ylabel(panel.label)
    if seconds:
        set_log_scale(axes, [place for run in runs for place in run.places])
        axes.set_xlabel("Training time (seconds)")
        axes.set_ylabel(f"Validation {panel.label}")
    else:
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
