"""Random order of ratings, by the inside-out variant of the Fisher-Yates shuffle.

Record number i goes to a random place j <= i, and the record at that place moves to the end. (D. E.
Knuth, "The Art of Computer Programming", volume 2, algorithm P, gives the shuffle in place.)
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types

from mfcli.storage import array_type, inlined, kernel
from mfcli.training.sgd.generators import POOL, draw, seeded
from mfcli.training.sgd.rows import RATING
from mfcli.vectors import copy, pointer

_VALUES = RATING.itemsize // 4  # of 4 bytes in a record
_RECORDS = array_type(numba.from_dtype(RATING), 1)


@kernel(_RECORDS, array_type(types.uint64, 1), types.intp, _RECORDS)
def shuffle(records: Any, words: Any, number: Any, out: Any) -> None:
    """Fill `out` with records in the random order of a seed; see `generators.seeded`."""
    shuffle_part(records, 0, len(records), words, number, np.empty(POOL, np.uint64), out)


@inlined
def shuffle_part(
    records: Any, first: Any, last: Any, words: Any, number: Any, pool: Any, out: Any
) -> None:
    """Fill the start of `out` with the records ``first`` to ``last - 1`` in random order."""
    source, target = pointer(records), pointer(out)
    generator = seeded(words, number, pool)
    for i in range(last - first):
        uniform, generator = draw(generator)
        # j = floor(u (i + 1)) with u < 1, so j <= i. If j = i, the second copy overwrites the
        # first.
        other = np.intp(uniform * np.float64(i + 1))
        copy(target, i, target, other, _VALUES)
        copy(target, other, source, first + i, _VALUES)
