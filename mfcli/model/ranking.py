"""Lists of the best items for users, as rows and as a table of ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from mfcli.data import Vocabulary, to_arrow
from mfcli.types import Floats, Rows

Clip: TypeAlias = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Ranking:
    """The best items for some users, or the most similar rows of some rows.

    Attributes
    ----------
    of : int32 array, shape (m,)
        Rows of the users (or items) that the ranking is for.
    items : int32 array, shape (m, n)
        Rows, best first; ties go to the lower row. -1 where there are fewer than n. With diversity,
        in the order in which they were chosen.
    scores : float32 array, shape (m, n)
        Predicted ratings, not clipped (or cosines); -infinity where there is no item.
    """

    of: Rows
    items: Rows
    scores: Floats

    def table(
        self, of: Vocabulary, items: Vocabulary, name: str, score: str, clip: Clip | None = None
    ) -> pa.Table:
        """Return a table with raw ids: columns `name`, "rank" (from 1), "item" and `score`.

        With `clip`, scores are clipped. The order stays that of the raw scores, which tells apart
        the items at the end of a scale.
        """
        full = (self.items >= 0).ravel()
        scores = self.scores.ravel()[full]
        n = self.items.shape[1]
        ranks = np.tile(np.arange(1, n + 1, dtype=np.int32), len(self.of))[full]
        columns = {
            name: of.ids.take(to_arrow(np.repeat(self.of, n)[full])),
            "rank": to_arrow(ranks),
            "item": items.ids.take(to_arrow(self.items.ravel()[full])),
            score: to_arrow(clip(scores) if clip else scores),
        }
        return pa.table(columns)
