"""The n-th smallest key of each user, in compiled code: without a sort of all ratings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.storage import array_type, inlined, kernel
from mfcli.types import Counts, Rows

_USERS = array_type(types.int32, 1, readonly=True)
_GIVEN = array_type(types.uint64, 1, readonly=True)
_KEYS = array_type(types.uint64, 1)
_COUNTS = array_type(types.int64, 1)


def nth_keys(user: Rows, keys: NDArray[np.uint64], counts: Counts, n: Counts) -> NDArray[np.uint64]:
    """Return the key of each user that follows the n smallest ones.

    Parameters
    ----------
    user : int32 array, shape (ratings,)
    keys : uint64 array, shape (ratings,)
        Of each rating; distinct.
    counts : int64 array, shape (n_users,)
        Number of ratings of each user.
    n : int64 array, shape (n_users,)
        Below the number of ratings of each user that has any.

    Returns
    -------
    uint64 array, shape (n_users,)
        Undefined for users without ratings.
    """
    grouped, ends = np.empty(len(keys), np.uint64), np.cumsum(counts) - counts
    _group(user, keys, grouped, ends)  # which moves `ends` from the starts to the ends
    found = np.zeros(len(counts), np.uint64)
    _select(grouped, ends - counts, ends, n, found)
    return found


@kernel(_USERS, _GIVEN, _KEYS, _COUNTS)
def _group(user: Any, keys: Any, grouped: Any, ends: Any) -> None:
    for row in range(len(user)):
        owner = np.uint64(user[row])
        grouped[np.uint64(ends[owner])] = keys[row]
        ends[owner] += 1


@kernel(_KEYS, _COUNTS, _COUNTS, _COUNTS, _KEYS)
def _select(grouped: Any, starts: Any, ends: Any, n: Any, found: Any) -> None:
    for user in range(len(starts)):
        if ends[user] > starts[user]:
            found[user] = _nth(grouped, starts[user], ends[user] - 1, starts[user] + n[user])


@inlined
def _nth(values: Any, low: int, high: int, place: int) -> Any:
    """Return the value that a sort puts at a place, from `low` to `high` (Hoare's quickselect)."""
    # The keys are random and in any order, so the first of them is as good a pivot as any.
    while low < high:
        pivot, left, right = values[low], low - 1, high + 1
        while True:
            left += 1
            while values[left] < pivot:
                left += 1
            right -= 1
            while values[right] > pivot:
                right -= 1
            if left >= right:
                break
            values[left], values[right] = values[right], values[left]
        if place <= right:
            high = right
        else:
            low = right + 1
    return values[place]
