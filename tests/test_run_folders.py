"""A model is named by its folder or by the folder of its run; near misses get a hint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Run
from planted import planted_split

from mfcli.config import Config
from mfcli.errors import ArtifactError
from mfcli.model import Model, model_folder
from mfcli.splits import Split, read_split, write_split
from mfcli.training import Epoch, Fit, History
from mfcli.training.loop import start


@pytest.fixture(scope="module")
def split() -> Split:
    return planted_split(Config())


@pytest.fixture
def work(run: Run, split: Split) -> Run:
    """A split, and the runs runs/a and runs/b."""
    write_split(Path("split"), split)
    parts = read_split(Path("split"))
    for seed, name in enumerate("ab"):
        history = History.of([Epoch(1, 1.0, 1.0, 1.0, 1.0, 1.0)])
        Fit(start(parts, Config(k=2, seed=seed)), history).write(Path("runs") / name)
    return run


COMMANDS = [
    "evaluate --resamples 0",
    "predict --user 1 --item 2",
    "recommend --user 1",
    "similar 1",
    "fold-in new.csv",
    "export --format npz",
]


@pytest.mark.parametrize("words", COMMANDS, ids=[words.split()[0] for words in COMMANDS])
def test_every_command_accepts_the_folder_of_a_run(work: Run, words: str) -> None:
    Path("new.csv").write_text("user,item,rating\nanna,1,3\nanna,2,4\n")
    by_run = work(*words.split(), "--model", "runs/a")
    assert by_run.code == 0, by_run.err
    assert work(*words.split(), "--model", "runs/a/model") == by_run


def test_metrics_are_written_into_the_folder_of_the_run(
    work: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for model in ("runs/a", "runs/a/model"):
        assert work("evaluate", "--model", model, "--resamples", 0).code == 0
        Path("runs/a/metrics.json").unlink()
    monkeypatch.chdir("runs/a/model")
    assert work("evaluate", "--model", ".", "--split", "../../../split", "--json").code == 0
    assert Path("../metrics.json").is_file()
    assert not Path("metrics.json").exists()


def test_python_accepts_the_folder_of_a_run(work: Run) -> None:
    assert Model.load("runs/b").config.seed == 1
    assert model_folder(Path("runs/b")) == Path("runs/b/model")
    assert model_folder(Path("runs/b/model")) == Path("runs/b/model")


NEAR_MISSES = {
    "runs": "did you mean runs/a/model or runs/b/model?",
    "runs/aa": "did you mean runs/a/model?",
    "runs/B": "did you mean runs/b/model?",
    "runs/a/modle": "did you mean runs/a/model?",
    "runs/a/model/model.keras": "did you mean runs/a/model?",
    "runs/a/model/model": "did you mean runs/a/model?",
    "split": "train one with: mfcli train",
    "unlike": "train one with: mfcli train",
}


@pytest.mark.parametrize("path", NEAR_MISSES)
def test_near_misses_get_a_hint(work: Run, path: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        Model.load(path)
    assert str(caught.value) == f"{path}: holds no model; {NEAR_MISSES[path]}"


def test_models_of_runs_and_folds_are_named_where_there_is_no_other(work: Run) -> None:
    runs = "error: model: holds no model; did you mean runs/a/model or runs/b/model?\n"
    assert work("similar", 1).err == runs
    Path("fold-1").mkdir()
    Path("runs/a/model").rename("fold-1/model")
    folds = "error: model: holds no model; did you mean fold-1/model?\n"
    assert work("recommend", "--user", 1).err == folds
    assert "train one with" in work("similar", 1, "--model", "a**[b").err


def test_a_run_is_not_written_into_a_model(work: Run) -> None:
    assert work("train", "--out", "runs/a/model").err == (
        "error: runs/a/model: is a model folder, not the folder of a run; choose another --out\n"
    )


def test_near_misses_of_splits_get_a_hint(work: Run) -> None:
    assert work("train", "--split", "spilt").err == (
        "error: spilt: holds no split; did you mean split?\n"
    )
    assert work("init", "--split", ".").err == "error: .: holds no split; did you mean split?\n"


def test_each_kind_of_ratings_has_its_own_metrics(work: Run) -> None:
    Path("new.csv").write_text("user,item,rating\n1,2,3\n2,3,4\n")
    options = ("--model", "runs/a", "--resamples", 0, "--json")
    for on, name in (
        ("test", "metrics.json"),
        ("train", "metrics-train.json"),
        ("new.csv", "metrics-new.csv.json"),
    ):
        assert work("evaluate", "--on", on, *options).code == 0
        protocol = json.loads(Path("runs/a", name).read_text())["protocol"]
        assert protocol["on"] == on
    assert work("evaluate", "--on", "train", *options, "--out", "mine.json").code == 0
    shown = work("show", "runs/a", "--json").out
    metrics = [a["path"] for a in json.loads(shown)["artifacts"] if a["kind"] == "metrics"]
    names = ("metrics.json", "metrics-new.csv.json", "metrics-train.json")
    assert metrics == [f"runs/a/{name}" for name in names]


def test_runs_are_compared_by_what_they_were_measured_on(work: Run) -> None:
    for run in ("runs/a", "runs/b"):
        assert work("evaluate", "--on", "train", "--model", run).code == 0
    assert work("compare", "runs/a", "runs/b").code == 0
    Path("runs/a/metrics-valid.json").write_bytes(Path("runs/a/metrics-train.json").read_bytes())
    assert work("compare", "runs/a", "runs/b").err == (
        "error: runs/a: contains several files of metrics, but no metrics.json; name one, such as"
        " runs/a/metrics-train.json\n"
    )
