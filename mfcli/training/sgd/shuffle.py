"""Random order of ratings, by the inside-out variant of the Fisher-Yates shuffle.

Record number i goes to a random place j <= i, and the record at that place moves to the end. (D. E.
Knuth, "The Art of Computer Programming", volume 2, algorithm P, gives the shuffle in place.)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types

from mfcli.storage import array_type, compiled, inlined
from mfcli.training.sgd.generators import POOL, draw, seeded
from mfcli.training.sgd.rows import RATING, WEIGHTED, Records
from mfcli.vectors import copy, pointer

_PLAIN, _WEIGHTED = RATING.itemsize // 4, WEIGHTED.itemsize // 4  # values of 4 bytes in a record


def shuffle(records: Records, words: Any, number: int, out: Records) -> None:
    """Fill `out` with records in the random order of a seed; see `generators.seeded`."""
    _shuffle_of(records.dtype)(records, words, number, out)


@functools.cache
def _shuffle_of(record: np.dtype[Any]) -> Callable[..., None]:
    records = array_type(numba.from_dtype(record), 1)
    made = _make_shuffle(record.itemsize // 4)
    return compiled(made, records, array_type(types.uint64, 1), types.intp, records)


def _make_shuffle(values: int) -> Callable[..., None]:
    def shuffle(records: Any, words: Any, number: Any, out: Any) -> None:
        pool = np.empty(POOL, np.uint64)
        shuffle_part(records, 0, len(records), words, number, pool, out, values)

    return shuffle


@inlined
def shuffle_part(
    records: Any, first: Any, last: Any, words: Any, number: Any, pool: Any, out: Any, values: Any
) -> None:
    """Fill the start of `out` with the records ``first`` to ``last - 1`` in random order.

    A record has `values` values of 4 bytes.
    """
    source, target = pointer(records), pointer(out)
    generator = seeded(words, number, pool)
    for i in range(last - first):
        uniform, generator = draw(generator)
        # j = floor(u (i + 1)) with u < 1, so j <= i. If j = i, the second copy overwrites the
        # first.
        other = np.intp(uniform * np.float64(i + 1))
        _copy(target, i, target, other, values)
        _copy(target, other, source, first + i, values)


@inlined
def _copy(target: Any, to: Any, source: Any, number: Any, values: Any) -> None:
    # The number of values must be a literal; the compiler removes the other branch.
    if values == _WEIGHTED:
        copy(target, to, source, number, _WEIGHTED)
    else:
        copy(target, to, source, number, _PLAIN)
