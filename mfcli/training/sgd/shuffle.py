"""Random order of ratings, by the inside-out variant of the Fisher-Yates shuffle.

Record number i goes to a random place j <= i, and the record at that place moves to the end. (D. E.
Knuth, "The Art of Computer Programming", volume 2, algorithm P, gives the shuffle in place.)
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types

from mfcli.storage import array_type, kernel
from mfcli.training.sgd.rows import RATING, Records
from mfcli.vectors import copy, pointer

_VALUES = RATING.itemsize // 4  # of 4 bytes in a record
_DRAWS = 65536  # random numbers drawn at a time
_RECORDS = array_type(numba.from_dtype(RATING), 1)


def shuffle(records: Records, out: Records, rng: np.random.Generator) -> None:
    """Fill `out`, which is as long as `records`, with `records` in random order."""
    draws = np.empty(_DRAWS)
    for start in range(0, len(records), _DRAWS):
        # Drawn in bulk, which is faster and gives the same numbers as one after another.
        some = draws[: len(records) - start]
        rng.random(out=some)
        _place(records, out, start, some)


@kernel(_RECORDS, _RECORDS, types.intp, array_type(types.float64, 1))
def _place(records: Any, out: Any, start: Any, draws: Any) -> None:
    """Place the records from `start` on, one for each of `draws`, which are uniform in [0, 1)."""
    source, target = pointer(records), pointer(out)
    for i in range(len(draws)):
        place = start + i
        # j = floor(u (i + 1)) with u < 1, so j <= i. If j = i, the second copy overwrites the
        # first.
        other = np.intp(draws[i] * np.float64(place + 1))
        copy(target, place, target, other, _VALUES)
        copy(target, other, source, place, _VALUES)
