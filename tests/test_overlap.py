"""Evaluation on ratings that the model was trained on."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from hypothesis import given, strategies as st
from planted import planted_split

from mfcli.cli.reading_options import Reading
from mfcli.config import Config
from mfcli.data import Ratings, concatenated, read_ratings
from mfcli.errors import MfcliWarning
from mfcli.evaluation import Metrics, evaluate, read_metrics
from mfcli.model import Model, trained_pairs
from mfcli.splits import Split, ratings_of, read_split, split as split_ratings, write_split
from mfcli.storage import resources
from mfcli.training import Epoch, Fit, History
from mfcli.training.loop import start

RAW = Config(resamples=0)


@pytest.fixture(scope="module")
def parts() -> Split:
    return planted_split(Config())


@pytest.fixture(scope="module")
def model(parts: Split) -> Model:
    return start(parts, Config(k=3))


def measured(model: Model, parts: Split, on: Ratings | str) -> Metrics:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MfcliWarning)
        return evaluate(model, parts, RAW, on=on)


def test_both_parts_have_their_own_errors(model: Model, parts: Split) -> None:
    both = concatenated(parts.train, parts.test)
    with pytest.warns(MfcliWarning, match=f"{len(parts.train):,} of {len(both):,} ratings were"):
        overlap = evaluate(model, parts, RAW, on=both).overlap
    assert overlap
    for part, name in ((overlap.trained_on, "train"), (overlap.others, "test")):
        alone = measured(model, parts, name)
        assert alone.overlap is None
        assert part.ratings == len(parts.parts[name])
        assert part.rmse == pytest.approx(alone.measures["rmse"])
        assert part.mae == pytest.approx(alone.measures["mae"])


def test_other_ratings_are_not_warned_about(model: Model, parts: Split) -> None:
    overlap = evaluate(model, parts, RAW, on=parts.test).overlap
    assert overlap
    assert (overlap.trained_on.ratings, overlap.trained_on.rmse) == (0, None)


def test_the_training_ratings_of_another_split_are_unknown(model: Model, parts: Split) -> None:
    other = replace(parts, hash="another")
    with pytest.warns(MfcliWarning, match="trained on another split, perhaps also on some of"):
        assert evaluate(model, other, RAW, on=parts.test).overlap is None


@given(
    st.integers(0, 2**32 - 1), st.integers(0, 60), st.integers(0, 60), st.sampled_from([1000, 4000])
)
def test_pairs_are_found_as_in_a_set(seed: int, first: int, second: int, room: int) -> None:
    """Whether they fit in memory or not."""
    split, rng = planted_split(Config()), np.random.default_rng(seed)
    train = split.train.take(rng.integers(0, len(split.train), first))
    some = concatenated(split.train, split.test)
    some = some.take(rng.integers(0, len(some), second)).without_empty()
    known = {*zip(*ids(train), strict=True)}
    expected = [pair in known for pair in zip(*ids(some), strict=True)]
    assert trained_pairs(train, some).tolist() == expected
    with resources(room=room):
        assert trained_pairs(train, some).tolist() == expected


def ids(ratings: Ratings) -> tuple[list[int], list[int]]:
    users = ratings.users.ids.to_numpy()[ratings.user]
    return users.tolist(), ratings.items.ids.to_numpy()[ratings.item].tolist()


def test_unknown_users_and_items_were_not_trained_on(parts: Split) -> None:
    train = parts.train
    rows = np.array([-1, 0, -1], np.int32), np.array([0, -1, -1], np.int32)
    some = replace(train.take(slice(0, 3)), user=rows[0], item=rows[1])
    assert trained_pairs(train, some).tolist() == [False] * 3


def test_ratings_are_read_once_for_all_folds(
    run: Run, parts: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standard input cannot be read a second time."""
    read, reads = Reading.read, []

    def count(self: Reading, names: list[str], screen: Any) -> Ratings:
        reads.append(names)
        return read(self, names, screen)

    write_split(Path("split"), split_ratings(parts.train, Config(strategy="k-fold", folds=2)))
    for number in (1, 2):
        fold = read_split(Path(f"split/fold-{number}"))
        begun = start(fold, Config(k=3))
        Fit(begun, History.of([Epoch(1, 1, 1, 1, 1, 1)])).write(Path(f"fold-{number}"))
    Path("new.csv").write_text("user,item,rating\n1,2,3\n2,3,4\n")
    monkeypatch.setattr(Reading, "read", count)
    done = run("evaluate", "--on", "new.csv", "--resamples", 0)
    assert (done.code, reads) == (0, [["new.csv"]]), done.err


def test_the_command_reports_the_overlap(run: Run, parts: Split) -> None:
    write_split(Path("split"), parts)
    Fit(start(read_split(Path("split")), Config(k=3)), History.of([Epoch(1, 1, 1, 1, 1, 1)])).write(
        Path()
    )
    both = concatenated(parts.train, parts.test)
    rows = zip(*ids(both), both.rating.tolist(), strict=True)
    text = "\n".join(",".join(map(str, row)) for row in rows)
    Path("all.csv").write_text(f"user,item,rating\n{text}\n")
    done = run("evaluate", "--on", "all.csv")
    assert done.code == 0
    said = f"warning: all.csv: {len(parts.train):,} of {len(both):,} ratings were trained on"
    assert done.err.startswith(said)
    assert "Errors by training\n" in done.out
    assert f"│ others     │ {len(parts.test):>7,} │" in done.out
    file = Path("metrics-all.csv.json")
    written = json.loads(file.read_text())["overlap"]
    assert written["trained_on"]["ratings"] == len(parts.train)
    read = read_metrics(file)
    assert isinstance(read, Metrics)
    assert read.overlap
    assert "RMSE, trained on" in run("show", file).out
    assert run("evaluate").err == ""


def test_the_ratings_of_a_file_have_its_name() -> None:
    assert ratings_of("test") == "test ratings"
    assert ratings_of("data.csv") == "ratings of data.csv"


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("nobody,nothing,3", "none of the users and items are among those of the model"),
        ("nobody,0,1000", "ratings range from 1000 to 1000, but the model was trained on"),
    ],
)
def test_ratings_of_another_data_set_are_reported(tmp_path: Path, row: str, rule: str) -> None:
    split = planted_split(Config())
    (tmp_path / "new.csv").write_text(f"user,item,rating\n{row}\n")
    others = read_ratings(tmp_path / "new.csv")
    with pytest.warns(MfcliWarning, match=f"new.csv: {rule}"):
        evaluate(start(split, Config(k=3)), split, on=others)
