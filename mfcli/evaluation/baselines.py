"""What a model has to beat: predictions and rankings that need no factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Ratings


@dataclass(frozen=True)
class Baseline:
    """Damped user and item biases fitted to training ratings, without factors.

    With d ratings at the mean added to each,

        b_i = sum over the item's ratings of (r - mu) / (count + d)
        b_u = sum over the user's ratings of (r - mu - b_i) / (count + d)

    (Y. Koren, "Factor in the neighbors", ACM TKDD 4(1), 2010, section 2.1.)
    """

    mu: float
    user_biases: NDArray[np.float64]
    item_biases: NDArray[np.float64]

    @classmethod
    def fit(cls, train: Ratings, damping: float) -> Baseline:
        mu = train.mean
        residual = train.rating.astype(np.float64) - mu
        item_biases = _damped(train.item, residual, train.items.counts, damping)
        residual -= item_biases[train.item]
        user_biases = _damped(train.user, residual, train.users.counts, damping)
        return cls(mu, user_biases, item_biases)

    def predict(self, user: NDArray[np.int32], item: NDArray[np.int32]) -> NDArray[np.float32]:
        """Predict ratings by rows, shape (n,); an unknown row (-1) has no bias."""
        biases = np.where(user >= 0, self.user_biases[user], 0)
        biases += np.where(item >= 0, self.item_biases[item], 0)
        return (self.mu + biases).astype(np.float32)


def _damped(
    rows: NDArray[np.int32],
    residual: NDArray[np.float64],
    counts: NDArray[np.int64],
    damping: float,
) -> NDArray[np.float64]:
    sums = np.bincount(rows, weights=residual, minlength=len(counts))
    biases: NDArray[np.float64] = sums / np.maximum(counts + damping, np.finfo(np.float64).tiny)
    return biases
