"""Pairs that are rated more than once: the latest rating counts."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mfcli.data import Ratings, Vocabulary, ratings_from, read_ratings
from mfcli.data.duplicates import merge_duplicates
from mfcli.errors import DataError

FRAME = pd.DataFrame(
    {"user": [1, 2, 1, 3, 1], "item": [7, 7, 7, 7, 7], "rating": [5.0, 4, 1, 3, 2]}
)


def kept(ratings: Ratings) -> dict[int, float]:
    """Return the rating of each user, who has rated one item, in the order of the ratings."""
    users = ratings.users.ids.to_pylist()
    return {users[u]: float(r) for u, r in zip(ratings.user, ratings.rating, strict=True)}


@pytest.mark.parametrize(
    ("times", "rating", "duplicates", "conflicts"),
    [
        (None, 2, 2, 2),
        ([1, 1, 2, 1, 3], 2, 2, 0),
        ([3, 1, 2, 1, 1], 5, 2, 0),
        ([1, 1, 3, 1, 2], 1, 2, 0),
        ([9, 9, 9, 9, 9], 2, 2, 2),
        ([5, 1, 5, 1, 1], 1, 2, 1),
        (["2023-01-01", "2020-01-01", "2017-01-01", "2020-01-01", "2019-01-01"], 5, 2, 0),
    ],
)
def test_the_latest_rating_is_kept(
    tmp_path: Path, times: list[object] | None, rating: float, duplicates: int, conflicts: int
) -> None:
    frame = FRAME if times is None else FRAME.assign(ts=times)
    frame.to_csv(tmp_path / "r.csv", index=False)
    frame.to_parquet(tmp_path / "r.parquet")
    sources = [read_ratings(tmp_path / name) for name in ("r.csv", "r.parquet")]
    for ratings in (*sources, ratings_from(frame)):
        assert kept(ratings) == {1: rating, 2: 4, 3: 3}
        assert ratings.source is not None
        assert (ratings.source.duplicates, ratings.source.conflicts) == (duplicates, conflicts)
        assert ratings.users.counts.tolist() == [1, 1, 1]


def test_the_latest_rating_stays_in_its_place() -> None:
    ratings = ratings_from(FRAME.assign(ts=[3, 1, 2, 1, 1]))
    assert list(kept(ratings)) == [1, 2, 3]
    assert list(kept(ratings_from(FRAME))) == [2, 3, 1]
    ratings = ratings_from(FRAME.assign(ts=[3, 1, 2, 1, 1]), duplicates="mean")
    assert list(kept(ratings).items()) == [(1, pytest.approx(8 / 3)), (2, 4), (3, 3)]
    assert ratings.timestamp is not None
    assert ratings.timestamp.tolist() == [3, 1, 1]


def test_the_first_repetition_in_the_file_is_an_error() -> None:
    with pytest.raises(DataError, match="table: row 3: user 1 has rated item 7 before"):
        ratings_from(FRAME.assign(ts=[3, 1, 2, 1, 1]), duplicates="error")


def test_it_keeps_what_a_loop_keeps() -> None:
    rng = np.random.default_rng(0)
    for trial in range(200):
        n = int(rng.integers(1, 60))
        user, item = rng.integers(0, 4, (2, n)).astype(np.int32)
        times = rng.integers(0, 5, n) if trial % 2 else None
        values = rng.integers(1, 6, n).astype(np.float32)
        names = Vocabulary(pa.array(range(4)), np.zeros(4, np.int64))
        ratings = Ratings(user, item, values, times, names, names)
        best: dict[tuple[int, int], int] = {}
        for row, pair in enumerate(zip(user.tolist(), item.tolist(), strict=True)):
            if times is None or pair not in best or times[row] >= times[best[pair]]:
                best[pair] = row
        rows = sorted(best.values())
        merged = merge_duplicates(ratings, "keep-last", str)
        np.testing.assert_array_equal(merged.ratings.rating, values[rows])
        np.testing.assert_array_equal(merged.ratings.user, user[rows])
        assert merged.duplicates == n - len(rows)
        conflicts = [
            row
            for row, pair in enumerate(zip(user.tolist(), item.tolist(), strict=True))
            if values[row] != values[best[pair]]
            and (times is None or times[row] == times[best[pair]])
        ]
        assert merged.conflicts == len(conflicts)


@pytest.mark.parametrize("rule", ["mean", "sum"])
def test_ratings_that_all_count_do_not_conflict(rule: str) -> None:
    source = ratings_from(FRAME, duplicates=rule).source
    assert source is not None
    assert (source.duplicates, source.conflicts) == (2, 0)


def test_the_order_of_a_file_does_not_matter_if_times_differ() -> None:
    rows = list(FRAME.assign(ts=[3, 1, 2, 1, 1]).itertuples(index=False))
    found = [kept(ratings_from(pd.DataFrame(order))) for order in itertools.permutations(rows)]
    assert all(each == {1: 5, 2: 4, 3: 3} for each in found)
