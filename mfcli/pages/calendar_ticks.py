"""Round times at which an axis has ticks: years, months, days, and parts of a day."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from mfcli.pages.number_texts import moment
from mfcli.pages.ticks import linear_ticks

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_MONDAY = 4 * _DAY  # the first Monday of 1970
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

_SHORT = (
    *(1, 2, 5, 10, 15, 30),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14)),
)
"""Distances of ticks in seconds, below a month."""

_LONG = (1, 2, 3, 6, *(12 * n * 10**e for e in range(4) for n in (1, 2, 5)))
"""Distances of ticks in months."""


def calendar_ticks(low: float, high: float, most: int) -> list[float]:
    """Return times that people call round.

    Parameters
    ----------
    low, high : float
        The ends of the axis in seconds since 1970, low < high.
    most : int
        How many ticks there may be, at least 1.

    Returns
    -------
    list of float
        Increasing, within the axis, in UTC. Outside the years 1 to 9999, they are round numbers.
    """
    start, end = moment(low), moment(high)
    if start is None or end is None or high - low < most:
        return linear_ticks(low, high, most)
    for step in _SHORT:
        offset = _MONDAY if step >= 7 * _DAY else 0
        first, last = math.ceil((low - offset) / step), math.floor((high - offset) / step)
        if last - first < most:
            return [float(offset + n * step) for n in range(first, last + 1)]
    months = (12 * start.year + start.month - 1, 12 * end.year + end.month - 1)
    for step in _LONG:
        numbers = range(-(-months[0] // step) * step, months[1] + 1, step)
        if len(numbers) > most + 1:  # one of them may be before the axis
            continue
        times = [_month(number) for number in numbers if number >= 12]
        found = [time for time in times if low <= time <= high]
        if len(found) <= most:
            return found
    return []


def calendar_texts(times: list[float]) -> list[str]:
    """Name ticks. What repeats, such as the year of months, is only where it changes.

    Parameters
    ----------
    times : list of float
        In seconds since 1970, all from `calendar_ticks`.

    Returns
    -------
    list of str
    """
    days = [found for found in map(moment, times) if found is not None]
    if len(days) < len(times) or any(time % 1 for time in times):
        return [f"{time:,.6g} s" for time in times]
    if all(
        (day.month, day.day, day.hour, day.minute, day.second) == (1, 1, 0, 0, 0) for day in days
    ):
        return [str(day.year) for day in days]
    if all((day.day, day.hour, day.minute, day.second) == (1, 0, 0, 0) for day in days):
        return _changing([_MONTHS[d.month - 1] for d in days], [f" {d.year}" for d in days])
    names = [f"{_MONTHS[day.month - 1]} {day.day}" for day in days]
    if not any(time % _DAY for time in times):
        return _changing(names, [f", {day.year}" for day in days])
    clock = "%H:%M:%S" if any(day.second for day in days) else "%H:%M"
    return _changing([f"{day:{clock}}" for day in days], [f", {name}" for name in names])


def _changing(names: list[str], contexts: list[str]) -> list[str]:
    before = ["", *contexts]
    return [
        name + context * (context != last)
        for name, context, last in zip(names, contexts, before, strict=False)
    ]


def _month(number: int) -> float:
    if number >= 120_000:  # of the year 10000
        return math.inf
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()
