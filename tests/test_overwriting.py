"""A command replaces its own earlier results, and says which others no longer belong to them.

What is not replaced is tested in `test_marks.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Run
from planted import planted_ratings

from mfcli.cli.formatting import listed
from mfcli.cli.outdated_results import older_metrics_noted
from mfcli.cli.screen import Screen
from mfcli.config import Config
from mfcli.model import models_trained_on
from mfcli.splits import read_split
from mfcli.training import Epoch, Fit, History
from mfcli.training.loop import start


@pytest.fixture
def work(run: Run) -> Run:
    """Ratings, a split of them, and a model in this folder."""
    ratings = planted_ratings()[0]
    rows = zip(ratings.user.tolist(), ratings.item.tolist(), ratings.rating.tolist(), strict=True)
    lines = [f"{user},{item},{rating}\n" for user, item, rating in rows]
    Path("data.csv").write_text("user,item,rating\n" + "".join(lines))
    assert run("split", "data.csv", "-q").code == 0
    model(Path())
    return run


def model(out: Path, split: str = "split") -> None:
    begun = start(read_split(Path(split)), Config(k=2))
    Fit(begun, History.of([Epoch(1, 1.0, 1.0, 1.0, 1.0, 1.0)])).write(out)


COMMANDS = [
    "split data.csv",
    "init",
    "train --epochs 1",
    "evaluate --resamples 0",
    "plot history.json",
    "predict data.csv --out p.csv",
    "recommend --all --out r.csv",
    "fold-in new.csv --extend more",
    "export --format csv",
]


def test_every_command_replaces_its_own_results(work: Run) -> None:
    Path("new.csv").write_text("user,item,rating\nanna,1,3\nanna,2,4\n")
    for words in COMMANDS:
        for _ in range(2):
            done = work(*words.split())
            assert done.code == 0, (words, done.err)


def test_a_new_split_names_the_models_of_the_older_one(work: Run) -> None:
    for out in ("runs/a", "runs/b", "c"):
        model(Path(out))
    assert work("split", "data.csv").err == ""  # the same split again
    before = Path("model/model.json").read_bytes()
    assert work("split", "data.csv", "--seed", 2).err == (
        "note: model, c/model, runs/a/model and 1 other were trained on the split that was"
        " replaced; train again\n"
    )
    assert Path("model/model.json").read_bytes() == before
    assert work("split", "data.csv", "--seed", 3).err == ""  # they belong to no split already
    model(Path("runs/a"))
    assert work("split", "data.csv", "--seed", 4, "-q").err == ""
    model(Path("runs/a"))
    assert work("split", "data.csv", "--seed", 5).err == (
        "note: runs/a/model was trained on the split that was replaced; train again\n"
    )


def test_models_beside_another_split_and_of_folds_are_found(work: Run) -> None:
    folds = ("split", "data.csv", "--strategy", "k-fold", "--folds", 2, "--out", "x/split")
    assert work(*folds).err == ""
    model(Path("x/fold-2"), "x/split/fold-2")
    model(Path("x/runs/a/fold-1"), "x/split/fold-1")
    assert work(*folds, "--seed", 1).err == (
        "note: x/fold-2/model and x/runs/a/fold-1/model were trained on the split that was"
        " replaced; train again\n"
    )


def test_damaged_results_are_replaced_without_a_note(work: Run) -> None:
    Path("split/split.json").write_text(Path("split/split.json").read_text()[:-20])
    assert work("split", "data.csv", "--seed", 2).err == ""
    Path("model/model.json").write_text(Path("model/model.json").read_text()[:-20])
    assert work("split", "data.csv", "--seed", 3).err == ""
    assert models_trained_on({""}, Path()) == []


def test_a_new_model_names_the_metrics_of_the_older_one(work: Run) -> None:
    for on in ("test", "train"):
        assert work("evaluate", "--on", on, "--resamples", 0).code == 0
    note = (
        "note: metrics.json and metrics-train.json were measured with another model; evaluate"
        " again\n"
    )
    train = ("train", "--epochs", 1, "--k", 2)
    assert note in work(*train).err
    assert "another model" not in work(*train).err  # the same model again
    assert "another model" not in work(*train, "--seed", 1, "-q").err
    assert "another model" not in work(*train, "--out", "runs/new").err
    Path("metrics-train.json").unlink()
    assert "note: metrics.json was measured with another model" in work(*train).err


def test_metrics_of_an_older_model_are_not_compared_in_silence(work: Run) -> None:
    """The note of the training is hidden by --quiet."""
    assert work("evaluate", "--resamples", 0).code == 0
    Path("kept").mkdir()
    Path("kept/metrics.json").write_bytes(Path("metrics.json").read_bytes())
    compare = ("compare", ".", "kept")
    assert work(*compare).err == ""
    assert work("train", "--epochs", 1, "-q").err == ""
    warning = "warning: metrics.json: was measured with another model than model; evaluate again\n"
    assert work(*compare).err == warning
    assert work("plot", "metrics.json").err == warning
    Path("metrics.json").rename("older.json")  # a name that no training replaces
    assert work("compare", "older.json", "kept").err == ""


def test_a_training_that_fails_names_them_too(
    work: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """If it diverges, it writes its best model."""
    assert work("evaluate", "--resamples", 0).code == 0
    with (
        pytest.raises(ZeroDivisionError),
        older_metrics_noted(Path(), [Path()], Screen()),
    ):
        begun = start(read_split(Path("split")), Config(k=3))
        Fit(begun, History.of([Epoch(1, 1.0, 1.0, 1.0, 1.0, 1.0)])).write(Path())
        raise ZeroDivisionError
    assert "metrics.json was measured with another model" in capsys.readouterr().err


def test_names_are_listed() -> None:
    assert [listed("abcde"[:n]) for n in (1, 2, 3, 4, 5)] == [
        "a",
        "a and b",
        "a, b and c",
        "a, b, c and 1 other",
        "a, b, c and 2 others",
    ]
