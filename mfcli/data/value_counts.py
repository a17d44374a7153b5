"""The distinct values of many ratings, and how often each occurs: counted in compiled code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import types

from mfcli.data.sizes import MOST_VALUES
from mfcli.storage import array_type, kernel
from mfcli.types import Counts, Floats

_SLOTS = 1 << 12  # a power of two, several times the number of values
_SHIFT = np.uint64(52)  # leaves as many bits of 64 as a slot has
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing: 2**64 divided by the golden ratio
_MINUS_ZERO = np.uint32(1 << 31)

_VALUES = array_type(types.uint32, 1)
_GIVEN = array_type(types.uint32, 1, readonly=True)
_COUNTS = array_type(types.int64, 1)


def value_counts(rating: Floats) -> tuple[Floats, Counts] | None:
    """Return the distinct values in ascending order, and how often each occurs.

    Parameters
    ----------
    rating : float32 array, shape (n,)

    Returns
    -------
    values : float32 array, shape (m,)
    counts : int64 array, shape (m,)
        None if there are more than `MOST_VALUES`, or a negative zero, which equals another value.
    """
    values, counts = np.zeros(_SLOTS, np.uint32), np.zeros(_SLOTS, np.int64)
    _count(np.ascontiguousarray(rating).view(np.uint32), values, counts)
    if counts[0] < 0:
        return None
    found = values[counts > 0].view(np.float32)
    order = np.argsort(found)
    return found[order], counts[counts > 0][order]


def counted_values(pieces: Iterable[Floats]) -> tuple[Floats, Counts] | None:
    """Return the `value_counts` of a column that is read piece by piece."""
    values, counts = np.empty(0, np.float32), np.empty(0, np.int64)
    for piece in pieces:
        more = value_counts(piece)
        if more is None:
            return None
        values, places = np.unique(np.concatenate([values, more[0]]), return_inverse=True)
        if len(values) > MOST_VALUES:
            return None
        before, counts = np.concatenate([counts, more[1]]), np.zeros(len(values), np.int64)
        np.add.at(counts, places, before)
    return values, counts


@kernel(_GIVEN, _VALUES, _COUNTS)
def _count(rating: Any, values: Any, counts: Any) -> None:
    """Count the values, as bits, in a hash table; give up with a negative count."""
    distinct = 0
    for n in range(len(rating)):
        value = rating[n]
        slot = (np.uint64(value) * _FACTOR) >> _SHIFT
        while counts[slot] > 0 and values[slot] != value:
            slot = (slot + np.uint64(1)) & np.uint64(_SLOTS - 1)
        if counts[slot] == 0:
            distinct += 1
            if distinct > MOST_VALUES or value == _MINUS_ZERO:
                counts[0] = -1
                return
            values[slot] = value
        counts[slot] += 1
