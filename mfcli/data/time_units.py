"""The unit of times, found from all of them: they become seconds since 1970.

Numbers are seconds, milliseconds, microseconds or nanoseconds since 1970, or dates written as
numbers, such as 20150131. Anything other than seconds is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from mfcli.data.times import IGNORE, PLAUSIBLE
from mfcli.errors import DataError, warn
from mfcli.types import Mask

UNITS = {"nanoseconds": 10**9, "microseconds": 10**6, "milliseconds": 10**3}
"""Units other than seconds, and how many make a second."""

_FORMS = {4: "years", 6: "YYYYMM", 8: "YYYYMMDD", 12: "YYYYMMDDhhmm", 14: "YYYYMMDDhhmmss"}
"""Dates written as whole numbers, by their number of digits. Ten digits are seconds."""
_YEARS = range(1900, 2101)  # of dates written as whole numbers
_FIRST, _END = 631_152_000, 4_102_444_800  # 1990 and 2100: certainly times of ratings

_UNITS = {**UNITS, "seconds": 1}
_EDGES = [sign * n * PLAUSIBLE + (sign < 0) for sign in (-1, 1) for n in UNITS.values()]
_EDGES.sort()
_CLASSES = (*UNITS, "seconds", *reversed(UNITS))
"""The units of numbers between the edges, in ascending order of the numbers."""


@dataclass(frozen=True)
class Conversion:
    """How times become seconds.

    Attributes
    ----------
    digits : int
        Of dates written as numbers; 0 if the numbers have a unit.
    divisor : int
        Numbers per second.
    ends : int64 array, shape (runs,)
        Where runs of times that are all numbers or all dates end.
    dates : bool array, shape (runs,)
        Which of the runs are dates, which are in seconds already.
    """

    digits: int
    divisor: int
    ends: NDArray[np.int64]
    dates: Mask

    @property
    def is_needed(self) -> bool:
        """Whether it changes any number."""
        return bool(self.digits or self.divisor > 1)

    def seconds(
        self, times: NDArray[np.int64], positions: NDArray[np.uint32] | None = None
    ) -> NDArray[np.int64]:
        """Convert times; they may be changed in place.

        Parameters
        ----------
        times : int64 array, shape (n,)
        positions : uint32 array, shape (n,), optional
            Their positions among all times, from 0; by default, they are all of them.
        """
        if not self.is_needed:
            return times
        if not self.dates.any():
            return self._seconds(times)
        if positions is None:
            positions = np.arange(len(times), dtype=np.uint32)
        rows = np.flatnonzero(~self.dates[np.searchsorted(self.ends, positions, side="right")])
        times[rows] = self._seconds(times[rows])
        return times

    def _seconds(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        if not self.digits:
            numbers //= self.divisor
            return numbers
        seconds = _calendar_seconds(numbers, self.digits) if len(numbers) else numbers
        assert seconds is not None  # all of them were checked
        return seconds


class TimeUnit:
    """Finds the unit of times, which are added piece by piece."""

    def __init__(self) -> None:
        self._runs: list[tuple[int, bool]] = []  # as `ends` and `dates` in `Conversion`
        self._low, self._high = 0, 0  # of the numbers
        self._classes = np.zeros(len(_CLASSES), np.int64)  # how many numbers are in each class
        self._digits: int | None = None  # of numbers that all are dates; 0 if some are not
        # For each unit, the first number that is plausible in it: its position and value.
        self._plausible: dict[str, tuple[int, int]] = {}

    def add(self, times: NDArray[np.int64], *, dates: bool) -> None:
        """Add times, which are all dates in seconds or all numbers in one unit."""
        if not len(times):
            return
        before = self._runs[-1][0] if self._runs else 0
        if self._runs and self._runs[-1][1] == dates:
            self._runs.pop()
        self._runs.append((before + len(times), dates))
        if not dates:
            self._add_numbers(times, before)

    def _add_numbers(self, numbers: NDArray[np.int64], before: int) -> None:
        low, high = int(numbers.min()), int(numbers.max())
        is_first = not self._classes.any()
        self._low = low if is_first else min(low, self._low)
        self._high = high if is_first else max(high, self._high)
        if self._digits != 0:
            self._digits = self._dates_of(numbers, low, high)
        first, last = np.searchsorted(_EDGES, (low, high), side="right").tolist()
        if first == last:  # as almost always
            self._classes[first] += len(numbers)
        else:
            classes = np.searchsorted(_EDGES, numbers, side="right")
            self._classes += np.bincount(classes, minlength=len(_CLASSES))
        for unit in _UNITS.keys() - self._plausible.keys():
            self._find_plausible(unit, numbers, low, high, before)

    def _dates_of(self, numbers: NDArray[np.int64], low: int, high: int) -> int:
        """Return the number of digits if all numbers are dates with equally many, otherwise 0."""
        digits = len(str(high))
        if len(str(low)) != digits or self._digits not in (None, digits):
            return 0
        return 0 if _calendar_seconds(numbers, digits) is None else digits

    def _find_plausible(
        self, unit: str, numbers: NDArray[np.int64], low: int, high: int, before: int
    ) -> None:
        first, end = _FIRST * _UNITS[unit], _END * _UNITS[unit]
        if low >= end or high < first:
            return
        plausible = (numbers >= first) & (numbers < end)
        if plausible.any():
            row = int(np.argmax(plausible))
            self._plausible[unit] = before + row, int(numbers[row])

    def conversion(self, source: object, place: Callable[[int], str]) -> Conversion:
        """Return how all times become seconds, and report a unit other than seconds.

        Parameters
        ----------
        source : object
            The file or table, for the report.
        place : callable
            Returns the file and line of a time, given its position from 0.

        Raises
        ------
        DataError
            If some numbers are in another unit than the others.
        """
        ends = np.array([end for end, _ in self._runs], np.int64)
        dates = np.array([is_date for _, is_date in self._runs], np.bool_)
        found = Conversion(self._digits or 0, 1, ends, dates)
        # Calendar forms come first: 20150131 would also be seconds, of August 1970.
        if not found.digits:
            unit = self._unit(place)
            found = Conversion(0, _UNITS[unit], ends, dates)
        if found.is_needed:
            read_as = _FORMS[found.digits] if found.digits else unit
            low, high = found._seconds(np.array([self._low, self._high])).tolist()
            _report(read_as, low, high, source)
        return found

    def _unit(self, place: Callable[[int], str]) -> str:
        unit = unit_of(self._high)
        if unit != unit_of(self._low):  # the median tells the unit of most
            middle = int(self._classes.sum()) // 2
            unit = next(
                name
                for name, end in zip(_CLASSES, accumulate(self._classes.tolist()), strict=True)
                if end > middle
            )
            self._check_unit(unit, place)
        return unit

    def _check_unit(self, unit: str, place: Callable[[int], str]) -> None:
        """Refuse times that are plausible, but only in another unit than the others."""
        for other in _UNITS:
            if other != unit and other in self._plausible:
                row, number = self._plausible[other]
                raise DataError(
                    f"timestamp is in {other}, but most others are in {unit}",
                    place=place(row),
                    value=number,
                    remedy=["write all of them in one unit, or ", *IGNORE],
                )


def unit_of(number: int) -> str:
    """Return the unit in which a time is a plausible date."""
    units = UNITS.items()
    return next((name for name, n in units if abs(number) >= n * PLAUSIBLE), "seconds")


def _calendar_seconds(numbers: NDArray[np.int64], digits: int) -> NDArray[np.int64] | None:
    """Read whole numbers such as 20150131 as dates; None if one of them is not a date."""
    if digits not in _FORMS:
        return None
    fields: list[NDArray[np.int64]] = []
    while digits > 4:  # two digits each of second, minute, hour, day and month; the year remains
        numbers, field = np.divmod(numbers, 100)
        fields.insert(0, field)
        digits -= 2
    if numbers.min() not in _YEARS or numbers.max() not in _YEARS:
        return None
    missing = [np.ones_like(numbers)] * 2 + [np.zeros_like(numbers)] * 3
    month, day, *clock = fields + missing[len(fields) :]
    months = (12 * (numbers - 1970) + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    # February 30 would be a day of March.
    is_date = (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)
    is_date &= (clock[0] < 24) & (clock[1] < 60) & (clock[2] < 60)
    seconds = days.astype("datetime64[s]").view(np.int64)
    seconds += 3600 * clock[0] + 60 * clock[1] + clock[2]
    return seconds if is_date.all() else None


def _report(read_as: str, low: int, high: int, source: object) -> None:
    first, last = (str(np.datetime64(end, "s"))[:10] for end in (low, high))
    warn(
        f"times are read as {read_as}, from {first} to {last}",
        place=source,
        remedy=["if they are something else, ", *IGNORE],
    )
