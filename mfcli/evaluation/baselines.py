"""Baselines that a model must beat: predictions and rankings without factors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mfcli.data import Ratings
from mfcli.types import Counts, Doubles, Floats, Progress, Rows

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
    def fit(
        cls,
        train: Ratings,
        damping: float,
        on_progress: Progress = lambda done, total: None,
    ) -> Baseline:
        """Fit the biases to training ratings, in two passes over them."""
        mu, passes = train.mean, _Passes(train, on_progress)
        # b_i from r - mu, then b_u from r - mu - b_i: what the biases of items leave
        item_sums, user_sums = (np.zeros(len(side)) for side in (train.items, train.users))
        for _, item, rating in passes.chunks():
            np.add.at(item_sums, item, rating.astype(np.float64) - mu)
        item_biases = _damped(item_sums, train.items.counts, damping)
        for user, item, rating in passes.chunks():
            np.add.at(user_sums, user, rating.astype(np.float64) - mu - item_biases[item])
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


class _Passes:
    """Two passes over ratings that report how much of both is done."""

    def __init__(self, train: Ratings, on_progress: Progress) -> None:
        self._train, self._on_progress, self._done = train, on_progress, 0
        on_progress(0, 2 * len(train))

    def chunks(self) -> Iterator[tuple[Rows, Rows, Floats]]:
        """Yield users, items and ratings."""
        pieces = (self._train.pieces(name) for name in ("user", "item", "rating"))
        for user, item, rating in zip(*pieces, strict=True):
            for start in range(0, len(rating), _CHUNK):
                part = slice(start, start + _CHUNK)
                yield user[part], item[part], rating[part]
            self._done += len(rating)
            self._on_progress(self._done, 2 * len(self._train))
