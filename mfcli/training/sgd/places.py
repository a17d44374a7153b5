"""The values of a record, and where its rows are, inside compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfcli.aligned import LINE
from mfcli.storage import inlined
from mfcli.vectors import load_int, prefetch

_AHEAD = 1024  # float32 values of one side that are prefetched before their use
_LEAST, _MOST = 4, 32  # ratings


@inlined
def lookahead(stride: Any) -> Any:
    """Return how many ratings before their use rows are prefetched."""
    # Long rows take longer to process, so fewer ratings ahead are enough to hide the memory
    # latency.
    return min(max(_LEAST, _AHEAD // stride), _MOST)


@inlined
def places(data: Any, at: Any, variant: Any) -> Any:
    """Return the offsets of the user's and the item's row of record number `at`."""
    first = variant.values * at
    user, item = load_int(data, first), load_int(data, first + 1)
    # In int32, the offset would overflow: tables may have more than 2^31 values.
    return np.intp(user) * variant.stride, np.intp(item) * variant.stride


@inlined
def rating_of(data: Any, at: Any, variant: Any) -> Any:
    """Return the rating of record number `at`."""
    return data[variant.values * at + 2]


@inlined
def weight_of(data: Any, at: Any, variant: Any) -> Any:
    """Return the weight of record number `at`."""
    return data[variant.values * at + 3] if variant.values > 3 else np.float32(1.0)


@inlined
def prefetch_rows(
    data: Any, at: Any, users: Any, items: Any, first: Any, last: Any, variant: Any
) -> None:
    """Prefetch the lanes ``first`` to ``last - 1`` of the rows of a record."""
    user, item = places(data, at, variant)
    for line in range(first, last, LINE):
        prefetch(users, user + line)
        prefetch(items, item + line)
