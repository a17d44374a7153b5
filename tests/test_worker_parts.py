"""What workers read and keep: rows of files, and parts in memory or on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import planted_ratings

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.errors import ArtifactError
from mfcli.splits import Split, read_split, split, write_split
from mfcli.training.distributed.exchange import _divided_columns
from mfcli.training.distributed.parts import CountedRows, Limits, Part, Parts
from mfcli.training.distributed.sources import (
    RowsInMemory,
    RowSource,
    held_out_source,
    read_rows,
    training_source,
)
from mfcli.training.weights import WeightedRatings

NAMES = ("user", "item", "rating")


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    made, _ = planted_ratings()
    rng = np.random.default_rng(0)
    times, weight = rng.integers(0, 10**8, len(made)), rng.uniform(0.5, 2, len(made))
    return replace(made, timestamp=times, weight=weight.astype("f4"))


@pytest.fixture(params=["split", "fold-1", "fold-3"])
def in_files(request: pytest.FixtureRequest, ratings: Ratings, tmp_path: Path) -> Split:
    is_fold = request.param != "split"
    config = Config(strategy="k-fold", folds=3) if is_fold else Config()
    write_split(tmp_path / "split", split(ratings, replace(config, valid=0.1)))
    return read_split(tmp_path / "split" / request.param if is_fold else tmp_path / "split")


@pytest.mark.parametrize("half_life", [None, "90d"])
@pytest.mark.parametrize("joined", [(), ("valid",), ("valid", "test")])
def test_files_have_the_rows_of_a_split(
    in_files: Split, joined: tuple[str, ...], half_life: str | None
) -> None:
    made = in_files.union(*joined) if joined else in_files
    assert made.address == in_files.address
    config = Config(half_life=half_life)
    weighted = WeightedRatings(made.train, config)
    source = training_source(made, made.train, config)
    assert isinstance(source, RowSource)
    assert len(source) == len(made.train)
    assert source.types.keys() == {*NAMES, "weight"}
    pieces = [read_rows(*piece) for piece in source.pieces(70)]
    for name, kind in source.types.items():
        whole = np.concatenate([piece[name] for piece in pieces])
        assert whole.dtype == kind
        assert whole.tobytes() == np.concatenate([*weighted.pieces(name)]).tobytes()
    if made.held_out:
        _, part = made.held_out
        found = read_rows(*next(held_out_source(made, part).pieces(10**6)))  # type: ignore[misc]
        assert found.keys() == {*NAMES}
        assert all(np.array_equal(found[name], getattr(part, name)) for name in NAMES)


def test_other_ratings_come_from_memory(in_files: Split, ratings: Ratings) -> None:
    made, config = in_files, Config(half_life="90d")
    some = made.train.take(slice(50))
    for source in (
        training_source(made, some, config),
        training_source(split(ratings, Config()), ratings, config),
        training_source(replace(made, train=some), some, config),
    ):
        assert isinstance(source, RowsInMemory)
        weights = np.concatenate([*source.ratings.pieces("weight")])
        assert np.array_equal(np.concatenate([p["weight"] for p in source.pieces(20)]), weights)
    validated = held_out_source(made, some)
    assert validated.types.keys() == {*NAMES}
    assert next(iter(validated.pieces(20))).keys() == {*NAMES}  # type: ignore[union-attr]


def test_files_that_a_node_lacks_are_one_line(in_files: Split, tmp_path: Path) -> None:
    source = training_source(in_files, in_files.train, Config())
    assert isinstance(source, RowSource)
    with pytest.raises(ArtifactError, match=r"another split on a node .*; use a folder that all"):
        read_rows(replace(source, hash="0" * 64), 0, 1)
    missing = replace(source, address=str(tmp_path / "missing"))
    with pytest.raises(ArtifactError, match=r"cannot be read on every node .*s3://bucket/split$"):
        read_rows(missing, 0, 1)
    with pytest.raises(ArtifactError, match="user rows must be from 0 to 0"):
        read_rows(replace(source, shape=(1, 40)), 0, 50)


def test_rows_go_to_their_owners_in_order() -> None:
    rng = np.random.default_rng(0)
    columns = {"user": rng.integers(0, 9, 50, "i4"), "rating": np.arange(50, dtype="f4")}
    owners = np.array([0, 2, 2, 1, 1, 0, 5, 0, 300], np.uint16)
    for wanted in ([0, 1, 2, 5, 300], [2], [4, 300]):
        found = _divided_columns(owners, "user", wanted, columns)
        assert len(found) == max(len(wanted), 2)
        for worker, part in zip(wanted, found, strict=False):
            own = owners[columns["user"]] == worker
            assert np.array_equal(part["rating"], columns["rating"][own])
            assert np.array_equal(part["user"], columns["user"][own])


def part_of(ratings: Ratings, expected: int, room: int | None) -> Part:
    types = {name: kind for name, kind in ratings.types.items() if name != "timestamp"}
    sides = (CountedRows(side.counts, len(side)) for side in (ratings.users, ratings.items))
    return Part(types, *sides, expected, Limits(room=room))


@pytest.mark.parametrize(("expected", "room"), [(0, None), (5000, None), (5000, 100), (0, 4000)])
def test_a_part_is_read_as_ratings_are(ratings: Ratings, expected: int, room: int | None) -> None:
    part = part_of(ratings, expected, room)
    for start in range(0, len(ratings), 77):
        some = ratings.take(slice(start, start + 77))
        part.append({name: getattr(some, name) for name in part.types})
    assert part.is_on_disk == (room is not None)
    assert len(part) == len(ratings)
    for name in part.types:
        assert np.array_equal(np.concatenate([*part.pieces(name)]), getattr(ratings, name))
    for some in (slice(0), slice(1), slice(60, 200), slice(1000, 10**6)):
        taken, expect = part.take(some), ratings.take(some)
        for name in (*NAMES, "weight"):
            assert np.array_equal(getattr(taken, name), getattr(expect, name))
    assert np.array_equal(part.users.counts, ratings.users.counts)


def test_arrays_are_received_in_pieces() -> None:
    parts, array = Parts(Limits()), np.arange(60, dtype=np.float32).reshape(20, 3)
    for _ in range(2):  # a second array replaces the first
        for start in range(0, 20, 6):
            parts.receive("a", 20, start, array[start : start + 6])
        assert np.array_equal(parts.arrays["a"], array)
        assert parts.arrays["a"].ctypes.data % 64 == 0
        assert parts.arrays["a"].flags.writeable
        array = -array
    parts.begin("p", {"rating": np.dtype("f4")}, (4, 5), 0)
    assert len(parts.parts["p"].users) == 4
    parts.drop("p")
    parts.drop("a")
    assert not parts.parts
    assert not parts.arrays
