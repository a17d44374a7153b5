"""Random keys of ratings, each a function of a seed and of the row of the rating.

The n ratings with the smallest keys are a random sample, and ratings in the order of their keys are
in random order. A key does not depend on other ratings, so a sample does not depend on the buckets
that the ratings are in. No two rows have the same key.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from mfcli.data import MANY
from mfcli.splits.order_statistics import nth_smallest
from mfcli.splits.philox import philox
from mfcli.types import Mask

RATINGS, USERS, TRAINED = range(3)
"""What is drawn, each with other keys: ratings, users, training ratings for a search."""

MOST = 2**64
"""Keys are below this number."""

PIECE = 1 << 16
"""Keys drawn at a time: what is computed fits in the cache of a processor."""


def keys(
    seed: int, rows: NDArray[np.uint32], purpose: int = RATINGS, *, compiled: bool = False
) -> NDArray[np.uint64]:
    """Return the keys of rows.

    Parameters
    ----------
    seed : int
        Of any size.
    rows : uint32 array, shape (n,)
    purpose : int
        `RATINGS`, `USERS` or `TRAINED`.
    compiled : bool
        Use compiled code, which takes a tenth of the time, but has to be loaded.

    Returns
    -------
    uint64 array, shape (n,)
    """
    key, high = _stream(seed, purpose)
    if compiled:
        # Imported here because it loads Numba, which takes longer than to draw few keys.
        from mfcli.splits.compiled_philox import fill

        drawn = np.empty(len(rows), np.uint64)
        fill(rows, key, high, drawn)
        return drawn
    starts = range(0, max(len(rows), 1), PIECE)
    return np.concatenate([philox(rows[n : n + PIECE], key, high) for n in starts])


@functools.cache
def _stream(seed: int, purpose: int) -> tuple[int, int]:
    """Return the key of the generator, and the upper half of its counters; rows are the lower."""
    key, high = np.random.SeedSequence(seed, spawn_key=(purpose,)).generate_state(2)
    return int(key), int(high)


def held_out_rows(size: int, fraction: float, seed: int) -> Mask:
    """Mark a random sample of the training ratings of a split: a fraction of them, rounded.

    Parameters
    ----------
    size : int
        Number of training ratings.
    fraction : float
    seed : int

    Returns
    -------
    bool array, shape (size,)
    """
    rows, chosen = np.arange(size, dtype=np.uint32), round(fraction * size)
    if chosen == size:
        return np.ones(size, np.bool_)
    drawn = keys(seed, rows, TRAINED, compiled=size > MANY)
    return np.asarray(drawn < nth_smallest(lambda: [drawn], chosen))
