"""Formulas of the accuracy of rankings.

For each user, all items are ranked that the user has not rated in training. An item is relevant if
the user's rating of it, among the ratings measured on, reaches a threshold. With the cutoff n,
hit_j = 1 if the item at rank j is relevant and 0 otherwise, and R relevant items of the user:

    DCG = sum_j hit_j / log2(j + 1)              NDCG = DCG / (DCG with the R relevant items first)
    precision = sum_j hit_j / n                  recall = sum_j hit_j / R
    AP = sum_j hit_j (hits up to j) / j / R      RR = 1 / (rank of the first hit), 0 without a hit
    hit rate = 1 if there is a hit, else 0

The measures are means over the users who have relevant items; MAP and MRR are the means of AP and
RR (K. Jarvelin and J. Kekalainen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS
20(4), 2002, with gains of 0 and 1; the others as in trec_eval). What accuracy does not show is in
`beyond_accuracy.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.types import Counts, Doubles, Mask


@dataclass(frozen=True)
class RankedHits:
    """The rankings of m users, cut off at rank n.

    Attributes
    ----------
    hits : bool array, shape (m, n)
        Whether the item at each rank is relevant; False beyond the last item of a user.
    relevant : int64 array, shape (m,)
        Relevant items of each user, at least 1.
    cutoff : int
        May be larger than n if there are fewer items.
    """

    hits: Mask
    relevant: Counts
    cutoff: int

    def up_to(self, cutoff: int) -> RankedHits:
        """Return the same rankings with a lower cutoff."""
        return RankedHits(self.hits[:, :cutoff], self.relevant, cutoff)


def _ndcg(ranked: RankedHits) -> Doubles:
    discounts = 1 / np.log2(np.arange(2, ranked.cutoff + 2))  # (cutoff,)
    gains: Doubles = (ranked.hits * discounts[: ranked.hits.shape[1]]).sum(axis=1)
    # DCG with all R relevant items first, of which at most n are within the cutoff
    ideal: Doubles = np.cumsum(discounts)[np.minimum(ranked.relevant, ranked.cutoff) - 1]
    return gains / ideal


def _average_precision(ranked: RankedHits) -> Doubles:
    # (hits up to j) / j
    precisions = ranked.hits.cumsum(axis=1) / _ranks(ranked)
    sums: Doubles = (ranked.hits * precisions).sum(axis=1)
    return sums / ranked.relevant


def _reciprocal_rank(ranked: RankedHits) -> Doubles:
    # The largest hit_j / j is that of the first hit.
    found: Doubles = (ranked.hits / _ranks(ranked)).max(axis=1, initial=0)
    return found


def _ranks(ranked: RankedHits) -> NDArray[np.int64]:
    return np.arange(1, ranked.hits.shape[1] + 1)  # (n,)


USER_FORMULAS: dict[str, Callable[[RankedHits], NDArray[Any]]] = {
    "ndcg": _ndcg,
    "recall": lambda ranked: ranked.hits.sum(axis=1) / ranked.relevant,
    # Divided by the cutoff even if fewer items are ranked, as in trec_eval.
    "precision": lambda ranked: ranked.hits.sum(axis=1) / ranked.cutoff,
    "map": _average_precision,
    "mrr": _reciprocal_rank,
    "hit_rate": lambda ranked: np.asarray(ranked.hits.any(axis=1)),
}
"""The value of a measure for each user, shape (m,); the measure is the mean over users."""
