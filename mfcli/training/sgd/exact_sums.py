"""Sums of positive numbers that have the same bits in any order, so on any number of machines.

Each number is rounded to a multiple of a unit, and the multiples are added as integers, which is
exact. Two units, a small and a large one, cover the squares of all errors that a useful model
makes. A sum is an array of int64: for each unit the lower 32 bits of the multiples and the bits
above them, added up apart from each other, and how many numbers were too large or NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Scale
from mfcli.storage import inlined
from mfcli.types import Counts

_BITS = 52  # of a number as large as the square of the scale, in small units
_LARGE = 40  # by how many bits the large unit is larger
_MOST = 2.0**62  # multiples that are int64 beyond doubt
_LARGE_UNIT = 2.0**-_LARGE
_HALF, _LOW = np.int64(32), np.int64(0xFFFFFFFF)
_ROUNDING = 1e-6  # of a rating in float32: errors are not smaller on a scale of few values

PLACES = 5
"""Length of a sum."""


def unit_of_squares(scale: Scale) -> int:
    """Return the exponent of the small unit, a power of two, for squared errors on a scale."""
    largest = max(abs(scale.min), abs(scale.max))
    return 2 * math.frexp(max(scale.max - scale.min, _ROUNDING * largest) or 1.0)[1] - _BITS


def no_sums(count: int) -> NDArray[np.int64]:
    """Return empty sums, shape (count, 5)."""
    return np.zeros((count, PLACES), np.int64)


@inlined
def added(multiple: Any, low: Any, high: Any, sums: Any) -> Any:
    """Return the two parts of a sum of small units after a number was added.

    `multiple` (float64) is the number in small units. If it is large, it is added to `sums`, int64
    of shape (5,), instead.
    """
    if multiple < _MOST:
        whole = np.int64(multiple + 0.5)
        return low + (whole & _LOW), high + (whole >> _HALF)
    multiple *= _LARGE_UNIT
    if multiple < _MOST:
        whole = np.int64(multiple + 0.5)
        sums[2] += whole & _LOW
        sums[3] += whole >> _HALF
    else:
        sums[4] += 1
    return low, high


def value_of(sums: Counts, exponent: int) -> float:
    """Return the value of sums that are added up; infinity if a number was too large or NaN."""
    low, high, large_low, large_high, others = map(int, sums.sum(axis=0))
    if others:
        return math.inf
    multiples = (high << 32) + low + (((large_high << 32) + large_low) << _LARGE)
    return math.ldexp(multiples, exponent)
