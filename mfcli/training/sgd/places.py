"""Where the rows of a shuffled rating are, inside compiled code.

`data` is a pair: the `Packed` ratings, and the bytes into which a block of them was shuffled.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mfcli.aligned import LINE
from mfcli.storage import inlined
from mfcli.training.sgd.packed_ratings import pair_of, rating_of, slot_of, weight_of
from mfcli.vectors import prefetch

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
    """Return the offsets of the user's and the item's row of rating number `at`.

    They are counted from the first rows of the groups of the block.
    """
    _, out = data
    user, item = pair_of(out, _at(at, variant), variant.wide)
    return user * variant.stride, item * variant.stride


@inlined
def value_of(data: Any, at: Any, variant: Any) -> Any:
    """Return the rating with number `at`."""
    packed, out = data
    return rating_of(packed, out, _at(at, variant))


@inlined
def factor_of(data: Any, at: Any, variant: Any) -> Any:
    """Return the weight of rating number `at`."""
    packed, out = data
    return weight_of(packed, out, _at(at, variant)) if variant.weighted else np.float32(1.0)


@inlined
def _at(number: Any, variant: Any) -> Any:
    return slot_of(variant.wide, variant.weighted) * number


@inlined
def prefetch_rows(
    data: Any, at: Any, users: Any, items: Any, first: Any, last: Any, variant: Any
) -> None:
    """Prefetch the lanes ``first`` to ``last - 1`` of the rows of a rating."""
    user, item = places(data, at, variant)
    for line in range(first, last, LINE):
        prefetch(users, user + line)
        prefetch(items, item + line)
