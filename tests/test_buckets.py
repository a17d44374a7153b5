"""Ratings in buckets: the same for any number of buckets, in memory and on disk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted import long_tailed

from mfcli.data import Buckets, Ratings, buckets as buckets_module, scale_of, selections


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    ratings = long_tailed(3000, users=70, items=40)
    return replace(ratings, timestamp=np.arange(3000)[::-1])


@pytest.fixture(params=[(1, False), (2, False), (7, False), (7, True), (100, True)])
def buckets(
    request: pytest.FixtureRequest, ratings: Ratings, monkeypatch: pytest.MonkeyPatch
) -> Buckets:
    """Buckets of the ratings: some number, used by compiled code or not."""
    count, compiled = request.param
    if compiled:
        monkeypatch.setattr(buckets_module, "MANY", 1)
        monkeypatch.setattr(selections, "MANY", 1)
    monkeypatch.setattr(buckets_module, "_WINDOW", 128)
    monkeypatch.setattr(buckets_module, "_LEAST", 3)
    return Buckets.of(ratings, count)


def columns_of(buckets: Buckets, part: int) -> dict[str, np.ndarray]:
    """Return the columns of a part."""
    return {
        name: np.concatenate([piece.copy() for piece in buckets.pieces(name, part)])
        for name in buckets.types
    }


def test_a_bucket_holds_all_ratings_of_its_users_in_order(
    buckets: Buckets, ratings: Ratings
) -> None:
    bucket_of_user = np.full(len(ratings.users), -1)
    total = 0
    for bucket in range(len(buckets)):
        part, positions = buckets.ratings(bucket), buckets.positions(bucket)
        assert (np.diff(positions.astype(np.int64)) > 0).all()
        for name in ratings.types:
            assert np.array_equal(getattr(part, name), getattr(ratings, name)[positions])
        assert (bucket_of_user[part.user] == -1).all()
        bucket_of_user[part.user] = bucket
        total += len(part)
        assert part.users is buckets.users
    assert total == len(ratings) == buckets.rows


def test_pieces_are_in_the_order_of_the_files_for_any_number_of_buckets(
    buckets: Buckets, ratings: Ratings
) -> None:
    rng = np.random.default_rng(0)
    chosen = rng.choice(np.array([0, 1, 2, 255], np.uint8), len(ratings))
    for bucket in range(len(buckets)):
        buckets.assign(bucket, chosen[buckets.positions(bucket)])
        assert np.array_equal(buckets.parts(bucket), chosen[buckets.positions(bucket)])
    for part in (0, 1, 2, 255, 9):
        mask = chosen == part
        assert buckets.size(part) == mask.sum()
        if mask.any():
            for name, column in columns_of(buckets, part).items():
                assert np.array_equal(column, getattr(ratings, name)[mask])


def test_all_ratings_are_in_part_0_at_first(buckets: Buckets, ratings: Ratings) -> None:
    assert buckets.size(0) == len(ratings)
    for name, column in columns_of(buckets, 0).items():
        assert np.array_equal(column, getattr(ratings, name))


@pytest.mark.parametrize("values", [[1, 2, 3, 4.5], np.arange(5000) / 7, [2.0]])
def test_the_scale_does_not_depend_on_pieces(values: object) -> None:
    rating = np.random.default_rng(1).permutation(np.tile(np.float32(values), 3))
    whole = scale_of([rating])
    for size in (1, 100, 4000):
        pieces = [rating[n : n + size] for n in range(0, len(rating), size)]
        assert scale_of([rating[:0], *pieces]) == whole
