"""The numbers behind a chart, as a table that people read and that the script reads, too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mfcli.pages.charts import Axis
from mfcli.pages.elements import percentage
from mfcli.pages.number_texts import NOTHING, digits, fixed, moment, number

_DAY = 86400
_FEWEST = 1e-4  # smaller numbers are not shown with decimals


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : str
    texts : list of str, shape (n,)
    places : list of float, shape (n,)
        Where the values are on their axis, from 0 to 1; empty for texts and ends of intervals.
    series : str or None
        The number of the series in the legend, if the column has its values; "" without a legend.
    bound : bool
        Whether it has an end of the intervals of the column before.
    """

    name: str
    texts: list[str]
    places: Sequence[float] = ()
    series: str | None = None
    bound: bool = False

    @property
    def is_text(self) -> bool:
        return self.series is None and not self.bound

    def place(self, row: int) -> str | None:
        """Return the place of a value in percent, or None."""
        return percentage(self.places[row]) if self.places else None


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    first : Column
        What rows are named by; its places are those on the axis along which rows are.
    columns : list of Column
    """

    first: Column
    columns: list[Column]


def column_texts(axis: Axis, values: Sequence[float | None]) -> list[str]:
    """Format the values of a column, with the same decimals where possible.

    Parameters
    ----------
    axis : Axis
    values : sequence of float or None, shape (n,)

    Returns
    -------
    list of str, shape (n,)
        A dash for None, NaN and infinities.
    """
    numbers = [number(value) for value in values]
    if axis.time:
        return _times(numbers)
    if axis.percent:
        return [
            text if text == NOTHING else f"{text}%"
            for text in _texts([100 * v for v in numbers], 1)
        ]
    return _texts(numbers, 4)


def _texts(numbers: Sequence[float], most: int) -> list[str]:
    found = [value for value in numbers if not math.isnan(value)]
    sizes = [abs(value) for value in found if value]
    if not sizes or (max(sizes) < 1e15 and all(value.is_integer() for value in found)):
        return [fixed(value, 0) for value in numbers]
    if max(sizes) >= 1e9 or min(sizes) < _FEWEST:
        return [digits(value) for value in numbers]
    return [fixed(value, _decimals(found, most)) for value in numbers]


def _decimals(found: Sequence[float], most: int) -> int:
    """Return the number of decimals with which values differ and have about five digits."""
    largest = max(map(abs, found))
    usual = max(0, min(most, most - math.floor(math.log10(largest))))
    span = max(found) - min(found)
    needed = 2 - math.floor(math.log10(span)) if span else usual
    return max(usual, min(needed, 9))


def _times(numbers: Sequence[float]) -> list[str]:
    days = all(value % _DAY == 0 for value in numbers if not math.isnan(value))
    return [_time(value, days) for value in numbers]


def _time(value: float, days: bool) -> str:
    found = None if math.isnan(value) else moment(value)
    if found is None:
        return digits(value)
    return found.date().isoformat() if days else f"{found.date().isoformat()} {found:%H:%M:%S}"
