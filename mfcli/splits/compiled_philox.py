"""The random numbers of many counters, in compiled code; see `philox` for the generator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from mfcli.splits.philox import FACTOR, HALF, LOW, ROUNDS, STEP
from mfcli.storage import array_type, kernel

_COUNTERS = array_type(types.uint32, 1, readonly=True)
_NUMBERS = array_type(types.uint64, 1)


@kernel(_COUNTERS, types.int64, types.int64, _NUMBERS)
def fill(low: Any, key: int, high: int, numbers: Any) -> None:
    """Set numbers to those of counters."""
    for n in range(len(low)):
        left, right, bump = np.uint64(low[n]), np.uint64(high), np.uint64(key)
        for _ in range(ROUNDS):
            product = left * FACTOR
            left, right = (product >> HALF) ^ bump ^ right, product & LOW
            bump = (bump + STEP) & LOW
        numbers[n] = (left << HALF) | right
