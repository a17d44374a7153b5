"""The fastest reader of text, for ratings that consist of plain numbers: compiled code.

It reads only what has one meaning in any reader: whole numbers as ids and times, and short decimals
as ratings. It refuses all other pieces as a whole, and Arrow reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.data.formats.separators import SPACES
from mfcli.data.formats.text import TextPiece
from mfcli.data.words import leading_digits, number_of, word_at
from mfcli.storage import array_type, inlined, kernel
from mfcli.types import Floats

_SKIPPED, _USER, _ITEM, _RATING, _TIME = range(5)
_ROLES = {"user": _USER, "item": _ITEM, "rating": _RATING, "timestamp": _TIME}

_LINE_FEED, _RETURN, _MINUS, _ZERO = b"\n\r-0"
_DIGITS = 18  # of a whole number, so that it fits in 64 bits
_EXACT = 1 << 24  # float32 has all whole numbers up to here
_TENS = tuple(10**n for n in range(9))  # float32 has these, too

_INTEGERS, _FLOATS = array_type(types.int64, 1), array_type(types.float32, 1)


class PlainColumns(NamedTuple):
    """Columns of a piece of text.

    Attributes
    ----------
    user, item : int64 array, shape (n,)
    rating : float32 array, shape (n,)
    timestamp : int64 array, shape (n,), optional
    """

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    rating: Floats
    timestamp: NDArray[np.int64] | None


def plain_columns(piece: TextPiece) -> PlainColumns | None:
    """Read a piece of text; None if some field is not a plain number."""
    layout, data = piece.layout, piece.data
    if layout.separator == SPACES or layout.spaced or piece.has_quotes:
        return None
    separator, columns = layout.separator.encode(), layout.columns
    if "weight" in columns:  # of many digits, mostly; Arrow reads them
        return None
    # A row has at least a digit in each of the columns, the separators and a line feed.
    rows = len(data) // (len(columns) + len(separator) * (len(layout.names) - 1) + 1)
    user, item, time = (np.empty(rows, np.int64) for _ in range(3))
    # Without a column of ratings, each row is one event.
    rating = (np.empty if "rating" in columns else np.ones)(rows, np.float32)
    found = np.zeros(1, np.int64)
    _parse(
        np.frombuffer(data, np.uint8),
        _plan(columns, len(layout.names)),
        separator[0],
        len(separator),
        ord(layout.decimal),
        user,
        item,
        rating,
        time,
        found,
    )
    n = int(found[0])
    if n < 0:
        return None
    times = time[:n] if "timestamp" in columns else None
    return PlainColumns(user[:n], item[:n], rating[:n], times)


def _plan(columns: Mapping[str, int], fields: int) -> NDArray[np.int64]:
    """Return the role of each field of a row."""
    plan = np.full(fields, _SKIPPED)
    for role, column in columns.items():
        plan[column] = _ROLES[role]
    return plan


@inlined
def _byte(data: Any, at: int) -> Any:
    """Return a byte; an unsigned position saves the check whether it counts from the end."""
    return np.int64(data[np.uint64(at)])


@inlined
def _whole(data: Any, at: int) -> Any:
    """Read a whole number; return it and where it ends, or -1 if it is not written plainly."""
    negative = _byte(data, at) == _MINUS
    start = at + negative
    number, end = _digits(data, start)
    digits = end - start
    # "007" and "-0" are other ids than 7 and 0.
    padded = _byte(data, start) == _ZERO and (digits > 1 or negative)
    if digits == 0 or digits > _DIGITS or padded:
        end = -1
    return -number if negative else number, end


@inlined
def _digits(data: Any, at: int) -> Any:
    """Read a row of digits; return their number and where they end."""
    word = word_at(data, at)
    digits = leading_digits(word)
    number = 0
    if digits > 0:
        number = number_of(word, digits)
    end = at + digits
    if digits == 8:  # there may be more
        digit = _byte(data, end) - _ZERO
        while digit >= 0 and digit <= 9:
            number = 10 * number + digit  # may overflow, but then there are too many digits
            end += 1
            digit = _byte(data, end) - _ZERO
    return number, end


@inlined
def _decimal(data: Any, at: int, mark: int) -> Any:
    """Read a decimal; return it and where it ends, or -1 if it is not short and plain.

    The digits and the power of ten are exact in float32, so the quotient is the number, rounded
    once.
    """
    negative = _byte(data, at) == _MINUS
    start = at + negative
    number, end = _digits(data, start)
    good = end > start and end - start <= 8
    places = 0
    if _byte(data, end) == mark:
        fraction, start = _digits(data, end + 1)
        places = start - (end + 1)
        good &= places > 0 and places <= 8
        end = start
        if good:
            number = number * _TENS[places] + fraction
    if not good or number >= _EXACT:
        return np.float32(0), -1
    value = np.float32(number) / np.float32(_TENS[places])
    return -value if negative else value, end


@inlined
def _skip(data: Any, at: int, separator: int) -> int:
    """Return where a field ends."""
    byte = _byte(data, at)
    while byte != separator and byte != _LINE_FEED and byte != _RETURN:
        at += 1
        byte = _byte(data, at)
    return at


@kernel(
    array_type(types.uint8, 1, readonly=True),
    _INTEGERS,
    types.int64,
    types.int64,
    types.int64,
    _INTEGERS,
    _INTEGERS,
    _FLOATS,
    _INTEGERS,
    _INTEGERS,
)
def _parse(
    data: Any,
    plan: Any,
    separator: int,
    width: int,
    mark: int,
    user: Any,
    item: Any,
    rating: Any,
    time: Any,
    found: Any,
) -> None:
    """Read all rows, and set `found` to their number; to -1 if a field is not plain.

    The data ends with a line feed, which is no part of any field, so no loop runs beyond it.
    """
    row = at = 0
    found[0] = -1
    last = len(plan) - 1
    while at < len(data):
        if _byte(data, at) == _LINE_FEED:  # a blank line
            at += 1
            continue
        for field in range(last + 1):
            role = plan[np.uint64(field)]
            if role == _RATING:
                rating[np.uint64(row)], at = _decimal(data, at, mark)
            elif role == _SKIPPED:
                at = _skip(data, at, separator)
            else:
                number, at = _whole(data, at)
                if role == _USER:
                    user[np.uint64(row)] = number
                elif role == _ITEM:
                    item[np.uint64(row)] = number
                else:
                    time[np.uint64(row)] = number
            if at < 0:
                return
            if field < last:
                for _ in range(width):
                    if _byte(data, at) != separator:
                        return
                    at += 1
        if _byte(data, at) == _RETURN:
            at += 1
        if _byte(data, at) != _LINE_FEED:
            return
        at += 1
        row += 1
    found[0] = row
