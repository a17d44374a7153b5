"""Times of ratings: numbers, dates and texts of many forms, which become seconds since 1970.

A column of times is read in two steps. First each value becomes a number or a date: numbers are
int64, dates are seconds with the type of a date (`timestamp[s]` in Arrow, `datetime64[s]` in
NumPy). What the numbers mean is decided at the end, for the whole column: seconds, milliseconds,
microseconds or nanoseconds since 1970, or dates written as numbers, such as 20150131. Anything
other than seconds is reported.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mfcli.data.arrow_arrays import to_arrow, to_arrow_mask, to_mask, to_numpy
from mfcli.data.ids import is_text
from mfcli.errors import DataError, Param, Text, warn
from mfcli.types import Mask

UNITS = {"nanoseconds": 10**9, "microseconds": 10**6, "milliseconds": 10**3}
"""Units other than seconds, and how many make a second."""

PLAUSIBLE = 10**8
"""Smallest plausible time, in seconds since 1970: in March 1973."""

_FORMS = {4: "years", 6: "YYYYMM", 8: "YYYYMMDD", 12: "YYYYMMDDhhmm", 14: "YYYYMMDDhhmmss"}
"""Dates written as whole numbers, by their number of digits. Ten digits are seconds."""
_YEARS = range(1900, 2101)  # of dates written as whole numbers
_FIRST, _END = 631_152_000, 4_102_444_800  # 1990 and 2100: certainly times of ratings
_MOST = float(2**63)  # numbers of 64 bits are below this

TEXTS = (
    pa.int64(),
    pa.float64(),
    pa.timestamp("s"),
    pa.timestamp("us"),
    pa.timestamp("s", "UTC"),
    pa.timestamp("us", "UTC"),
)
"""Types that Arrow can parse all texts of a column as, if all are written alike."""

IGNORE: Sequence[Text] = ["ignore times with ", Param("columns.timestamp", "")]


class Moment(NamedTuple):
    """A time: a number whose unit is not known, or a date in seconds since 1970, in UTC."""

    number: int
    is_date: bool


def moment_of(text: str, decimal: str = ".") -> Moment:
    """Read a text as a number, rounded down, or as an ISO 8601 date, in UTC if it has no zone.

    Raises
    ------
    ValueError, OverflowError
        If it is neither, or does not fit 64 bits.
    """
    try:
        number = _number(text.replace(decimal, "."))
    except ValueError:  # not a number; an infinite one is an OverflowError
        date = datetime.datetime.fromisoformat(text.strip().removesuffix(" UTC"))
        zoned = date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
        return Moment(math.floor(zoned.timestamp()), is_date=True)
    # Python reads 1_000 as a number; Arrow and other programs do not.
    if "_" in text or not -(2**63) <= number < 2**63:
        raise ValueError(text)
    return Moment(number, is_date=False)


def is_time(text: str, decimal: str = ".") -> bool:
    """Return whether a text is a date, or a number that no scale of ratings reaches."""
    try:
        moment = moment_of(text, decimal)
    except (ValueError, OverflowError):
        return False
    return moment.is_date or moment.number >= PLAUSIBLE


def _number(text: str) -> int:
    try:
        return int(text)  # exact, unlike float
    except ValueError:
        return math.floor(float(text))


def plain_time(moment: Moment) -> str:
    """Write a time such that Arrow reads it as a number or a date again."""
    return str(np.datetime64(moment.number, "s")) if moment.is_date else str(moment.number)


def time_column(column: pa.Array) -> pa.Array | None:
    """Return a column of times as numbers or dates.

    Parameters
    ----------
    column : Arrow array of numbers, dates, timestamps or text
        May hold nulls, which stay. Numbers are rounded down.

    Returns
    -------
    Arrow array of int64 or timestamp[s], or None
        Null where a value is not a time. None if the column has another type.
    """
    kind = column.type
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(kind):
        return _dates(column)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _floored(column.cast(pa.float64()))
    if pa.types.is_integer(kind):
        return _integers(column)
    if is_text(kind):
        return _parsed(column)
    return pa.nulls(len(column), pa.int64()) if pa.types.is_null(kind) else None


def _dates(column: pa.Array) -> pa.Array:
    plain = column.cast(pa.timestamp(column.type.unit))  # a time with a zone is stored in UTC
    earliest = pc.min(plain).cast(pa.int64()).as_py()
    if earliest is not None and earliest < 0:  # a cast rounds towards 1970
        plain = pc.floor_temporal(plain, unit="second")
    return plain.cast(pa.timestamp("s"), safe=False)


def _floored(column: pa.Array) -> pa.Array:
    values = np.floor(to_numpy(column))  # a cast would round -0.5 to 0
    good = to_mask(pc.is_valid(column)) & (np.abs(values) < _MOST)  # false for NaN
    numbers = to_arrow(np.where(good, values, 0).astype(np.int64))
    return pc.if_else(to_arrow_mask(good), numbers, pa.scalar(None, pa.int64()))


def _integers(column: pa.Array) -> pa.Array:
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:  # unsigned, and beyond int64
        return _floored(column.cast(pa.float64(), safe=False))


def _parsed(column: pa.Array) -> pa.Array:
    texts = column.cast(pa.string())
    # One cast for all texts, if they are written alike; otherwise each is parsed in Python.
    for kind in TEXTS:
        try:
            return time_column(texts.cast(kind))
        except pa.ArrowInvalid:
            pass
    moments = [_moment_or_none(text) for text in texts.to_pylist()]
    # The first time decides; times of the other kind are faults.
    is_date = next((moment.is_date for moment in moments if moment), False)
    numbers = [m.number if m and m.is_date == is_date else None for m in moments]
    found = pa.array(numbers, pa.int64())
    return found.cast(pa.timestamp("s")) if is_date else found


def _moment_or_none(text: str | None) -> Moment | None:
    try:
        return None if text is None else moment_of(text)
    except (ValueError, OverflowError):
        return None


def in_seconds(
    times: NDArray[np.int64], dates: Mask | bool, source: object, place: Callable[[int], str]
) -> NDArray[np.int64]:
    """Convert times to seconds since 1970.

    Parameters
    ----------
    times : int64 array, shape (n,)
        Numbers are all in one unit, which is found from their size; dates are in seconds. May be
        changed in place.
    dates : bool, or bool array, shape (n,)
        Which of the times are dates.
    source : object
        The file or table, for the report on a unit other than seconds.
    place : callable
        Returns the file and line of a time, given its position from 0.

    Returns
    -------
    int64 array, shape (n,)

    Raises
    ------
    DataError
        If some numbers are in another unit than the others.
    """
    if isinstance(dates, bool):
        return times if dates else _converted(times, source, place)
    rows = np.flatnonzero(~dates)
    if len(rows):
        times[rows] = _converted(times[rows], source, lambda row: place(int(rows[row])))
    return times


def _converted(
    numbers: NDArray[np.int64], source: object, place: Callable[[int], str]
) -> NDArray[np.int64]:
    low, high = int(numbers.min()), int(numbers.max())
    # Calendar forms come first: 20150131 would also be seconds, of August 1970.
    digits = len(str(high))
    seconds = _calendar_seconds(numbers, digits) if len(str(low)) == digits else None
    if seconds is not None:
        _report(_FORMS[digits], seconds, source)
        return seconds
    unit = unit_of(high)
    if unit != unit_of(low):  # the median tells the unit of most
        unit = unit_of(int(np.partition(numbers, len(numbers) // 2)[len(numbers) // 2]))
        _check_unit(numbers, unit, place)
    if unit == "seconds":
        return numbers
    numbers //= UNITS[unit]
    _report(unit, numbers, source)
    return numbers


def unit_of(number: int) -> str:
    """Return the unit in which a time is a plausible date."""
    units = UNITS.items()
    return next((name for name, n in units if abs(number) >= n * PLAUSIBLE), "seconds")


def _check_unit(numbers: NDArray[np.int64], unit: str, place: Callable[[int], str]) -> None:
    """Refuse times that are plausible, but only in another unit than the others."""
    for other, second in {**UNITS, "seconds": 1}.items():
        strange = (numbers >= _FIRST * second) & (numbers < _END * second)
        if other != unit and strange.any():
            row = int(np.argmax(strange))
            raise DataError(
                f"timestamp is in {other}, but most others are in {unit}",
                place=place(row),
                value=int(numbers[row]),
                remedy=["write all of them in one unit, or ", *IGNORE],
            )


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


def _report(read_as: str, seconds: NDArray[np.int64], source: object) -> None:
    first, last = (str(np.datetime64(int(end), "s"))[:10] for end in (seconds.min(), seconds.max()))
    warn(
        f"times are read as {read_as}, from {first} to {last}",
        place=source,
        remedy=["if they are something else, ", *IGNORE],
    )
