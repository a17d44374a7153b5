"""The law of each strategy, for ratings of any shape; k-fold splits."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from planted import make_ratings

import mfcli
from mfcli.config import SETTINGS, Config
from mfcli.data import Buckets, Ratings
from mfcli.errors import ArtifactError, ConfigError, DataError
from mfcli.splits import (
    Division,
    Folds,
    Split,
    divide,
    folds_of,
    read_folds,
    read_split,
    split,
    split_given,
    write_split,
)
from mfcli.splits.records import FoldRecord
from mfcli.splits.strategies import STRATEGIES
from mfcli.storage import write_record
from mfcli.storage.records import sealed_text


@st.composite
def some_ratings(draw: st.DrawFn) -> Ratings:
    """Distinct pairs of a user and an item, at times that repeat."""
    users, items = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    pairs = draw(
        st.lists(
            st.tuples(st.integers(0, users - 1), st.integers(0, items - 1)),
            min_size=4,
            max_size=80,
            unique=True,
        )
    )
    times = draw(st.lists(st.integers(0, 20), min_size=len(pairs), max_size=len(pairs)))
    user, item = np.array(pairs).T
    made = make_ratings(user, item, np.arange(len(pairs)), users=users, items=items)
    return replace(made, timestamp=np.array(times))


def made_or_refused(ratings: Ratings, config: Config) -> Split:
    try:
        return split(ratings, config)
    except DataError as error:
        assert "leaves no" in str(error)
        assume(False)
        raise


def ids(part: Ratings) -> set[float]:
    """Ratings are numbered, so that their value names them."""
    return set(part.rating.tolist())


def test_every_choice_of_the_setting_is_a_strategy() -> None:
    assert {*SETTINGS["strategy"].rule.choices} == {*STRATEGIES, "k-fold"}


SHARES = st.floats(0.1, 0.4)


@settings(max_examples=200, deadline=None)
@given(some_ratings(), st.sampled_from(sorted(STRATEGIES)), SHARES, SHARES, st.integers(0, 99))
def test_parts_are_disjoint_complete_and_seeded(
    ratings: Ratings, name: str, test: float, valid: float, seed: int
) -> None:
    config = Config(strategy=name, test=test, valid=valid, seed=seed)
    made = made_or_refused(ratings, config)
    sets = [ids(part) for part in made.parts.values()]
    assert set.union(*sets) == ids(ratings)
    assert sum(map(len, sets)) == len(ratings)
    again = split(ratings, config)
    assert [ids(part) for part in again.parts.values()] == sets


@settings(max_examples=100, deadline=None)
@given(some_ratings(), SHARES)
def test_per_user_holds_out_a_fraction_of_each(ratings: Ratings, share: float) -> None:
    made = made_or_refused(ratings, Config(strategy="per-user", test=share))
    held = Counter(made.test.user.tolist())
    for user, count in Counter(ratings.user.tolist()).items():
        assert held[user] == min(round(share * count), count - 1)


@settings(max_examples=100, deadline=None)
@given(some_ratings())
def test_leave_last_out_holds_out_the_last(ratings: Ratings) -> None:
    made = made_or_refused(ratings, Config(strategy="leave-last-out"))
    own = defaultdict(list)
    for n, user in enumerate(ratings.user.tolist()):
        own[user].append((int(ratings.timestamp[n]), n))  # type: ignore[index]
    last = {max(times)[1] for times in own.values() if len(times) > 1}
    assert ids(made.test) == last


@settings(max_examples=100, deadline=None)
@given(some_ratings(), SHARES, st.booleans())
def test_temporal_cuts_at_a_time(ratings: Ratings, share: float, valid: bool) -> None:
    config = Config(strategy="temporal", test=share, valid=0.2 if valid else 0.0)
    made = made_or_refused(ratings, config)
    parts = [made.train, made.valid, made.test] if made.valid else [made.train, made.test]
    for early, late in itertools.pairwise(parts):
        assert early.timestamp.max() < late.timestamp.min()  # type: ignore[union-attr]
    assert len(made.test) <= round(share * len(ratings))


def test_temporal_can_cut_at_a_date() -> None:
    day = 86400
    made = make_ratings(np.zeros(4), np.arange(4), np.arange(4), users=1, items=4)
    ratings = replace(made, timestamp=np.array([0, day - 1, day, 5 * day]))
    config = Config(strategy="temporal", cut="1970-01-02")
    assert ids(split(ratings, config).test) == {2.0, 3.0}
    with pytest.raises(ConfigError, match="cut must be a date such as 2015-01-01, got 'soon'"):
        Config(strategy="temporal", cut="soon")
    with pytest.raises(ConfigError, match="cut is not used with strategy='random'"):
        Config(cut="1970-01-02")
    with pytest.raises(DataError, match="no test rating of 4; choose an earlier cut, and check"):
        split(ratings, Config(strategy="temporal", cut="1999-01-01"))


@settings(max_examples=100, deadline=None)
@given(some_ratings(), SHARES, st.booleans())
def test_cold_users_are_not_trained_on(ratings: Ratings, share: float, valid: bool) -> None:
    config = Config(strategy="cold-user", test=share, valid=0.3 if valid else 0.0)
    made = made_or_refused(ratings, config)
    users = [set(part.user.tolist()) for part in made.parts.values()]
    assert sum(map(len, users)) == len(set.union(*users))
    everyone = len(set(ratings.user.tolist()))
    assert len(set(made.test.user.tolist())) == round(share * everyone)


@pytest.mark.parametrize("name", ["leave-last-out", "temporal"])
def test_times_are_needed(name: str) -> None:
    ratings = make_ratings(np.arange(4), np.arange(4), np.arange(4), users=4, items=4)
    with pytest.raises(DataError, match="have no timestamps to split by"):
        split(ratings, Config(strategy=name))


@settings(max_examples=150, deadline=None)
@given(some_ratings(), st.integers(1, 4), st.integers(2, 4), st.integers(1, 4))
def test_a_core_is_the_largest_stable_set(
    ratings: Ratings, min_user: int, min_item: int, count: int
) -> None:
    config = Config(test=0, min_user=min_user, min_item=min_item)
    rows = set(range(len(ratings)))
    while True:  # the simple way
        users = Counter(ratings.user[n] for n in rows)
        items = Counter(ratings.item[n] for n in rows)
        gone = {
            n
            for n in rows
            if users[ratings.user[n]] < min_user or items[ratings.item[n]] < min_item
        }
        if not gone:
            break
        rows -= gone
    if not rows:
        with pytest.raises(DataError, match="lower min_user or min_item"):
            divide(Buckets.of(ratings, count), config)
        return
    division = divide(Buckets.of(ratings, count), config)
    assert isinstance(division, Division)
    kept = division.split().train
    assert ids(kept) == {float(n) for n in rows}
    assert kept.users.counts.min() >= min_user
    assert kept.items.counts.min() >= min_item
    raw = [ratings.users.ids[int(u)].as_py() for u in ratings.user[sorted(rows)]]
    assert [kept.users.ids[int(u)].as_py() for u in kept.user] == raw


def test_filters_record_what_they_removed() -> None:
    user, item = np.array([0, 0, 0, 1, 1, 1, 2]), np.array([0, 1, 2, 0, 1, 2, 3])
    ratings = make_ratings(user, item, np.arange(7), users=3, items=4)
    record = split(ratings, Config(min_user=2)).strategy
    assert record["removed"] == {"users": 1, "items": 1, "ratings": 1}


def test_a_published_split_is_kept() -> None:
    train = make_ratings(np.arange(20) % 4, np.arange(20) // 4, np.arange(20), users=4, items=5)
    test = make_ratings(np.array([3, 9]), np.array([9, 0]), np.array([50, 51]), users=10, items=10)
    made = split_given(train, test, Config(valid=0.1))
    assert ids(made.test) == {50.0, 51.0}
    assert ids(made.train) | ids(made.valid) == set(map(float, range(20)))  # type: ignore[arg-type]
    assert len(made.valid) == round(0.1 * 22)  # type: ignore[arg-type]
    names = [made.test.users.ids[int(u)].as_py() for u in made.test.user]
    assert names == [3, 9]
    assert made.unseen(made.test) == 2


def test_a_rating_in_both_parts_is_refused() -> None:
    train = make_ratings(np.arange(5), np.arange(5), np.arange(5), users=5, items=5)
    with pytest.raises(DataError, match="1 pairs of a user and an item are in train and in test"):
        split_given(train, train.take(np.array([2])), Config())


@pytest.mark.parametrize("valid", [0.0, 0.1])
def test_folds_share_one_copy_and_test_every_rating_once(tmp_path: Path, valid: float) -> None:
    rng = np.random.default_rng(0)
    pairs = rng.choice(30 * 20, 203, replace=False)
    ratings = make_ratings(pairs // 20, pairs % 20, np.arange(203), users=30, items=20)
    write_split(
        tmp_path / "split",
        split(ratings, Config(strategy="k-fold", folds=4, valid=valid, seed=3)),
    )
    arrow = sorted(path.name for path in (tmp_path / "split").rglob("*.arrow"))
    assert arrow == ["items.arrow", "ratings.arrow", "users.arrow"]
    folds = [read_split(folder) for folder in folds_of(tmp_path / "split")]
    assert len(folds) == 4
    assert len({fold.hash for fold in folds}) == 4
    tested = [ids(fold.test) for fold in folds]
    assert set.union(*tested) == ids(ratings)
    assert sum(map(len, tested)) == 203
    assert max(map(len, tested)) - min(map(len, tested)) <= 1
    for fold in folds:
        sets = [ids(part) for part in fold.parts.values()]
        assert set.union(*sets) == ids(ratings)
        assert sum(map(len, sets)) == 203
        assert (fold.valid is not None) == bool(valid)
        counts = np.bincount(fold.train.user, minlength=30)
        assert fold.train.users.counts.tolist() == counts.tolist()
    with pytest.raises(ArtifactError, match="holds folds; name one of them"):
        read_split(tmp_path / "split")


LIES = [
    ({"ends": [0, 10, 20]}, "split.json: has 2 folds, but strategy.folds is 4; split again"),
    ({"ends": [0, 5, 5, 15, 20]}, "split.json: is damaged (its folds are not ranges); split again"),
    (
        {"ends": [1, 5, 10, 15, 20]},
        "split.json: is damaged (its folds are not ranges); split again",
    ),
    ({"ends": []}, "split.json: is damaged (its folds are not ranges); split again"),
    (
        {"ends": [0, 5, 10, 15, 21]},
        "split: ratings.arrow does not have the number of ratings in split.json; split ",
    ),
    ({"ends": [0, -5]}, "split.json: ends[1] must be a whole number >= 0, got -5;"),
    (
        {"strategy": {"name": "k-fold", "folds": 4, "valid": 0.9}},
        "split.json: leaves no rating to train on (strategy.valid is 0.9); split again",
    ),
    (
        {"strategy": {"name": "k-fold", "folds": 4}},
        "split.json: has no strategy.valid; split again",
    ),
    ({"strategy": {"name": "k-fold", "folds": 4.5, "valid": 0}}, "split.json: strategy.folds must"),
    ({"files": {"\ud800": "0"}}, "split.json: is damaged (its hash is wrong); split again"),
    ({"hash": "0"}, "split.json: is damaged (its hash is wrong); split again"),
    ({"fold": 1, "ends": 5}, "split has no fold 1; split again"),
]


@pytest.mark.parametrize(("lie", "message"), LIES)
def test_impossible_folds_are_refused(tmp_path: Path, lie: dict[str, object], message: str) -> None:
    ratings = make_ratings(np.arange(20), np.arange(20), np.arange(20), users=20, items=20)
    write_split(tmp_path / "split", split(ratings, Config(strategy="k-fold", folds=4)))
    path = tmp_path / "split" / "split.json"
    told = json.loads(path.read_text()) | lie
    del told["digest"]
    path.write_text(sealed_text(told))
    with pytest.raises(ArtifactError) as caught:
        read_split(tmp_path / "split" / "fold-1")
    assert message in str(caught.value)


@pytest.mark.parametrize("fold", [0, 5, 10**9])
def test_unknown_folds_are_refused(tmp_path: Path, fold: int) -> None:
    ratings = make_ratings(np.arange(20), np.arange(20), np.arange(20), users=20, items=20)
    write_split(tmp_path / "split", split(ratings, Config(strategy="k-fold", folds=4)))
    write_record(tmp_path / "split" / "fold-1" / "split.json", FoldRecord(fold=fold))
    with pytest.raises(ArtifactError, match=f"has no fold {fold}; split again"):
        read_split(tmp_path / "split" / "fold-1")


def test_folds_are_a_sequence_of_splits_from_python(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = rng.choice(30 * 20, 203, replace=False)
    ratings = make_ratings(pairs // 20, pairs % 20, np.arange(203), users=30, items=20)
    config = Config(strategy="k-fold", folds=4, valid=0.1, seed=3)
    folds = mfcli.split(ratings, config)
    assert isinstance(folds, Folds)
    assert len(folds) == 4
    assert [len(fold.test) for fold in folds] == [50, 51, 51, 51]
    assert set.union(*(ids(fold.test) for fold in folds)) == ids(ratings)
    assert ids(folds[-1].test) == ids(folds[3].test)
    assert [ids(fold.test) for fold in folds[1:3]] == [ids(folds[1].test), ids(folds[2].test)]
    assert folds[0].strategy == {
        "name": "k-fold", "folds": 4, "valid": 0.1, "seed": 3, "fold": 1
    }  # fmt: skip
    with pytest.raises(IndexError):
        folds[4]
    assert not folds[0].hash

    manifest = write_split(tmp_path / "split", folds)
    read = read_folds(tmp_path / "split")
    assert read.hash == manifest["hash"]
    for made, again, folder in zip(folds, read, folds_of(tmp_path / "split"), strict=True):
        other = read_split(folder)
        assert (again.hash, again.strategy) == (other.hash, other.strategy)
        for name, part in made.parts.items():
            for same in (again.parts[name], other.parts[name]):
                assert ids(same) == ids(part)
                assert same.users.counts.tolist() == part.users.counts.tolist()


def test_one_split_is_not_folds(tmp_path: Path) -> None:
    ratings = make_ratings(np.arange(20), np.arange(20), np.arange(20), users=20, items=20)
    write_split(tmp_path / "one", split(ratings, Config()))
    assert folds_of(tmp_path / "one") == []
    with pytest.raises(ArtifactError, match="one: holds one split, not folds"):
        read_folds(tmp_path / "one")
    write_split(tmp_path / "many", split(ratings, Config(strategy="k-fold")))
    with pytest.raises(ArtifactError, match="fold-1: holds one split, not folds"):
        read_folds(tmp_path / "many" / "fold-1")


def test_folds_leave_ratings_to_train_on() -> None:
    ratings = make_ratings(np.arange(10), np.arange(10), np.arange(10), users=10, items=10)
    with pytest.raises(DataError, match=r"2 folds and valid=0\.6 leave nothing .*; lower valid"):
        split(ratings, Config(strategy="k-fold", folds=2, valid=0.6))


@pytest.mark.parametrize(
    ("config", "used"),
    [
        (Config(test=0.5, valid=0.1), {"name": "random", "test": 0.5, "valid": 0.1, "seed": 0}),
        (Config(strategy="leave-last-out"), {"name": "leave-last-out", "valid": 0}),
        (
            Config(strategy="temporal", cut="1970-01-02", seed=2),
            {"name": "temporal", "cut": "1970-01-02", "valid": 0},
        ),
        (
            Config(strategy="k-fold", folds=2),
            {"name": "k-fold", "folds": 2, "valid": 0, "seed": 0},
        ),
    ],
)
def test_records_hold_the_settings_that_were_used(
    tmp_path: Path, config: Config, used: dict[str, object]
) -> None:
    made = make_ratings(np.arange(20) % 5, np.arange(20), np.arange(20), users=5, items=20)
    ratings = replace(made, timestamp=np.arange(20) * 8000)
    manifest = write_split(tmp_path / "split", split(ratings, config))
    assert manifest["strategy"] == used
    assert manifest["format"] == 2
    assert json.loads((tmp_path / "split" / "split.json").read_text())["strategy"] == used


def test_too_many_folds_are_refused() -> None:
    ratings = make_ratings(np.arange(3), np.arange(3), np.arange(3), users=3, items=3)
    with pytest.raises(DataError, match="3 ratings are too few for 5 folds; lower folds"):
        split(ratings, Config(strategy="k-fold"))
