"""Long lines with fewer points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mfcli.pages.charts import Axis, Line
from mfcli.pages.scales import Scale, drawable
from mfcli.pages.thinning import kept


def thinned(lines: Sequence[Line], x: Scale, y: Axis) -> list[Line]:
    """Return lines of a few hundred points; lines with the same places keep the same points."""
    places = [[x.place(value) for value in line.x] for line in lines]
    names = list(map(repr, places))  # texts, because NaN is not equal to itself
    groups = {
        name: [ln for ln, other in zip(lines, names, strict=True) if other == name]
        for name in names
    }
    chosen = {
        name: kept(at, _columns(groups[name], y)) for name, at in zip(names, places, strict=True)
    }
    return [_selected(line, chosen[name]) for line, name in zip(lines, names, strict=True)]


def thinning_note(lines: Sequence[Line], shown: Sequence[Line]) -> str:
    """Return a sentence about the points that are left out, or an empty text."""
    all_, left = (sum(len(line.x) for line in part) for part in (lines, shown))
    if left == all_:
        return ""
    return f"{left:,} of {all_:,} points are shown, with all extremes."


def _columns(lines: Sequence[Line], y: Axis) -> list[list[float]]:
    parts = (part for line in lines for part in (line.y, line.low, line.high) if part is not None)
    return [[drawable(y, value) for value in part] for part in parts]


def _selected(line: Line, chosen: Sequence[int]) -> Line:
    if len(chosen) == len(line.x):
        return line
    x, y = ([part[n] for n in chosen] for part in (line.x, line.y))
    low, high = (
        None if part is None else [part[n] for n in chosen] for part in (line.low, line.high)
    )
    return replace(line, x=x, y=y, low=low, high=high)
