"""The rows that the users or the items of buckets have in a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from mfcli.data import Vocabulary, to_arrow_mask, united
from mfcli.types import Counts, Mask, Rows


class Numbering(NamedTuple):
    """The ids of a split, and the row among them of each id of buckets.

    Attributes
    ----------
    ids : Arrow array of int64 or string, length n
    rows : int32 array, optional
        The row of each id of the buckets; -1 for one that the split lacks. None if rows stay.
    """

    ids: pa.Array
    rows: Rows | None = None

    @classmethod
    def of(cls, ids: pa.Array, kept: Mask) -> Numbering:
        """Return the numbering of the ids that are kept, in the same order."""
        rows = np.where(kept, np.cumsum(kept, dtype=np.int32) - 1, np.int32(-1))
        return cls(ids.filter(to_arrow_mask(kept)), rows)

    def counting(self, counts: Counts) -> Vocabulary:
        """Return the vocabulary of the split, given the count of each id of the buckets."""
        counted = np.zeros(len(self.ids), np.int64)
        if self.rows is None:
            counted[: len(counts)] = counts
        else:
            kept = self.rows >= 0
            counted[self.rows[kept]] = counts[kept]
        return Vocabulary(self.ids, counted)

    def of_split(self, rows: Rows) -> Rows:
        """Return the rows in the split, given rows in the buckets."""
        return rows if self.rows is None else self.rows[rows]


def common_numberings(vocabularies: Sequence[Vocabulary]) -> list[Numbering]:
    """Return numberings over all ids of some vocabularies; those of the first keep their rows."""
    whole, rows = vocabularies[0], list[Rows | None]([None])
    for other in vocabularies[1:]:
        whole, found = united(whole, other)
        rows.append(found)
    return [Numbering(whole.ids, each) for each in rows]
