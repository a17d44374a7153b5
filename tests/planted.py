"""Generated ratings, some of them from a known model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from mfcli.config import Config
from mfcli.data import Ratings, Vocabulary
from mfcli.splits import Split, split


def make_ratings(
    user: np.ndarray, item: np.ndarray, rating: np.ndarray, *, users: int, items: int
) -> Ratings:
    """Return ratings of users 0, 1, ... and items 0, 1, ..."""
    user, item = user.astype(np.int32), item.astype(np.int32)
    return Ratings(
        user,
        item,
        rating.astype(np.float32),
        None,
        Vocabulary(pa.array(np.arange(users)), np.bincount(user, minlength=users)),
        Vocabulary(pa.array(np.arange(items)), np.bincount(item, minlength=items)),
    )


def planted_ratings(
    users: int = 60, items: int = 40, k: int = 3, share: float = 0.5, seed: int = 1
) -> tuple[Ratings, np.ndarray]:
    """Return the ratings of a known model for random pairs, and for all pairs, without noise."""
    rng = np.random.default_rng(seed)
    truth = 3 + rng.normal(0, 0.5, (users, 1)) + rng.normal(0, 0.5, (1, items))
    truth = truth + rng.normal(0, 0.6, (users, k)) @ rng.normal(0, 0.6, (k, items))
    user, item = np.nonzero(rng.random((users, items)) < share)
    rating = truth[user, item]
    return make_ratings(user, item, rating, users=users, items=items), truth


def long_tailed(n: int, users: int, items: int, seed: int = 0) -> Ratings:
    """Return ratings 0, 1, ..., most of which belong to few users and few items."""
    rng = np.random.default_rng(seed)
    user = (users * rng.random(n) ** 2).astype(int)
    item = (items * rng.random(n) ** 3).astype(int)
    return make_ratings(user, item, np.arange(n), users=users, items=items)


def planted_split(config: Config, **shape: float) -> Split:
    """Split the ratings of a known model; see `planted_ratings`."""
    ratings, _ = planted_ratings(**shape)  # type: ignore[arg-type]
    return split(ratings, config)


def split_with_new_rows(config: Config, users: int = 5, items: int = 4) -> Split:
    """Return a split of 70 users and 50 items, of which the first ones have no training ratings."""
    rng = np.random.default_rng(4)
    user, item = np.nonzero(rng.random((70, 50)) < 0.4)
    rating = np.clip(np.round(3 + 0.3 * (user % 5) - 0.2 * (item % 4) + rng.normal(0, 0.7)), 1, 5)
    made = split(make_ratings(user, item, rating, users=70, items=50), config)
    train = made.train.take((made.train.user >= users) & (made.train.item >= items))
    counted = train.users.counting(train.user), train.items.counting(train.item)
    return replace(made, train=train.over(*counted))
