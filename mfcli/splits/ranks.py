"""The rows of ratings after duplicates were merged, given their rows before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Buckets

_BITS = np.uint32(6)  # of the number of a bit in a word


class Ranks:
    """Numbers the ratings of buckets from 0, in the order of the files.

    So the rows of a file and of the same ratings in memory are the same. A bit for each row that
    was read tells whether its rating is still there.

    Parameters
    ----------
    buckets : Buckets
    """

    def __init__(self, buckets: Buckets) -> None:
        present = np.zeros(-(-buckets.rows // 64) * 8, np.uint8)
        for bucket in range(len(buckets)):
            positions = buckets.positions(bucket)
            # Each bit is set once, so adding is the same as setting.
            bits = (np.uint32(1) << (positions & np.uint32(7))).astype(np.uint8)
            np.add.at(present, positions >> np.uint32(3), bits)
        self._words = present.view("<u8").astype(np.uint64, copy=False)
        counts = np.bitwise_count(self._words)
        self._before = np.cumsum(counts, dtype=np.uint32) - counts  # set bits before each word

    def of(self, positions: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the rows of ratings, given their positions among all rows read."""
        word = positions >> _BITS
        bit = (positions & np.uint32(63)).astype(np.uint64)
        earlier = self._words[word] & ((np.uint64(1) << bit) - np.uint64(1))
        return np.asarray(self._before[word] + np.bitwise_count(earlier))
