"""Splits of ratings in buckets: the same for any number of buckets and any memory."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import long_tailed

from mfcli.config import Config
from mfcli.data import Buckets, Ratings, read_buckets, read_ratings
from mfcli.errors import DataError
from mfcli.splits import Folds, Split, divide, divide_given, split, split_given, write_split
from mfcli.splits.keys import RATINGS, USERS, keys
from mfcli.storage import resources

CONFIGS = [
    Config(),
    Config(valid=0.15, seed=3),
    Config(strategy="per-user", valid=0.2),
    Config(strategy="leave-last-out", valid=0.1),
    Config(strategy="temporal", test=0.3, valid=0.1),
    Config(strategy="temporal", cut="1970-01-01T00:20:00", valid=0.1),
    Config(strategy="cold-user", valid=0.2),
    Config(min_user=5, min_item=9, valid=0.1),
    Config(strategy="temporal", test=0.3, min_user=3),
    Config(strategy="k-fold", folds=3, valid=0.1),
    Config(strategy="k-fold", folds=4, min_user=5, min_item=9),
]


def described(config: Config) -> str:
    return f"{config.strategy} {config.cut or ''} {config.valid} {config.min_user}"


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    """Distinct pairs in random order, rated at times that repeat, with weights."""
    made = long_tailed(1500, users=70, items=40)
    _, first = np.unique(made.user.astype(np.int64) * 40 + made.item, return_index=True)
    rng = np.random.default_rng(1)
    made = made.take(rng.permutation(first)).without_empty()
    size = len(made)
    times, weight = rng.integers(0, 2500, size) // 30 * 30, rng.random(size, np.float32) + 0.5
    return replace(made, timestamp=times, weight=weight)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, ratings: Ratings) -> dict[str, dict]:
    """The files of the split of each config, made of one bucket in memory."""
    folder = tmp_path_factory.mktemp("splits")
    found = {}
    for config in CONFIGS:
        write_split(folder / "split", split(ratings, config))
        found[described(config)] = files(folder / "split")
    return found


def files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files in a folder, by path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("count", [1, 2, 9, 100])
@pytest.mark.parametrize("room", [None, 1, 3000])
@pytest.mark.parametrize("config", CONFIGS, ids=described)
def test_the_split_does_not_depend_on_buckets_and_memory(
    config: Config, room: int | None, count: int, ratings: Ratings,
    written: dict[str, dict], tmp_path: Path,
) -> None:  # fmt: skip
    with resources(room=room):
        write_split(tmp_path / "split", divide(Buckets.of(ratings, count), config))
    assert files(tmp_path / "split") == written[described(config)]


@pytest.mark.parametrize("count", [1, 3])
def test_many_ratings_are_split_by_compiled_code_in_the_same_way(
    count: int, ratings: Ratings, written: dict[str, dict], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for module in ("data.selections", "data.scales", "splits.pool", "splits.strategies"):
        monkeypatch.setattr(f"mfcli.{module}.MANY", 1)
    for config in CONFIGS:
        write_split(tmp_path / "split", divide(Buckets.of(ratings, count), config))
        assert files(tmp_path / "split") == written[described(config)]


def rows(part: Ratings | None) -> set[float]:
    """Return what identifies the ratings of a part: their values are distinct."""
    return set() if part is None else set(part.rating.tolist())


def numbered(ratings: Ratings) -> Ratings:
    """Return the same ratings with the values 0, 1, ..."""
    return replace(ratings, rating=np.arange(len(ratings), dtype=np.float32))


def drawn(size: int, seed: int, purpose: int = RATINGS) -> list[int]:
    return keys(seed, np.arange(size, dtype=np.uint32), purpose).tolist()


def test_a_random_split_holds_out_the_smallest_keys(ratings: Ratings) -> None:
    made = split(numbered(ratings), Config(test=0.2, valid=0.1, seed=4))
    size, found = len(ratings), drawn(len(ratings), 4)
    order = sorted(range(size), key=found.__getitem__)
    test, valid = round(0.2 * size), round(0.1 * size)
    assert rows(made.test) == set(order[:test])
    assert rows(made.valid) == set(order[test : test + valid])
    assert rows(made.train) == set(order[test + valid :])


def test_a_per_user_split_holds_out_the_smallest_keys_of_each_user(ratings: Ratings) -> None:
    made = split(numbered(ratings), Config(strategy="per-user", test=0.2, seed=4))
    own, found = defaultdict(list), drawn(len(ratings), 4)
    for row, user in enumerate(ratings.user.tolist()):
        own[user].append(row)
    held: set[int] = set()
    for group in own.values():
        size = min(round(0.2 * len(group)), len(group) - 1)
        held |= set(sorted(group, key=found.__getitem__)[:size])
    assert rows(made.test) == held


def test_a_cold_user_split_holds_out_the_users_with_the_smallest_keys(ratings: Ratings) -> None:
    made = split(numbered(ratings), Config(strategy="cold-user", test=0.2, valid=0.1, seed=4))
    users = len(ratings.users)
    order = sorted(range(users), key=drawn(users, 4, USERS).__getitem__)
    assert set(made.test.user.tolist()) == set(order[: round(0.2 * users)])
    rest = [user for user in order if user not in set(made.test.user.tolist())]
    assert set(made.valid.user.tolist()) == set(rest[: len(set(made.valid.user.tolist()))])


def test_folds_are_in_the_order_of_their_keys(ratings: Ratings) -> None:
    folds = split(numbered(ratings), Config(strategy="k-fold", folds=3, seed=4))
    assert isinstance(folds, Folds)
    assert folds.ratings.rating.tolist() == np.argsort(drawn(len(ratings), 4)).tolist()


def test_keys_belong_to_rows_and_not_to_ratings(ratings: Ratings) -> None:
    """A filter changes which ratings there are, but not the order in which they are drawn."""
    config = Config(test=0.3, seed=1)
    whole = split(numbered(ratings), config)
    part = split(numbered(ratings), replace(config, min_item=20))
    kept = rows(part.train) | rows(part.test)
    order = np.argsort(drawn(len(ratings), 1))
    left = [row for row in order.tolist() if row in kept]
    assert rows(part.test) == set(left[: round(0.3 * len(kept))])
    assert rows(whole.test) != rows(part.test)


@pytest.mark.parametrize(
    "config", [c for c in CONFIGS if c.valid and c.strategy != "k-fold"], ids=described
)
def test_test_ratings_do_not_depend_on_validation_ratings(config: Config, ratings: Ratings) -> None:
    made = [split(numbered(ratings), replace(config, valid=valid)) for valid in (0, config.valid)]
    assert rows(made[0].test) == rows(made[1].test)
    assert rows(made[0].train) == rows(made[1].train) | rows(made[1].valid)


@pytest.mark.parametrize("room", [None, 1, 4000])
def test_files_with_duplicates_are_split_as_the_same_ratings_in_memory(
    room: int | None, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    table = np.stack([rng.integers(0, 40, 900), rng.integers(0, 15, 900), np.arange(900)], axis=1)
    path = tmp_path / "ratings.csv"
    np.savetxt(path, table, "%d", ",", header="user,item,rating", comments="")
    ratings = read_ratings(path)
    assert len(ratings) < 600
    for config in (Config(valid=0.1), Config(strategy="k-fold", folds=3)):
        write_split(tmp_path / "a", split(ratings, config))
        with resources(room=room), read_buckets(path) as buckets:
            write_split(tmp_path / "b", divide(buckets, config))
        assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize("room", [None, 100])
def test_given_parts_do_not_depend_on_buckets_and_memory(
    count: int, room: int | None, ratings: Ratings, tmp_path: Path
) -> None:
    train, test = ratings.take(slice(0, 500)), ratings.take(slice(500, None)).without_empty()
    train, test = replace(train, weight=None), replace(test, timestamp=None)
    config = Config(valid=0.1, seed=2)
    expected = split_given(train, test, config)
    write_split(tmp_path / "a", expected)
    with resources(room=room):
        given = {"train": Buckets.of(train, count), "test": Buckets.of(test, count + 1)}
        write_split(tmp_path / "b", divide_given(given, config))
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert expected.train.types.keys() == {"user", "item", "rating", "weight"}
    assert set(expected.train.weight.tolist()) == {1.0}
    with (
        resources(room=room),
        pytest.raises(DataError, match=r"1 pairs .* are in train and in test"),
    ):
        divide_given(
            {"train": Buckets.of(train, count), "test": Buckets.of(train.take(slice(3, 4)))}, config
        )


def test_a_division_can_be_copied(ratings: Ratings) -> None:
    made, whole = (divide(Buckets.of(ratings, n), Config(valid=0.1)).split() for n in (5, 1))
    assert isinstance(made, Split)
    for name, part in whole.parts.items():
        for column in part.types:
            assert np.array_equal(getattr(made.parts[name], column), getattr(part, column))
        assert (made.parts[name].users.counts == part.users.counts).all()


def test_progress_counts_steps_and_bytes(ratings: Ratings, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    made = divide(
        Buckets.of(ratings, 3), Config(valid=0.1), on_progress=lambda *step: steps.append(step)
    )
    assert steps == [(n, 6) for n in range(1, 7)]
    stages: list[tuple[str, int, int]] = []
    write_split(tmp_path / "split", made, on_progress=lambda *step: stages.append(step))
    size = len(ratings) * (4 + 4 + 4 + 8 + 4)
    assert stages[-1] == ("writing", size, size)
    assert stages == sorted(set(stages))
    folds = divide(Buckets.of(ratings, 3), Config(strategy="k-fold"))
    stages.clear()
    with resources(room=9000):
        write_split(tmp_path / "split", folds, on_progress=lambda *step: stages.append(step))
    shuffled = [step for step in stages if step[0] == "shuffling"]
    assert shuffled == [("shuffling", n, len(shuffled)) for n in range(1, len(shuffled) + 1)]
    assert len(shuffled) > 1
    assert {step[0] for step in stages[len(shuffled) :]} == {"writing"}
