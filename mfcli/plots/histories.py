"""Pictures of training histories."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mfcli.errors import UsageError
from mfcli.plots.canvas import COLOURS, add_legend, check_suffix, dress, new_figure, save
from mfcli.training import MSE_NAMES, History


def plot_histories(
    histories: Mapping[str, History],
    out: Path,
    *,
    rmse: bool = False,
    seconds: bool = False,
    title: str = "",
) -> None:
    """Draw loss and mean squared error, of training and of validation.

    Parameters
    ----------
    histories : mapping of History
        By the name of the run; each has a colour of its own.
    out : Path
        PNG, SVG or PDF by its suffix; replaced atomically.
    rmse : bool
        Draw the root of the mean squared error.
    seconds : bool
        Compare how fast the runs learn: draw the validation errors alone, against the time spent,
        on a logarithmic scale.
    title : str

    Raises
    ------
    UsageError
        If the suffix is none of those, or a history that has no times is to be drawn by them.
    ArtifactError
        If the file cannot be written.
    """
    check_suffix(out)
    runs = [_Run(name, history, seconds) for name, history in histories.items()]
    panels = _panels(runs, rmse, seconds)
    figure = new_figure(5.2 * len(panels), 4.0)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (label, names) in zip(grid, panels, strict=True):
        _draw(axes, runs, names, label, both=not seconds)
        _dress(axes, label, seconds)
    if title:
        figure.suptitle(title, parse_math=False)
    save(figure, out)


class _Run:
    """A history and where its entries lie on the horizontal axis."""

    def __init__(self, name: str, history: History, seconds: bool) -> None:
        self.name, self.history = name, history
        if seconds and "seconds" not in history.lists:
            raise UsageError(f"{name}: has no list 'seconds'; leave out --seconds")
        if seconds and min(history.lists["seconds"]) <= 0:
            raise UsageError(f"{name}: its seconds must be above 0; leave out --seconds")
        self.places: list[float] = (
            list(itertools.accumulate(history.lists["seconds"]))
            if seconds
            else list(range(1, len(history) + 1))
        )


def _panels(runs: list[_Run], rmse: bool, seconds: bool) -> list[tuple[str, tuple[str, ...]]]:
    """Choose what to draw among what the runs have: a label and the names of its lists."""
    panels = [("Loss", ("loss",)), ("RMSE" if rmse else "MSE", MSE_NAMES)]
    there = [panel for panel in panels if any(run.history.series(panel[1]) for run in runs)]
    return there[-1:] if seconds else there


def _draw(axes: Axes, runs: list[_Run], names: tuple[str, ...], label: str, *, both: bool) -> None:
    for number, run in enumerate(runs):
        colour = COLOURS[number % len(COLOURS)]
        prefix = f"{run.name} " if len(runs) > 1 else ""
        training, validation = run.history.series(names), run.history.series(names, "val_")
        if training and (both or not validation):
            heights = _heights(training, label)
            _line(axes, run, heights, color=colour, linestyle="--", label=f"{prefix}training")
        if validation:
            heights = _heights(validation, label)
            name = f"{prefix}validation" if both else run.name
            _line(axes, run, heights, color=colour, label=name)
            _mark_best(axes, run, heights, colour)


def _heights(values: list[float], label: str) -> list[float]:
    return [math.sqrt(max(value, 0.0)) for value in values] if label == "RMSE" else values


def _line(axes: Axes, run: _Run, heights: list[float], **style: Any) -> None:
    marker = "o" if len(heights) == 1 else ""
    axes.plot(run.places, heights, marker=marker, linewidth=1.6, **style)


def _mark_best(axes: Axes, run: _Run, heights: list[float], colour: str) -> None:
    best = min(range(len(heights)), key=heights.__getitem__)
    place = (run.places[best], heights[best])
    axes.plot(*place, marker="o", markersize=7, markerfacecolor="white", color=colour)
    axes.annotate(
        f"{heights[best]:.4f}",
        place,
        textcoords="offset points",
        xytext=(0, -14),
        ha="center",
        fontsize="small",
        color=colour,
    )


def _dress(axes: Axes, label: str, seconds: bool) -> None:
    axes.set_ylabel(label)
    if seconds:
        axes.set_xscale("log")
        axes.set_xlabel("Seconds of training")
        axes.set_ylabel(f"Validation {label}")
    else:
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.margins(y=0.12)
    dress(axes)
    add_legend(axes)
