"""How a line looks in a chart and in its legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mfcli.pages.charts import Line
from mfcli.pages.elements import element
from mfcli.pages.legends import Entry, key
from mfcli.pages.marks import (
    Point,
    band_path,
    color_class,
    line_marks,
    line_path,
    lonely,
    mark,
    spaced,
    stretched,
)
from mfcli.pages.number_texts import number
from mfcli.pages.scales import Scale


@dataclass(frozen=True)
class LineSeries:
    """A line of a chart.

    Attributes
    ----------
    line : Line
    number, of : int
        Its number, from 0, and how many lines there are.
    marked : bool
        Whether it has a few marks, because colors alone would tell it from others.
    """

    line: Line
    number: int
    of: int
    marked: bool

    @property
    def color(self) -> str:
        return color_class(self.number if self.line.color is None else self.line.color)

    def points(self, x: Scale, y: Scale) -> list[Point]:
        """Return the places of its values."""
        line, none = self.line, [None] * len(self.line.x)
        low = none if line.low is None else line.low
        high = none if line.high is None else line.high
        return [
            Point(x.place(line.x[n]), y.place(line.y[n]), _end(y, low[n]), _end(y, high[n]))
            for n in range(len(line.x))
        ]

    def band(self, points: Sequence[Point]) -> Markup:
        """Draw what is between its low and high values."""
        if self.line.low is None:
            return Markup()
        return element("g", stretched(band_path(points)), class_=self.color)

    def line_and_marks(self, points: Sequence[Point]) -> Markup:
        """Draw the line, its marks, and points that it does not reach."""
        if self.line.marks:
            chosen = list(points)
        else:
            chosen = lonely(points) + (spaced(points, self.number, self.of) if self.marked else [])
        marks = line_marks(self.number, dict.fromkeys(chosen))
        line = stretched(line_path(points, dashed=self.line.dashed))
        return element("g", line, marks, class_=self.color)

    def entry(self) -> Entry:
        """Return its entry in the legend."""
        dashed = " chart-dashed" * self.line.dashed
        sample = element("line", class_=f"chart-line{dashed}", x1=0, x2=28, y1=6, y2=6)
        marks = [mark(self.number, 0.5, 0.5)] if self.marked or self.line.marks else []
        return Entry(self.line.name, key(sample, *marks, color=self.color))


def need_marks(lines: Sequence[Line]) -> bool:
    """Return whether lines are told apart by color alone, unless they have marks."""
    return len({line.dashed for line in lines}) < len(lines)


def _end(scale: Scale, value: float | None) -> float:
    # A band that reaches down to zero or below reaches the end of a logarithmic axis.
    return 0.0 if scale.axis.log and number(value) <= 0 else scale.place(value)
