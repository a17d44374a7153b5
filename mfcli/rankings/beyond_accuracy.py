"""Formulas of what accuracy does not show: popularity, variety and balance of rankings.

Over the items of all rankings, cut off at rank n:

    popularity      mean fraction of items with fewer training ratings; ties count half
    long tail       share of items outside the most popular ones with 80% of the training ratings
    novelty         mean of -log2(share of the training users who have rated the item), in bits

Over users:

    diversity       mean of 1 - cosine of the factors of two items of a ranking, over all pairs
    popularity deviation
                    mean divergence of the shares of head, middle and tail items in a ranking from
                    those in the user's training ratings: 0 (equal) to 1 (no group in common)
    NDCG gap        mean NDCG of the users with more training ratings than the median of all, minus
                    that of the others

Over items:

    coverage        fraction of the items that are recommended to anyone
    Gini            0 if all items are recommended equally often, 1 if a single one is

Sources: the long tail and the groups, which divide the ratings by 20% (head), 60% and 20% (tail),
are those of H. Abdollahpouri, R. Burke and B. Mobasher, "Managing popularity bias in recommender
systems with personalized re-ranking", FLAIRS 2019; the divergence is that of Jensen and Shannon, as
in H. Abdollahpouri et al., "User-centered evaluation of popularity bias in recommender systems",
UMAP 2021; novelty: T. Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender
systems", PNAS 107(10), 2010; diversity: B. Smyth and P. McClave, "Similarity vs. diversity",
ICCBR 2001; Gini: P. Castells, N. Hurley and S. Vargas, "Novelty and diversity in recommender
systems", Recommender Systems Handbook, 2015; gap: Y. Li et al., "User-oriented fairness in
recommendation", WWW 2021, who compare other groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mfcli.types import Counts, Doubles

LIST_TERMS = (
    "items", "popularities", "tails", "information", "distances", "diverse", "divergences",
    "profiled",
)  # fmt: skip
"""What is summed over users: values of each ranking, in the order of `list_terms`."""

GAP_TERMS = ("active", "active_ndcg")
"""Also summed over users: 1 and the NDCG for active users, 0 for others."""


def _gap(sums: Mapping[str, Doubles]) -> Doubles:
    inactive = sums["users"] - sums["active"]
    others = (sums["ndcg"] - sums["active_ndcg"]) / inactive
    return sums["active_ndcg"] / sums["active"] - others


SUM_FORMULAS: dict[str, Callable[[Mapping[str, Doubles]], Doubles]] = {
    "popularity": lambda sums: sums["popularities"] / sums["items"],
    "long_tail": lambda sums: sums["tails"] / sums["items"],
    "novelty": lambda sums: sums["information"] / sums["items"],
    "diversity": lambda sums: sums["distances"] / sums["diverse"],
    "popularity_deviation": lambda sums: sums["divergences"] / sums["profiled"],
    "ndcg_gap": _gap,
}
"""Measures computed from sums over `users`; a sum is a number or has an entry for each resample.

They are not finite if they are undefined.
"""


def _gini(exposures: Counts) -> float:
    """Return the Gini coefficient: 0 for equal numbers, (n - 1) / n for a single one above 0."""
    n, sorted_exposures = len(exposures), np.sort(exposures)
    # sum_k (2 k - n - 1) e_k / (n sum_k e_k), for k = 1, ..., n in ascending order
    weights = 2.0 * np.arange(1, n + 1) - n - 1
    return float(weights @ sorted_exposures / (n * max(int(exposures.sum()), 1)))


EXPOSURE_FORMULAS: dict[str, Callable[[Counts], float]] = {
    "coverage": lambda exposures: float(np.mean(exposures > 0)),
    "gini": _gini,
}
"""Measures of how often each item is recommended, int64 of shape (n_items,); not resampled."""
