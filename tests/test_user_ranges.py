"""Recommendations do not depend on memory: users come in ranges, and their ratings are on disk."""

from __future__ import annotations

import gc
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import Run
from machines import limit_room
from planted import split_with_new_rows

from mfcli.config import Config
from mfcli.data import Vocabulary
from mfcli.errors import LimitError
from mfcli.model import (
    Explainer,
    Model,
    RatedParts,
    posterior,
    recommended,
    recommended_tables,
)
from mfcli.model.user_ranges import user_ranges
from mfcli.predict import recommend
from mfcli.splits import Split, write_split
from mfcli.storage import resources
from mfcli.training import fit

CONFIG = Config(k=3, epochs=6, optimizer="gibbs", average=1.0, keep_samples=5)
READING = "error: reading model needs about "
KNOWN = np.array([0, 69, 3, *range(5, 45)], np.int32)  # users


@pytest.fixture(scope="module")
def split() -> Split:
    return split_with_new_rows(CONFIG)


@pytest.fixture(scope="module")
def model(split: Split) -> Model:
    return fit(split, CONFIG).model


@pytest.fixture
def trained(run: Run, split: Split, model: Model, tmp_path: Path) -> Run:
    manifest = write_split(tmp_path / "split", split)
    Model(**{**vars(model), "split_hash": manifest["hash"]}).save(tmp_path / "model")
    return run


def lines(make: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Return a result and the warnings about it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = make()
    return result, [str(warning.message) for warning in caught]


@pytest.mark.parametrize(("room", "threads"), [(0, 1), (10_000, 2)])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"sort": "low", "diversity": 0.5},
        {"sort": "sample", "interval": 0.8},
        {"explain": 2, "n": 60},
        {"items": range(7), "n": 7},
    ],
    ids=str,
)
def test_tables_and_warnings_are_the_same_with_any_memory(
    split: Split, model: Model, tmp_path: Path, room: int, threads: int, how: dict[str, Any]
) -> None:
    (tmp_path / "titles.csv").write_text("item,title\n" + "".join(f"{n},T{n}\n" for n in range(5)))
    users = KNOWN.tolist()[::-1]
    asked: dict[str, Any] = {"exclude": split, "titles": tmp_path / "titles.csv", "n": 4, **how}

    def make() -> pa.Table:
        return recommend(model, users, threads=threads, **asked).combine_chunks()

    expected, messages = lines(make)
    space: list[int] = []
    with resources(room=room, on_space=lambda need, folder: space.append(need)):
        found, others = lines(make)
    assert found == expected
    assert others == messages
    assert any("has no title" in message for message in messages)
    assert len(space) == 1


def test_ranges_hold_the_ratings_of_their_users(split: Split, model: Model) -> None:
    known = {"excluded": RatedParts.of(*split.parts.values())}
    with resources(room=4 * len(split.train) // 5):
        ranges = [(part.users, joined(part.known["excluded"])) for part in some(KNOWN, known)]
    assert np.concatenate([users for users, _ in ranges]).tolist() == KNOWN.tolist()
    assert len(ranges) > 3
    for users, (user, item) in ranges:
        for name, column in {"user": user, "item": item}.items():
            whole = np.concatenate([getattr(part, name) for part in split.parts.values()])
            own = np.concatenate([np.isin(part.user, users) for part in split.parts.values()])
            assert column.tolist() == whole[own].tolist()


def some(users: np.ndarray, known: dict[str, Any], each: float = 0.0) -> Iterator[Any]:
    return user_ranges(users, known, fixed=0.0, each=each)


def joined(ratings: Any) -> list[np.ndarray]:
    return [np.concatenate(c) for c in zip(*ratings.pieces("user", "item"), strict=True)]


def test_ranges_are_as_large_as_memory_allows(split: Split) -> None:
    known = {"excluded": RatedParts.of(split.train)}
    counts = np.bincount(split.train.user, minlength=70)
    with resources(room=1000):
        for part in some(KNOWN, known, each=8.0):
            need = 8 * len(part.users) + 4 * counts[part.users].sum()
            assert need <= 1000 or len(part.users) == 1
    assert [len(part.users) for part in some(KNOWN, known, each=8.0)] == [len(KNOWN)]
    with resources(room=100):
        assert [len(part.users) for part in some(KNOWN[:5], {}, each=30.0)] == [3, 2]
        assert [len(part.users) for part in some(KNOWN[:0], known)] == [0]


def test_users_may_be_listed_twice(split: Split, model: Model) -> None:
    users = np.array([9, 20, 9], np.int32)
    exclude = RatedParts.of(split.train)
    expected = recommended(model, users, 3, exclude=exclude)
    with resources(room=0):
        assert recommended(model, users, 3, exclude=exclude) == expected


def test_a_split_of_other_rows_is_matched_by_ids_piece_by_piece(split: Split, model: Model) -> None:
    train, order = split.train, np.random.default_rng(1).permutation(len(split.train.users))
    users = Vocabulary(train.users.ids.take(pa.array(order)), train.users.counts[order])
    place = np.argsort(order).astype(np.int32)
    moved = replace(train, user=place[train.user], users=users)
    expected, _ = lines(lambda: recommend(model, exclude=train, explain=1))
    with resources(room=0):
        found, _ = lines(lambda: recommend(model, exclude=moved, explain=1))
    assert found.combine_chunks() == expected


def test_weights_explain_with_any_memory(split: Split, model: Model) -> None:
    weight = np.linspace(0.5, 2, len(split.train), dtype=np.float32)
    parts = [split.train.take(slice(0, 300)), split.train.take(slice(300, None))]
    weighted = replace(parts[1], weight=weight[300:])
    explainer = Explainer(model, RatedParts.of(parts[0], weighted), 2)
    expected, _ = lines(lambda: recommended(model, KNOWN, 3, explainer=explainer))
    with resources(room=0):
        found, _ = lines(lambda: recommended(model, KNOWN, 3, explainer=explainer))
    assert found.combine_chunks() == expected
    plain = Explainer(model, RatedParts.of(*parts), 2)
    other, _ = lines(lambda: recommended(model, KNOWN, 3, explainer=plain))
    assert other["because_1_contribution"] != expected["because_1_contribution"]


def test_progress_counts_all_users(split: Split, model: Model) -> None:
    calls: list[tuple[float, float]] = []
    sorted_: list[tuple[float, float]] = []
    with resources(room=3000):
        tables = recommended_tables(
            model,
            KNOWN,
            3,
            exclude=RatedParts.of(split.train),
            on_progress=lambda *c: calls.append(c),
            on_sorting=lambda *c: sorted_.append(c),
        )
        assert sum(len(table) for table in tables) == 3 * len(KNOWN)
    assert calls[-1] == (len(KNOWN), len(KNOWN))
    rated = int(np.isin(split.train.user, KNOWN).sum())
    assert sorted_[-1] == (rated, rated)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


@pytest.mark.filterwarnings("ignore:explanations are inaccurate")
@pytest.mark.parametrize(
    ("out", "sort"), [("all.csv", "mean"), ("all.parquet", "low"), ("-", "sample")]
)
def test_files_are_the_same_with_any_memory(
    trained: Run, out: str, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ("recommend", "--all", "--n", 3, "--explain", "--sort", sort, "--out", out)
    limited = (*args, "--memory", "64GB")

    def content(*args: object) -> tuple[object, bytes]:
        done = trained(*args, "-q")
        assert done.code == 0, done.err
        return done, Path(out).read_bytes() if out != "-" else b""

    expected = content(*args)
    limit_room(monkeypatch, 2000)
    assert content(*limited) == expected
    assert "note: using about" in trained(*limited).err


def test_predictions_are_the_same_with_any_memory(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posterior, "_RELEASED", 7)
    pairs = "".join(f"{user},{item}\n" for user in range(75) for item in range(0, 55, 9))
    Path("pairs.csv").write_text("user,item\n" + pairs)
    args = ("predict", "pairs.csv", "--interval", 0.8, "--probability", 4)
    expected = trained(*args)
    assert expected.code == 0
    assert trained(*args, "--memory", "64GB") == expected


def test_temporary_space_ends_with_the_tables(split: Split, model: Model) -> None:
    exclude = RatedParts.of(split.train)
    opened = set(Path("/proc/self/fd").iterdir()) if Path("/proc/self/fd").exists() else set()
    with resources(room=0):
        tables = recommended_tables(model, KNOWN, 3, exclude=exclude)
        next(tables)
        tables.close()
    gc.collect()
    if opened:
        assert len(set(Path("/proc/self/fd").iterdir())) <= len(opened)


def test_too_little_memory_is_refused(trained: Run, model: Model) -> None:
    Path("pairs.csv").write_text("user,item\n1,2\n")
    for args in (("recommend", "--user", 9), ("predict", "pairs.csv")):
        code, _, err = trained(*args, "--model", "model", "--memory", "1MB")
        assert (code, err[: len(READING)]) == (1, READING)
        assert re.search(r" free some memory, or use at least --memory \d+MB\n$", err)
    rule = "^recommending items needs about .* MB of memory, 0 bytes are free"
    with resources(memory="1MB"), pytest.raises(LimitError, match=rule):
        recommended(model, KNOWN, 3)
