"""A user and an item rated more than once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data.ratings import Ratings
from mfcli.errors import DataError


def merge_duplicates(
    ratings: Ratings, rule: str, place: Callable[[int], str]
) -> tuple[Ratings, int]:
    """Merge ratings of the same user and item.

    Parameters
    ----------
    ratings : Ratings
    rule : {"keep-last", "mean", "error"}
        The last one stays in its place, with its own value or with the mean of all.
    place : callable
        Names the file and line of a rating by its position, from 0.

    Returns
    -------
    ratings : Ratings
    merged : int
        Ratings that went.

    Raises
    ------
    DataError
        If the rule is "error" and there are any.
    """
    pair = ratings.user.astype(np.int64)
    pair *= len(ratings.items)
    pair += ratings.item
    if not _repeats(pair):
        return ratings, 0
    return _merged(ratings, pair, rule, place)


def _repeats(pair: NDArray[np.int64]) -> bool:
    """Whether any value occurs twice; sorting a copy takes less memory than hashing."""
    ordered = np.sort(pair)
    return bool((ordered[1:] == ordered[:-1]).any())


def _merged(
    ratings: Ratings, pair: NDArray[np.int64], rule: str, place: Callable[[int], str]
) -> tuple[Ratings, int]:
    import pandas as pd

    pairs: Any = pd.Series(pair)
    if rule == "error":
        raise _error(ratings, int(np.argmax(pairs.duplicated().to_numpy())), place)
    if rule == "mean":
        values = pd.Series(ratings.rating.astype(np.float64)).groupby(pairs, sort=False)
        ratings = replace(ratings, rating=values.transform("mean").to_numpy(np.float32))
    twice = pairs.duplicated(keep="last").to_numpy()
    kept = ratings.take(~twice)
    kept = kept.over(kept.users.counting(kept.user), kept.items.counting(kept.item))
    return kept, int(twice.sum())


def _error(ratings: Ratings, row: int, place: Callable[[int], str]) -> DataError:
    user = ratings.users.ids[ratings.user[row]].as_py()
    item = ratings.items.ids[ratings.item[row]].as_py()
    return DataError(
        f"{place(row)}: user {user!r} has rated item {item!r} before; choose with --duplicates"
    )
