"""Eight bytes of text at a time, inside compiled code.

A word holds eight bytes; the first byte is the lowest one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mfcli.storage import inlined
from mfcli.vectors import load_word, trailing_zeros

_ZEROS = np.uint64(0x3030303030303030)  # the character "0", eight times
_ABOVE = np.uint64(0x7676767676767676)  # brings bytes above 9 to 128 or more
_HIGH = np.uint64(0x8080808080808080)
_PAIRS, _FOURS = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
# 1 + 10 * 2**8, 1 + 100 * 2**16 and 1 + 10_000 * 2**32
_TEN, _HUNDRED, _TEN_THOUSAND = np.uint64(2561), np.uint64(6553601), np.uint64(42949672960001)
_1, _8, _16, _32, _64 = map(np.uint64, (1, 8, 16, 32, 64))


@inlined
def word_at(data: Any, at: Any) -> Any:
    """Return the eight bytes at a position; zeros for those after the end.

    Parameters
    ----------
    data : uint8 array, shape (n,)
    at : int64
        Not negative.
    """
    if at + 8 <= len(data):
        return load_word(data, at)
    word = np.uint64(0)
    for place in range(len(data) - 1, at - 1, -1):
        word = (word << _8) | np.uint64(data[place])
    return word


@inlined
def leading_digits(word: Any) -> Any:
    """Return how many of the first bytes of a word are digits, from 0 to 8."""
    digits = word ^ _ZEROS  # 0 to 9 for a digit
    # A byte above 9 sets its highest bit. It may change those after it, but not those before it.
    others = ((digits + _ABOVE) | digits) & _HIGH
    return np.int64(trailing_zeros(others)) >> 3


@inlined
def number_of(word: Any, digits: Any) -> Any:
    """Return the number that the first digits of a word write, from 1 to 8 of them."""
    # Shifted, so that the number has zeros in front and eight digits in total.
    pairs = (word ^ _ZEROS) << (_64 - _8 * np.uint64(digits))
    # Neighbors are joined: digits to pairs, pairs to fours, fours to the number.
    pairs = (pairs * _TEN) >> _8
    fours = ((pairs & _PAIRS) * _HUNDRED) >> _16
    return np.int64(((fours & _FOURS) * _TEN_THOUSAND) >> _32)


@inlined
def first_bytes(word: Any, count: Any) -> Any:
    """Return a word with zeros in place of all bytes after the first, from 0 to 7 of them."""
    return word & ((_1 << (_8 * np.uint64(count))) - _1)
