"""What charts draw for values: lines, bands, marks.

A drawing has no size of its own: places are percentages, so that it is as wide as the page, and its
text and strokes are not scaled with it. Paths, which cannot have percentages, are in a nested
drawing of 1000 by 1000 units that is stretched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from mfcli.pages.elements import across, down, element, joined, thousandths

COLORS = 6
"""The number of colors in base.css."""

_MANY = 200  # points of lines that are drawn thinner

_SHAPES = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",  # circle
    "M-3.6-3.6h7.2v7.2h-7.2z",  # square
    "M0-4.8L4.6 3.4h-9.2z",  # triangle
    "M0-5L5 0L0 5L-5 0z",  # diamond
    "M0 4.8L4.6-3.4h-9.2z",  # triangle on its tip
    "M-1.5-4.6h3v3.1h3.1v3h-3.1v3.1h-3v-3.1h-3.1v-3h3.1z",  # plus
    "M-4.6-4L4.6 4V-4L-4.6 4z",  # bow tie
)
"""Marks; as there is one more than colors, 42 series look different."""


class Point(NamedTuple):
    """A point of a line, with places from 0 to 1; NaN where nothing can be drawn."""

    x: float
    y: float
    low: float = math.nan
    high: float = math.nan


def color_class(number: int) -> str:
    """Return the class that gives elements the color of a series, given its number from 0."""
    return f"chart-color-{number % COLORS + 1}"


def stretched(*paths: Markup) -> Markup:
    """Return paths as large as the drawing."""
    return element("svg", *paths, viewBox="0 0 1000 1000", preserveAspectRatio="none")


def mark(shape: int, x: float, y: float) -> Markup:
    """Return the mark of a series, given its number from 0."""
    path = element("path", class_="chart-mark", d=_SHAPES[shape % len(_SHAPES)])
    return element("svg", path, x=across(x), y=down(y))


def line_path(points: Sequence[Point], *, dashed: bool) -> Markup:
    """Return a line with gaps where points are missing."""
    runs = (run for run in _runs(points, lambda p: p.x + p.y) if len(run) > 1)
    path = "".join(f"M{'L'.join(thousandths(p.x, p.y) for p in run)}" for run in runs)
    looks = " chart-dashed" * dashed + " chart-fine" * (len(points) > _MANY)
    return element("path", class_=f"chart-line{looks}", d=path)


def band_path(points: Sequence[Point]) -> Markup:
    """Return the area between the low and high places of points."""
    path = ""
    for run in _runs(points, lambda p: p.x + p.low + p.high):
        there = [thousandths(p.x, p.high) for p in run]
        back = [thousandths(p.x, p.low) for p in reversed(run)]
        path += f"M{'L'.join(there + back)}z"
    return element("path", class_="chart-band", d=path)


def line_marks(shape: int, points: Iterable[Point]) -> Markup:
    """Return a mark at each point that can be drawn."""
    return joined(mark(shape, p.x, p.y) for p in points if not math.isnan(p.x + p.y))


def lonely(points: Sequence[Point]) -> list[Point]:
    """Return the points that no line connects to others."""
    return [run[0] for run in _runs(points, lambda p: p.x + p.y) if len(run) == 1]


def spaced(points: Sequence[Point], number: int, of: int, most: int = 5) -> list[Point]:
    """Return a few points whose marks tell a line from others, at other places than theirs.

    Parameters
    ----------
    points : sequence of Point
    number, of : int
        The number of the line, from 0, and the number of lines.
    most : int

    Returns
    -------
    list of Point
    """
    found = [p for p in points if not math.isnan(p.x + p.y)]
    targets = [(place + (number + 0.5) / of) / most for place in range(most)]
    nearest = (min(found, key=lambda p: abs(p.x - target)) for target in targets if found)
    return list(dict.fromkeys(nearest))


def _runs(points: Sequence[Point], sum_of: Callable[[Point], float]) -> list[list[Point]]:
    """Return points in groups without a gap."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if math.isnan(sum_of(point)):
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]
