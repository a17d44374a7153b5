"""Philox2x32-10, a random number generator that encrypts a counter.

J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
SC 2011. It maps distinct counters of 64 bits to distinct numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FACTOR, STEP = np.uint64(0xD256D193), np.uint64(0x9E3779B9)  # the constants of the paper
ROUNDS = 10
LOW, HALF = np.uint64(2**32 - 1), np.uint64(32)


def philox(low: NDArray[np.uint32], key: int, high: int) -> NDArray[np.uint64]:
    """Return the random numbers of counters.

    Parameters
    ----------
    low : uint32 array, shape (n,)
        The lower halves of the counters.
    key : int
        Below 2**32; others give other numbers.
    high : int
        The upper half of all counters, below 2**32.

    Returns
    -------
    uint64 array, shape (n,)
    """
    left, right = low.astype(np.uint64), np.full(len(low), high, np.uint64)
    bump = np.uint64(key)
    for _ in range(ROUNDS):
        product = left * FACTOR
        left, right = (product >> HALF) ^ bump ^ right, product & LOW
        bump = (bump + STEP) & LOW
    return (left << HALF) | right
