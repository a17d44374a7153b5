"""Ratings that an update takes in: most of known users and items, some of new ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mfcli.splits import read_split

COUNT = 10_000
NEW_IDS = 50  # users and items that are new, with 10 ratings each


def write_new_ratings(split: Path, path: Path) -> None:
    """Write 10,000 ratings: 500 of new users, 500 of new items, and the others of known pairs."""
    train, rng = read_split(split).train, np.random.default_rng(0)
    user, item = (
        np.array(side.ids.to_pylist(), np.int64)[rng.integers(len(side), size=COUNT)]
        for side in (train.users, train.items)
    )
    few = np.arange(10 * NEW_IDS)
    user[few] = user.max() + 1_000_000 + few % NEW_IDS
    item[few + len(few)] = item.max() + 1_000_000 + few % NEW_IDS
    rating = train.rating[rng.integers(len(train), size=COUNT)]
    latest = 0 if train.timestamp is None else int(train.timestamp.max())
    with path.open("w", encoding="utf-8") as file:
        file.write("userId,movieId,rating,timestamp\n")
        for n, (u, i, r) in enumerate(zip(user, item, rating, strict=True), start=1):
            file.write(f"{u},{i},{r:g},{latest + n}\n")
