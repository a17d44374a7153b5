"""The popularity of items."""

from __future__ import annotations

import numpy as np

from mfcli.types import Counts, Doubles


def fractions_below(counts: Counts) -> Doubles:
    """Return, for each item, the fraction of items with fewer ratings; ties count half.

    Parameters
    ----------
    counts : int64 array, shape (n_items,)
        Number of ratings of each item.

    Returns
    -------
    float64 array, shape (n_items,)
        Above 0 and below 1.
    """
    _, place, ties = np.unique(counts, return_inverse=True, return_counts=True)
    # Items with fewer ratings, plus half of those with equally many.
    below = np.cumsum(ties) - ties / 2
    fractions: Doubles = below[place] / len(counts)
    return fractions
