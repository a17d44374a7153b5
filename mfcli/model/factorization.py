"""The factorization, rating(u, i) = mu + b_u + b_i + p_u . q_i, by rows of its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from mfcli.data import Vocabulary
from mfcli.types import Floats, Rows

TABLES = ("user_factors", "item_factors", "user_biases", "item_biases")
"""Names of the four tables, which are also the names of the Embedding layers, in Keras's order."""

_CHUNK = 1 << 13  # ratings predicted at a time, so that both gathered matrices stay in cache


@dataclass(frozen=True)
class Factorization:
    """A biased matrix factorization with the ids that it knows.

    Attributes
    ----------
    mu : float
        Mean of the training ratings, or the score of unrated pairs.
    user_factors, item_factors : float32 arrays, shapes (n_users, k) and (n_items, k)
    user_biases, item_biases : float32 arrays, shapes (n_users,) and (n_items,)
    users, items : Vocabulary
        With the columns `bias` and `factors`; any other ones are replaced.
    """

    mu: float
    user_factors: Floats
    item_factors: Floats
    user_biases: Floats
    item_biases: Floats
    users: Vocabulary
    items: Vocabulary

    def __post_init__(self) -> None:
        sides = {
            "users": self.users.with_columns(bias=self.user_biases, factors=self.user_factors),
            "items": self.items.with_columns(bias=self.item_biases, factors=self.item_factors),
        }
        for name, vocabulary in sides.items():
            # A frozen class has no other way to set an attribute.
            object.__setattr__(self, name, vocabulary)

    @property
    def k(self) -> int:
        return int(self.user_factors.shape[1])

    @property
    def tables(self) -> dict[str, Floats]:
        """The four tables by name."""
        return {name: getattr(self, name) for name in TABLES}

    def side(self, name: str) -> Vocabulary:
        """Return the users for "user", and the items for "item"."""
        return {"user": self.users, "item": self.items}[name]

    def with_tables(self, tables: Mapping[str, Floats]) -> Self:
        """Return a copy with these tables in place of the present ones."""
        changes: dict[str, Any] = dict(tables)
        return replace(self, **changes)

    def predict_rows(self, user: Rows, item: Rows) -> Floats:
        """Predict ratings without clipping.

        Parameters
        ----------
        user, item : int32 arrays, shape (n,)
            Rows of the tables; -1 for an unknown user or item, which contributes nothing: the
            prediction is then mu plus the bias of the other side.

        Returns
        -------
        float32 array, shape (n,)
        """
        ratings = np.empty(len(user), dtype=np.float32)
        for chunk in _chunks(len(user)):
            ratings[chunk] = self._predict(user[chunk], item[chunk])
        return ratings

    def _predict(self, user: Rows, item: Rows) -> Floats:
        # `take` is several times as fast as an index.
        p, q = self.user_factors.take(user, axis=0), self.item_factors.take(item, axis=0)  # (b, k)
        rating: Floats = np.einsum("bk,bk->b", p, q)
        user_bias, item_bias = self.user_biases.take(user), self.item_biases.take(item)
        # Row -1 reads the last row of a table; `where` then drops what it contributes.
        known_user, known_item = user >= 0, item >= 0
        if not (known_user.all() and known_item.all()):
            rating = np.where(known_user & known_item, rating, np.float32(0))
            user_bias = np.where(known_user, user_bias, np.float32(0))
            item_bias = np.where(known_item, item_bias, np.float32(0))
        return rating + user_bias + item_bias + np.float32(self.mu)


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, n, _CHUNK))
