"""Where values are on an axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from mfcli.pages.calendar_ticks import calendar_texts, calendar_ticks
from mfcli.pages.charts import Axis
from mfcli.pages.number_texts import number
from mfcli.pages.tick_texts import linear_texts, log_text
from mfcli.pages.ticks import linear_ticks, log_ticks, outer_ticks

_LARGEST = 1e300  # greater numbers are not drawn: differences of them may not be finite
_CLOSEST = 1e-12  # relative; what is closer counts as equal
_SMALLEST = 1e-290  # differences below it count as zero
_ROUNDED_TO = 6  # ticks


class Tick(NamedTuple):
    """A tick of an axis: its place, from 0 to 1, and its text."""

    place: float
    text: str


@dataclass(frozen=True)
class Scale:
    """Places of values on an axis.

    Attributes
    ----------
    axis : Axis
    low, high : float
        Its ends, low < high; both are positive on a logarithmic axis.
    whole : bool
        Whether all values are whole numbers, and so are the ticks.
    rounded : tuple of float
        All ticks of an axis that ends at ticks.
    empty : bool
        Whether there is no value that can be drawn.
    """

    axis: Axis
    low: float
    high: float
    whole: bool = False
    rounded: tuple[float, ...] = ()
    empty: bool = False

    def place(self, value: float | None) -> float:
        """Return the place of a value as a fraction of the axis, NaN if it cannot be drawn."""
        return self.fraction(drawable(self.axis, value))

    def ticks(self, most: int) -> list[Tick]:
        """Return at most `most` ticks, in increasing order; on a rounded axis, all of them."""
        if self.empty:
            return []
        values = self._tick_values(most)
        texts = self._texts(values)
        return [Tick(self.fraction(v), text) for v, text in zip(values, texts, strict=True)]

    def fraction(self, value: float) -> float:
        """Return the place of a number, as a fraction of the axis."""
        low, high = self.low, self.high
        if self.axis.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low)

    def _tick_values(self, most: int) -> list[float]:
        if self.rounded:
            return list(self.rounded)
        if self.axis.log:
            return log_ticks(self.low, self.high, most)
        if self.axis.time:
            return calendar_ticks(self.low, self.high, most)
        return linear_ticks(self.low, self.high, most, 1 if self.whole else 0)

    def _texts(self, values: list[float]) -> list[str]:
        percent = self.axis.percent
        if self.axis.log:
            return [log_text(value, percent=percent) for value in values]
        return calendar_texts(values) if self.axis.time else linear_texts(values, percent=percent)


def scale_of(
    axis: Axis,
    values: Iterable[float | None],
    *,
    rounded: bool = False,
    zero: bool = False,
    margin: float = 0,
) -> Scale:
    """Return the scale that shows all values.

    Parameters
    ----------
    axis : Axis
    values : iterable of float or None
    rounded : bool
        Whether the axis ends at ticks.
    zero : bool
        Whether a linear axis contains zero.
    margin : float
        Room beside the extremes of a linear axis, as a fraction of their distance.

    Returns
    -------
    Scale
        From 0 to 1, or 1 to 10, if nothing can be drawn.
    """
    found = [value for value in (drawable(axis, v) for v in values) if not math.isnan(value)]
    if not found:
        return Scale(axis, 1.0 if axis.log else 0.0, 10.0 if axis.log else 1.0, empty=True)
    whole = not (axis.log or axis.time or axis.percent) and all(v.is_integer() for v in found)
    low, high = min(found), max(found)
    if axis.log:
        return Scale(axis, *_log_ends(low, high))
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    low, high = _distinct(low, high, 1.0 if whole else 0.0)
    low, high = low - margin * (high - low), high + margin * (high - low)
    if rounded and not axis.time:
        ends = outer_ticks(low, high, _ROUNDED_TO, 1 if whole else 0)
        return Scale(axis, ends[0], ends[-1], whole, tuple(ends))
    return Scale(axis, low, high, whole)


def drawable(axis: Axis, value: float | None) -> float:
    """Return a value, or NaN if it cannot be drawn on an axis."""
    value = number(value)
    inside = abs(value) <= _LARGEST and (value > 1 / _LARGEST or not axis.log)
    return value if inside else math.nan


def fitting(scale: Scale, width: float, size: Callable[[str], float], most: int = 10) -> list[Tick]:
    """Return as many ticks as have room beside each other.

    Parameters
    ----------
    scale : Scale
    width : float
        Of the axis.
    size : callable
        Returns the width of a text, in the same unit.
    most : int

    Returns
    -------
    list of Tick
    """
    for count in range(most, 1, -1):
        ticks = scale.ticks(count)
        if all(
            (right.place - left.place) * width >= (size(left.text) + size(right.text)) / 2
            for left, right in pairwise(ticks)
        ):
            return ticks
    return scale.ticks(1)


def _distinct(low: float, high: float, least: float) -> tuple[float, float]:
    """Return ends with room around values that are equal."""
    size = max(abs(low), abs(high))
    if high - low > max(size * _CLOSEST, _SMALLEST):
        return low, high
    room = max(size / 10, least) if size > _SMALLEST else 1.0
    return low - room, high + room


def _log_ends(low: float, high: float) -> tuple[float, float]:
    if high > low * (1 + _CLOSEST):
        return low, high
    return low / 2, high * 2
