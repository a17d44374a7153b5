"""Baselines that a model must beat: predictions and rankings without factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mfcli.data import Ratings
from mfcli.types import Counts, Doubles, Floats, Rows


@dataclass(frozen=True)
class Baseline:
    """Damped user and item biases fitted to training ratings.

    With d more ratings, equal to the mean mu, for each user and item:

        b_i = sum over the item's ratings of (r - mu) / (count + d)
        b_u = sum over the user's ratings of (r - mu - b_i) / (count + d)

    (Y. Koren, "Factor in the neighbors", ACM TKDD 4(1), 2010, section 2.1.)

    Attributes
    ----------
    mu : float
    user_biases, item_biases : float64 arrays, shapes (n_users,) and (n_items,)
        In rating units.
    """

    mu: float
    user_biases: Doubles
    item_biases: Doubles

    @classmethod
    def fit(cls, train: Ratings, damping: float) -> Baseline:
        """Fit the biases to training ratings."""
        mu = train.mean
        # b_i from r - mu, then b_u from r - mu - b_i
        residual = train.rating.astype(np.float64) - mu
        item_biases = _damped(train.item, residual, train.items.counts, damping)
        # The biases of users are fitted to what the biases of items leave.
        residual -= item_biases[train.item]
        user_biases = _damped(train.user, residual, train.users.counts, damping)
        return cls(mu, user_biases, item_biases)

    def predict(self, user: Rows, item: Rows) -> Floats:
        """Predict ratings by rows, shape (n,); an unknown row (-1) has no bias."""
        # -1 reads the last bias, which `where` drops again.
        biases = np.where(user >= 0, self.user_biases[user], 0)
        biases += np.where(item >= 0, self.item_biases[item], 0)
        return (self.mu + biases).astype(np.float32)


def _damped(rows: Rows, residual: Doubles, counts: Counts, damping: float) -> Doubles:
    sums = np.bincount(rows, weights=residual, minlength=len(counts))
    # Without damping, rows without ratings would divide 0 by 0; their bias is 0.
    biases: Doubles = sums / np.maximum(counts + damping, np.finfo(np.float64).tiny)
    return biases
