"""Baselines that a model must beat: predictions and rankings without factors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mfcli.data import Ratings
from mfcli.types import Counts, Doubles, Floats, Rows

_CHUNK = 1 << 16  # ratings at a time, so that their values stay in the cache


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
        # b_i from r - mu, then b_u from r - mu - b_i: what the biases of items leave
        item_sums, user_sums = (np.zeros(len(side)) for side in (train.items, train.users))
        for part in _chunks(len(train)):
            np.add.at(item_sums, train.item[part], train.rating[part].astype(np.float64) - mu)
        item_biases = _damped(item_sums, train.items.counts, damping)
        for part in _chunks(len(train)):
            left = train.rating[part].astype(np.float64) - mu - item_biases[train.item[part]]
            np.add.at(user_sums, train.user[part], left)
        return cls(mu, _damped(user_sums, train.users.counts, damping), item_biases)

    def predict(self, user: Rows, item: Rows) -> Floats:
        """Predict ratings by rows, shape (n,); an unknown row (-1) has no bias."""
        # -1 reads the last bias, which `where` drops again.
        biases = np.where(user >= 0, self.user_biases[user], 0)
        biases += np.where(item >= 0, self.item_biases[item], 0)
        return (self.mu + biases).astype(np.float32)


def _damped(sums: Doubles, counts: Counts, damping: float) -> Doubles:
    # Without damping, rows without ratings would divide 0 by 0; their bias is 0.
    biases: Doubles = sums / np.maximum(counts + damping, np.finfo(np.float64).tiny)
    return biases


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, n, _CHUNK))
