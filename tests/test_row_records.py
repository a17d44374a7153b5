"""Packed ratings of gibbs and als: exact, in order, and the same in memory and on disk."""

from __future__ import annotations

import contextlib
import gc
import weakref
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from planted import make_ratings, planted_split
from test_checkpoints import assert_same, stopped_after

from mfcli import resources
from mfcli.config import Config
from mfcli.data import column_sum, column_sums, counted_values, pairwise_sum, ratings, value_counts
from mfcli.splits import Split
from mfcli.storage import Scratch, scratch
from mfcli.training import fit
from mfcli.training.normal_equations import rated_pairs
from mfcli.training.normal_equations.rated_pairs import RatedPairs, unit_of
from mfcli.training.normal_equations.ratings_by_row import RatingsByRow, sort_ratings, sort_rows
from mfcli.training.normal_equations.records import (
    Form,
    Records,
    empty_records,
    other_of,
    packed,
    place,
    rating_of,
    root_of,
)
from mfcli.training.packing import Codes, mask_of, width_of
from mfcli.types import Floats

GIBBS = Config(k=3, epochs=4, optimizer="gibbs", prior="implicit", noise="user", keep_samples=2)
ALS = Config(k=3, epochs=3, optimizer="als", reg=0.02)


@numba.njit
def read(records: Any, first: int, others: Any, values: Any, roots: Any) -> None:
    for n in range(len(others)):
        others[n], values[n] = other_of(records, first + n), rating_of(records, first + n)
        roots[n] = root_of(records, first + n)


def unpacked(records: Records, first: int, count: int) -> list[np.ndarray]:
    """Return other rows, ratings and roots of some records."""
    out = np.empty(count, np.int64), np.empty(count, np.float32), np.empty(count, np.float32)
    read(records, first, *out)
    return list(out)


def values_of(kind: int, count: int, rng: np.random.Generator) -> Floats:
    """Return positive values, of which at most `kind` differ."""
    return (rng.integers(1, kind + 1, count) / 7).astype(np.float32)


@pytest.mark.parametrize("others", [200, 256, 257, 1 << 16, 1 << 24, (1 << 24) + 1, 1 << 31])
@pytest.mark.parametrize(("ratings", "roots"), [(1, 1000), (256, 256), (1000, 1), (1000, 1000)])
def test_records_hold_exact_values_in_any_width(others: int, ratings: int, roots: int) -> None:
    rng = np.random.default_rng(others)
    count = 3000
    rows = np.append(rng.integers(0, others, count - 1), others - 1).astype(np.int32)
    columns = [values_of(kind, count, rng) for kind in (ratings, roots)]
    codes = [Codes.of([column[:700], column[700:]]) for column in columns]
    form = Form.of(others, *(code.size for code in codes))
    assert form.size == width_of(others) + sum({1: 0, 256: 1}.get(n, 4) for n in (ratings, roots))
    data = packed(rows, *(c.encode(v) for c, v in zip(codes, columns, strict=True)), form)
    keys = rng.integers(0, 50, count).astype(np.int32)
    starts = np.append(0, np.cumsum(np.bincount(keys, minlength=50)))
    ordered, order = empty_records(count, form.size), np.argsort(keys, kind="stable")
    place(keys, data, form.size, starts[:-1].copy(), 0, ordered)
    for made, expected in ((data, slice(None)), (ordered, order)):
        records = Records(starts, 90, made, form, *(code.values for code in codes))
        found = unpacked(records, 90, count)
        for one, column in zip(found, (rows, *columns), strict=True):
            np.testing.assert_array_equal(one, column[expected])


def test_widths_are_the_least_that_hold_all_numbers() -> None:
    for count in (1, 2, 256, 257, 1 << 16, (1 << 16) + 1, 1 << 24, (1 << 24) + 1, 1 << 32):
        assert count - 1 <= mask_of(width_of(count))
        assert width_of(count) == 1 or count - 1 > mask_of(width_of(count) - 1)


def random_pairs(count: int, weighted: bool) -> RatedPairs:
    """Return the ratings of 70 users and 500 items; some have none."""
    rng = np.random.default_rng(count)
    user, item = rng.integers(0, 60, count) ** 2 % 70, rng.integers(0, 450, count)
    train = make_ratings(user, item, values_of(10, count, rng), users=70, items=500)
    if not weighted:
        return RatedPairs(train)
    train = replace(train, weight=rng.uniform(0.2, 3, count).astype(np.float32))
    return RatedPairs(train, weight=lambda piece: piece.weight)


@pytest.mark.parametrize("room", [None, 40, 3000])
@pytest.mark.parametrize("weighted", [False, True])
def test_ratings_are_sorted_by_row_in_their_order(
    room: int | None, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in pieces, and on disk in ranges of rows."""
    monkeypatch.setattr(rated_pairs, "_PIECE", 300)
    pairs = random_pairs(2000, weighted)
    with resources(room=room), spaces_for(room) as space:
        sides = sort_ratings(pairs, 4, threads=2, unit=0.5, space=space)
        train = pairs.train
        for side, rows, others in (
            (sides.users, train.user, train.item),
            (sides.items, train.item, train.user),
        ):
            order = np.argsort(rows, kind="stable")
            roots = np.ones(len(rows), np.float32) if train.weight is None else train.weight**0.5
            expected = others[order], (train.rating / np.float32(0.5))[order], roots[order]
            for found, column in zip(read_all(side, weighted), expected, strict=True):
                np.testing.assert_array_equal(found, column)
            np.testing.assert_array_equal(
                np.diff(side.starts), np.bincount(rows, None, len(side.counts))
            )
            np.testing.assert_array_equal(
                side.sizes, np.bincount(rows, train.weight, len(side.counts))
            )
            weights = (roots[order].astype(np.float64) ** 2).sum()
            assert side.weight == (weights if weighted else len(rows))


@pytest.mark.parametrize("room", [None, 40])
def test_ratings_of_some_rows_are_sorted_as_those_of_all(room: int | None) -> None:
    """Pieces of rows, some of them without ratings, have the records of all rows."""
    pairs, cuts = random_pairs(2000, weighted=True), [50, 51, 66, 70]
    here = sort_ratings(pairs, 4, threads=1).here
    assert here is not None
    (whole,) = here[0].read_ranges()
    own = replace(pairs, train=pairs.train.take(pairs.train.user >= cuts[0]))
    with resources(room=room), spaces_for(room) as space:
        some = sort_rows(own, 0, cuts, 4, threads=1, space=space)
        assert len(some) == len(own)
        empty = 0
        for first, end in pairwise(cuts):
            piece = some.between(first - cuts[0], end - cuts[0])
            assert piece.origin == first
            np.testing.assert_array_equal(piece.counts, here[0].counts[first:end])
            np.testing.assert_array_equal(piece.sizes, here[0].sizes[first:end])
            start = int(here[0].starts[first])
            expected = unpacked(whole.records, start, len(piece))
            for found, column in zip(read_all(piece, True), expected, strict=True):
                np.testing.assert_array_equal(found, column)
            empty += not len(piece)
    assert empty == 1


def read_all(side: RatingsByRow, weighted: bool) -> list[np.ndarray]:
    """Return all records of a side, after checking that tasks cover all rows once."""
    parts, rows = [], [0]
    for some in side.read_ranges():
        assert some.bounds[0] == rows[-1]
        rows += some.bounds[1:]
        start, stop = side.starts[some.bounds[0]], side.starts[some.bounds[-1]]
        records = some.records
        if not weighted:
            records = records._replace(roots=np.ones(1, np.float32))
        parts.append(unpacked(records, start, stop - start))
    assert rows == side.bounds
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def spaces_for(room: int | None) -> contextlib.AbstractContextManager[Scratch | None]:
    return contextlib.nullcontext() if room is None else scratch(0, "sorting")


def test_ranges_on_disk_are_small() -> None:
    with resources(room=4000), scratch(0, "sorting") as space:
        users = sort_ratings(random_pairs(5000, weighted=False), 4, threads=1, space=space).users
        sizes = [len(some.records.data) for some in users.read_ranges()]
        longest = users.counts.max() * users.form.size
    assert len(sizes) > 10
    assert max(sizes) <= max(4000 // 8, longest) + 8


@pytest.mark.parametrize("config", [GIBBS, ALS], ids=str)
def test_temporary_space_is_stated_and_ends_with_the_training(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the packed ratings, and the rows of all ratings while they are sorted."""
    stated, used, plans = list[int](), list[int](), list[Any]()
    spaces, reserve, split = weakref.WeakSet[Scratch](), Scratch.reserve, rated_split()

    def noted(space: Scratch, size: int) -> int:
        used.append(size)
        spaces.add(space)
        return reserve(space, size)

    monkeypatch.setattr(Scratch, "reserve", noted)
    with resources(room=4000, on_space=lambda need, folder: stated.append(need)):
        fit(split, config, on_epoch=lambda epoch: plans.append(len(spaces)), on_plan=plans.append)
    gc.collect()
    assert stated == [sum(used)]
    assert plans[0].reason.endswith(" on disk")
    assert plans[1:] == [1] * config.epochs
    assert not spaces


def rated_split(**columns: Any) -> Split:
    split = planted_split(Config(), users=90, items=70)
    steps = np.clip(np.round(2 * split.train.rating) / 2, 0.5, 5).astype(np.float32)
    train = replace(split.train, **({"rating": steps} | columns))
    return replace(split, train=train, scale=train.scale())


def weights_and_times(split: Split) -> dict[str, Any]:
    rng, count = np.random.default_rng(5), len(split.train)
    times = rng.integers(10**9, 10**9 + 10**7, count)
    return {"weight": rng.uniform(0.5, 2, count).astype(np.float32), "timestamp": times}


@pytest.mark.parametrize(
    "config",
    [
        GIBBS,
        replace(GIBBS, k=20, prior="shared", noise="shared", keep_samples=0),
        replace(GIBBS, unrated_weight=0.1, unrated_rating=1.0),
        replace(GIBBS, ensemble=2),
        replace(GIBBS, half_life="30d", rating_weight="linear"),
        ALS,
        replace(ALS, target="rated", unrated_weight=0.1, unrated_rating=0.2, biases=False),
        replace(ALS, rating_weight="log", alpha=2.0, ensemble=2),
        replace(ALS, half_life="30d"),
    ],
    ids=str,
)
def test_training_has_the_same_bits_in_memory_and_on_disk(config: Config) -> None:
    split = rated_split()
    if config.half_life:
        split = rated_split(**weights_and_times(split))
    whole = fit(split, config, threads=2)
    for room, threads in ((1000, 1), (10_000, 3)):
        with resources(room=room):
            assert_same(whole, fit(split, config, threads=threads))


@pytest.mark.parametrize("config", [GIBBS, ALS], ids=str)
def test_a_training_resumes_on_disk(config: Config, tmp_path: Path) -> None:
    split = rated_split()
    whole = fit(split, config)
    with resources(room=2000):
        checkpoint = stopped_after(split, config, 2, tmp_path / "run")
        assert_same(whole, fit(split, config, resume=checkpoint))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_unit_is_that_of_numpy(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit, also in pieces, because results depend on it."""
    monkeypatch.setattr(column_sums, "_PIECE", 1 << 13)
    monkeypatch.setattr(ratings, "_PIECE", 1 << 13)
    pairs = random_pairs(100_001, weighted)
    rating, weight = pairs.train.rating, pairs.train.weight
    expected = float(rating.std(dtype=np.float64))
    if weight is not None:
        size = weight.sum(dtype=np.float64)
        mean = np.multiply(rating, weight, dtype=np.float64).sum() / size
        squares = np.square(rating.astype(np.float64) - mean)
        expected = float(((squares * weight).sum() / size) ** 0.5)
    assert unit_of(pairs) == expected


def test_sums_in_pieces_have_the_bits_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_sums, "_PIECE", 1000)
    rng = np.random.default_rng(0)
    for size in (1, 999, 8193, 100_003):
        values = rng.normal(size=size)
        assert pairwise_sum(lambda some, values=values: values[some], size) == values.sum()
        single = values.astype(np.float32)
        pieces = [single[at : at + 8192] for at in range(0, size, 8192)]
        assert column_sum(pieces) == single.sum(dtype=np.float64)


def test_values_in_pieces_are_counted_as_in_the_whole() -> None:
    column = values_of(300, 5000, np.random.default_rng(0))
    whole, parts = value_counts(column), counted_values([column[:9], column[9:3000], column[3000:]])
    assert whole is not None
    assert parts is not None
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)
    many = np.arange(1600, dtype=np.float32)
    assert counted_values([many[:800], many[800:]]) is None
    assert counted_values([np.array([1, -0.0], np.float32)]) is None
