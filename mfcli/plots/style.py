"""Colors, lines and labels that all pictures share."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from mfcli.plots.drawing import Axes, Figure, FuncFormatter, LogLocator, NullFormatter

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colors that people with color blindness can tell apart (M. Okabe and K. Ito, 2008)."""

MARKERS = ("", "s", "^", "D", "v", "x", "*")
"""Markers of runs that share a color."""


def color_of(number: int) -> str:
    """Return the color of a run, given its number from 0."""
    return COLORS[number % len(COLORS)]


def marker_of(number: int) -> str:
    """Return the marker of a run, given its number from 0.

    It changes when all colors are used, so 49 runs look different.
    """
    return MARKERS[number // len(COLORS) % len(MARKERS)]


MAIN, ACCENT, OTHER = COLORS[0], COLORS[1], COLORS[5]
SEQUENCE = "viridis"  # color map for the order of trials

_CHARACTER = 0.11  # inches of a character of a figure's title, on average

REFERENCE: dict[str, Any] = {"color": "black", "linewidth": 1, "linestyle": "--"}
"""The style of lines to compare with."""


def set_log_scale(axes: Axes, values: Sequence[float]) -> None:
    """Make the horizontal axis logarithmic, with a few ticks such as 0.05, 0.1 and 0.2.

    By default, matplotlib labels only powers of ten, or crowds a short axis.
    """
    ratio = max(values) / min(values)
    digits = (1, 2, 5) if ratio < 30 else (1, 3) if ratio < 1000 else (1,)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=digits))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def set_figure_title(figure: Figure, title: str) -> None:
    """Set the title of a figure, in as many lines as its width needs."""
    figure.suptitle(textwrap.fill(title, max(10, int(figure.get_figwidth() / _CHARACTER))))


def set_title(axes: Axes, title: str) -> None:
    """Set the title of a panel."""
    axes.set_title(title, fontsize="medium")


def finish(axes: Axes, *, legend: bool = False) -> None:
    """Add a light grid, remove two borders and, if asked for, add a legend."""
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)  # the grid, below bars and dots
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        axes.legend(frameon=False, fontsize="small")
