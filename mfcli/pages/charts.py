"""What charts are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup


class Axis(NamedTuple):
    """An axis of a chart.

    Attributes
    ----------
    label : str
        What it shows, with its unit.
    log : bool
        Whether it is logarithmic. Then only positive values are drawn.
    time : bool
        Whether values are seconds since 1970, shown as dates in UTC.
    percent : bool
        Whether values are fractions, shown as percentages.
    """

    label: str
    log: bool = False
    time: bool = False
    percent: bool = False


@dataclass(frozen=True)
class Line:
    """A line of a chart. NaN, None and infinities are gaps.

    Attributes
    ----------
    name : str
    x, y : sequence of float or None, shape (n,)
        Points, in the order in which the line connects them.
    low, high : sequence of float or None, shape (n,), optional
        A band around it, such as an interval.
    dashed : bool
    marks : bool
        Whether every point gets a mark.
    color : int, optional
        The number of its color, from 0; by default its place in the chart.

    Raises
    ------
    ValueError
        If the lists differ in length.
    """

    name: str
    x: Sequence[float | None]
    y: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    dashed: bool = False
    marks: bool = False
    color: int | None = None

    def __post_init__(self) -> None:
        parts = (self.y, self.low, self.high)
        if any(part is not None and len(part) != len(self.x) for part in parts):
            raise ValueError(f"the lists of the line {self.name!r} differ in length")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"the line {self.name!r} has one end of a band, but not the other")


@dataclass(frozen=True)
class Bars:
    """Bars of one kind, one for each label of the chart.

    Attributes
    ----------
    name : str
    values : sequence of float or None, shape (n,)
        NaN and None have no bar.
    """

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Interval:
    """A row of a chart: a dot with whiskers.

    Attributes
    ----------
    name : str
    value : float
    low, high : float or None
        The ends of the whiskers.
    group : str
        Rows of a group have the same color and mark.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    group: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes
    ----------
    markup : Markup
        A ``figure`` element, with the numbers as a table. It needs the assets "base.css" and
        "charts.css"; "charts.js" shows numbers on hover, touch and keys.
    """

    markup: Markup

    def __html__(self) -> str:
        return self.markup
