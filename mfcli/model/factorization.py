"""The factorization itself, rating(u, i) = mu + b_u + b_i + p_u . q_i, in rows of its tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Vocabulary
from mfcli.model.keras_file import TABLES

_CHUNK = 1 << 16  # ratings predicted at a time: two gathered factor matrices stay in cache


@dataclass(frozen=True)
class Factorization:
    """A biased matrix factorization with the ids it knows.

    Attributes
    ----------
    mu : float
        Mean of the training ratings.
    user_factors, item_factors : float32 arrays, shapes (n_users, k) and (n_items, k)
    user_biases, item_biases : float32 arrays, shapes (n_users,) and (n_items,)
    users, items : Vocabulary
    """

    mu: float
    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]
    user_biases: NDArray[np.float32]
    item_biases: NDArray[np.float32]
    users: Vocabulary
    items: Vocabulary

    @property
    def k(self) -> int:
        return int(self.user_factors.shape[1])

    @property
    def tables(self) -> dict[str, NDArray[np.float32]]:
        """The four tables by their names in the Keras file."""
        return {name: getattr(self, name) for name in TABLES}

    def with_tables(self, tables: dict[str, NDArray[np.float32]]) -> Self:
        return replace(self, **tables)  # type: ignore[arg-type]

    def predict_rows(self, user: NDArray[np.int32], item: NDArray[np.int32]) -> NDArray[np.float32]:
        """Predict ratings, not clipped.

        Parameters
        ----------
        user, item : int32 arrays, shape (n,)
            Rows of the tables. What is unknown (-1) adds nothing: such a prediction is mu plus the
            bias of the other side.

        Returns
        -------
        float32 array, shape (n,)
        """
        ratings = np.empty(len(user), dtype=np.float32)
        for chunk in _chunks(len(user)):
            ratings[chunk] = self._predict(user[chunk], item[chunk])
        return ratings

    def _predict(self, user: NDArray[np.int32], item: NDArray[np.int32]) -> NDArray[np.float32]:
        p, q = self.user_factors[user], self.item_factors[item]  # (b, k)
        interaction = np.einsum("bk,bk->b", p, q)
        known_user, known_item = user >= 0, item >= 0
        rating = np.where(known_user & known_item, interaction, np.float32(0))
        rating += np.where(known_user, self.user_biases[user], np.float32(0))
        rating += np.where(known_item, self.item_biases[item], np.float32(0))
        return rating + np.float32(self.mu)


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, n, _CHUNK))
