"""Times of ratings: numbers, dates and texts of many forms.

Each value becomes a number or a date: numbers are int64, dates are seconds with the type of a date
(`timestamp[s]` in Arrow, `datetime64[s]` in NumPy). What the numbers mean is decided at the end, in
`time_units.py`.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfcli.data.arrow_arrays import to_arrow, to_arrow_mask, to_mask, to_numpy
from mfcli.data.ids import is_text
from mfcli.errors import Param, Text

PLAUSIBLE = 10**8
"""Smallest plausible time, in seconds since 1970: in March 1973."""

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
