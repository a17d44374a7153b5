"""What the training ratings of a split say about settings of any purpose."""

from __future__ import annotations

import numpy as np

from mfcli.config import Chosen
from mfcli.splits import Split

_HALF = 0.5  # at most this fraction of the ratings is relevant


def trained_rows(split: Split) -> tuple[int, int]:
    """Return the numbers of users and items that have training ratings."""
    # The vocabularies also have users and items of other parts.
    train = split.train
    return int((train.users.counts > 0).sum()), int((train.items.counts > 0).sum())


def relevant_rating(split: Split) -> Chosen:
    """Choose the smallest rating that at most half of the ratings reach, or else the largest."""
    values, counts = np.unique(split.train.rating, return_counts=True)
    reaching = counts[::-1].cumsum()[::-1] / counts.sum()  # fraction of ratings >= each value
    # The fractions descend, so the first that fits belongs to the smallest value. None fits if more
    # than half of the ratings have the largest value.
    place = np.append(np.flatnonzero(reaching <= _HALF), len(values) - 1)[0]
    reason = (
        f"Smallest rating that counts as relevant in rankings; {reaching[place]:.0%} of the"
        " training ratings reach it."
    )
    # float32 values such as 0.1 have tails as float64, which a settings file should not have.
    return Chosen("relevant", round(float(values[place]), 6), reason)
