"""Several stages in a row: folds, published splits, invalid rows, interruptions."""

from __future__ import annotations

import itertools
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run

from mfcli.config import Config, settings_in
from mfcli.evaluation.baselines import Baseline
from mfcli.splits import read_split


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A thousand ratings with times."""
    rng = np.random.default_rng(0)
    pairs = rng.choice(60 * 50, 1000, replace=False)
    rows = [f"{pair // 50},{pair % 50},{rng.integers(1, 6)},{n}" for n, pair in enumerate(pairs)]
    path = tmp_path / "data.csv"
    path.write_text("user,item,rating,ts\n" + "\n".join(rows) + "\n")
    return path


def test_folds_are_trained_and_evaluated_as_one(run: Run, data: Path) -> None:
    assert "folds" in run("split", data, "--strategy", "k-fold", "--folds", 3).out
    trained = run("train", "--epochs", 2, "--k", 3, "--json", "-q")
    assert [fold["model"] for fold in json.loads(trained.out)["folds"]] == [
        f"fold-{n}/model" for n in (1, 2, 3)
    ]
    shown = run("evaluate")
    assert "standard deviation" in shown.out
    result = json.loads(Path("metrics.json").read_text())
    rmse = [fold["measures"]["rmse"] for fold in result["folds"]]
    assert result["measures"]["rmse"] == pytest.approx(statistics.fmean(rmse))
    assert result["standard_deviations"]["rmse"] == pytest.approx(statistics.stdev(rmse))
    assert sum(fold["protocol"]["ratings"] for fold in result["folds"]) == 1000
    assert run("evaluate", "--split", "split/fold-2", "--model", "fold-1/model").code == 1
    one = run("evaluate", "--split", "split/fold-2", "--model", "fold-2/model", "--json").out
    assert json.loads(one)["measures"]["rmse"] == rmse[1]


def test_folds_trained_differently_have_no_mean(run: Run, data: Path) -> None:
    run("split", data, "--strategy", "k-fold", "--folds", 2)
    run("train", "--epochs", 1, "-q")
    run("train", "--epochs", 1, "-q", "--split", "split/fold-2", "--out", "fold-2", "--lr", 0.01)
    done = run("evaluate")
    assert (done.code, done.err) == (
        1,
        "error: fold 2 was trained with lr 0.01, fold 1 with 0.08; train all folds again\n",
    )
    assert not Path("metrics.json").exists()


def test_a_published_split(run: Run, data: Path) -> None:
    lines = data.read_text().splitlines(keepends=True)
    Path("u1.base").write_text("".join(lines[:801]))
    Path("u1.test").write_text(lines[0] + "".join(lines[801:]))
    done = run("split", "--train", "u1.base", "--test", "u1.test", "--json")
    assert json.loads(done.out)["ratings"] == {"all": 1000, "train": 800, "test": 200}
    for args, message in (
        (["--train", "u1.base"], "--train requires --test FILE"),
        (["--test", "u1.test", data], "--test u1.test is not a fraction"),
        (["--train", "u1.base", "--test", "u1.test", data], "and no other file of ratings"),
    ):
        refused = run("split", *args)
        assert refused.code == 2
        assert message in refused.err


@pytest.mark.parametrize("strategy", ["per-user", "leave-last-out", "temporal", "cold-user"])
def test_every_strategy_is_trained_and_evaluated(run: Run, data: Path, strategy: str) -> None:
    done = run("split", data, "--strategy", strategy, "--valid", "0.1", "--min-user", 5)
    assert done.code == 0, done.err
    assert f"strategy {strategy}" in done.out
    assert run("train", "--epochs", 1, "-q").code == 0
    assert run("evaluate").code == 0


def test_filters_are_shown(run: Run, data: Path) -> None:
    done = run("split", data, "--min-user", 12, "--min-item", 12)
    assert "users dropped" in done.out
    assert read_split(Path("split")).strategy["removed"]["users"] > 0


def test_invalid_rows_are_listed_in_the_split(run: Run, data: Path) -> None:
    data.write_text(data.read_text() + "1,2,x,3\n1\n")
    assert run("split", data).code == 1
    done = run("split", data, "--on-bad-row", "skip")
    assert "rows skipped: rating" in done.out
    assert Path("split/rejected.csv").read_text().splitlines()[1].startswith(f"{data},1002,")
    read_split(Path("split"))
    Path("split/rejected.csv").write_text("")
    assert run("train").err.startswith("error: split/rejected.csv: is damaged")


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "mfcli", *map(str, args)]


def test_a_split_of_standard_input(tmp_path: Path, data: Path) -> None:
    done = subprocess.run(
        command("split", "-", "--json"), input=data.read_bytes(), cwd=tmp_path, capture_output=True
    )
    assert json.loads(done.stdout)["source"]["name"] == "<stdin>"


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")


def test_a_limit_on_file_sizes_leaves_the_old_split(tmp_path: Path, real_csv: Path) -> None:
    subprocess.run(command("split", real_csv), cwd=tmp_path, check=True, capture_output=True)
    before = read_split(tmp_path / "split").hash

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(
        command("split", real_csv, "--seed", 5),
        cwd=tmp_path,
        preexec_fn=limit,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (
        1,
        "error: split: cannot be written: File too large; choose another place\n",
    )
    assert read_split(tmp_path / "split").hash == before
    assert visible(tmp_path) == ["split"]


def test_a_killed_split_leaves_the_old_one_or_a_complete_new_one(
    tmp_path: Path, real_csv: Path
) -> None:
    subprocess.run(command("split", real_csv), cwd=tmp_path, check=True, capture_output=True)
    hashes = {read_split(tmp_path / "split").hash}
    rng = random.Random(0)
    for seed in range(8):
        process = subprocess.Popen(
            command("split", real_csv, "--seed", 1, "-q"),
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if seed:  # the first one may finish
            time.sleep(rng.uniform(0.2, 0.9))
            process.send_signal(signal.SIGKILL)
        process.wait()
        hashes.add(read_split(tmp_path / "split").hash)
    assert len(hashes) == 2
    subprocess.run(command("split", real_csv), cwd=tmp_path, check=True, capture_output=True)
    assert visible(tmp_path) == ["split"]


def wait_for_handlers(process: int) -> None:
    """Wait until a process catches SIGTERM, which the command line does once it runs."""
    caught = 0
    while not caught >> (signal.SIGTERM - 1) & 1:
        status = Path(f"/proc/{process}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        time.sleep(0.005)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the caught signals")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_no_temporary_files(
    tmp_path: Path, real_csv: Path, stop: signal.Signals
) -> None:
    for wait in (0.0, 0.15, 0.3, 0.45):
        process = subprocess.Popen(
            command("split", *[real_csv] * 40),
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        wait_for_handlers(process.pid)
        time.sleep(wait)
        process.send_signal(stop)
        _, err = process.communicate(timeout=20)
        assert b"Traceback" not in err
        assert process.returncode in (0, 128 + stop)
        assert visible(tmp_path) in ([], ["split"])


def test_a_model_is_evaluated_on_a_split_of_other_users(run: Run, data: Path) -> None:
    run("split", data)
    run("train", "--epochs", 1, "-q")
    Path("q.csv").write_text("user,item,rating\n" + "".join(f"{n},{n},3\n" for n in range(55, 75)))
    run("split", "q.csv", "--split", "sq", "--test", "0.5")
    done = run("evaluate", "--split", "sq", "--any-split", "--json")
    assert done.code == 0, done.err
    parts = read_split(Path("sq"))
    baseline = Baseline.fit(parts.train, 5.0).predict(parts.test.user, parts.test.item)
    rmse = float(np.sqrt(np.mean(np.square(baseline - parts.test.rating))))
    measures = json.loads(done.out)["baselines"]["biases"]["measures"]
    assert measures["rmse"] == pytest.approx(rmse, abs=1e-6)


def test_baselines_do_not_depend_on_the_model(run: Run, data: Path) -> None:
    run("split", data, "--seed", 1, "--test", "0.7", "--split", "b")
    run("split", data)
    run("train", "--epochs", 1, "-q")
    run("train", "--epochs", 1, "-q", "--split", "b", "--out", "ob")
    results = [
        json.loads(run("evaluate", "--split", "b", *options, "--json").out)["baselines"]
        for options in (["--any-split"], ["--model", "ob/model"])
    ]
    for name in ("mean", "biases"):
        assert results[0][name]["measures"] == results[1][name]["measures"]


def test_folds_must_leave_training_ratings(run: Run, data: Path) -> None:
    done = run("split", data, "--strategy", "k-fold", "--folds", 2, "--valid", "0.5")
    assert done.err == ("error: 2 folds and --valid 0.5 leave nothing to train on; lower --valid\n")


def test_no_model_is_replaced_unless_all_results_can_be(run: Run, data: Path) -> None:
    run("split", data, "--strategy", "k-fold", "--folds", 2)
    assert run("train", "--epochs", 1, "-q").code == 0
    Path("fold-2/model/mine.txt").write_text("mine")
    before = Path("fold-1/model/model.json").read_bytes()
    assert run("train", "--epochs", 2, "-q").code == 1
    assert Path("fold-1/model/model.json").read_bytes() == before
    Path("o/history.json").mkdir(parents=True)
    assert run("train", "--split", "split/fold-1", "--out", "o").code == 1
    assert not Path("o/model").exists()


def test_a_published_split_counts_both_files(run: Run) -> None:
    Path("a").write_text("user,item,rating\n1,2,3\n1,3,x\n2,2,4\n")
    Path("b").write_text("user,item,rating\n1,4,3\nx,,1\n")
    done = run("split", "--train", "a", "--test", "b", "--on-bad-row", "skip", "--json")
    source = json.loads(done.out)["source"]
    assert (source["rejected"], source["rows"], source["files"]) == ({"item": 1, "rating": 1}, 3, 2)
    assert len(Path("split/rejected.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    "options",
    [
        ["data.csv", "--folds", "3"],
        ["data.csv", "--strategy", "k-fold", "--test", "0.3"],
        ["data.csv", "--strategy", "leave-last-out", "--test", "0.3"],
        ["data.csv", "--strategy", "temporal", "--cut", "2000-01-01", "--test", "0.3"],
        ["--train", "data.csv", "--test", "data.csv", "--min-user", "3"],
        ["--train", "data.csv", "--test", "data.csv", "--strategy", "random"],
    ],
)
def test_options_without_effect_are_refused(run: Run, data: Path, options: list[str]) -> None:
    done = run("split", *options)
    assert done.code == 2
    assert "is not used with" in done.err


def test_a_model_cannot_be_written_into_the_split(run: Run, data: Path) -> None:
    run("split", data)
    assert "is the split folder" in run("train", "--out", "split").err


def test_a_fold_without_its_split_is_refused(run: Run, data: Path) -> None:
    run("split", data, "--strategy", "k-fold")
    Path("split/fold-2").rename("alone")
    assert (
        "fold 2 must stay in the folder of its k-fold split" in run("train", "--split", "alone").err
    )


def test_reading_options_apply_to_other_ratings(run: Run, data: Path) -> None:
    run("split", data)
    run("train", "--epochs", 1, "-q")
    Path("new.csv").write_text("who;item;rating\n1;2;3,5\n1;3;x\n")
    options = ["--user-col", "who", "--decimal", ",", "--on-bad-row", "skip", "--json"]
    done = run("evaluate", "--on", "new.csv", *options)
    assert json.loads(done.out)["protocol"]["ratings"] == 1


def training_settings(record: Any) -> Iterator[dict[str, Any]]:
    """Yield the settings of every training in a JSON value."""
    if isinstance(record, list):
        for value in record:
            yield from training_settings(value)
    if isinstance(record, dict):
        for name, value in record.items():
            if name in ("config", "settings", "training") and "k" in value:
                yield value
            else:
                yield from training_settings(value)


def test_records_hold_the_settings_that_were_used(run: Run, data: Path) -> None:
    """Settings that only the split used are in split.json and nowhere else."""
    run("split", data, "--test", "0.5", "--valid", "0.1")
    record = json.loads(Path("split/split.json").read_text())["strategy"]
    assert (record["test"], record["valid"]) == (0.5, 0.1)
    options = ["--epochs", 2, "--k", 3, "--json", "-q", "--out"]
    printed = [json.loads(run("train", *options, out).out) for out in "ab"]
    for out in "ab":
        assert run("evaluate", "--model", f"{out}/model", "-q").code == 0
    files = ("a/model/model.json", "a/metrics.json")
    written = [json.loads(Path(file).read_text()) for file in files]
    shown = json.loads(run("show", "a", "--json").out)["artifacts"]
    found = [list(training_settings(record)) for record in (*printed, *written, shown)]
    assert [len(settings) for settings in found] == [1, 1, 1, 1, 2]
    for settings in itertools.chain(*found):
        assert {"k", "lr", "epochs", "seed"} <= set(settings)
        assert set(settings) <= set(settings_in("training"))
        assert not {"prior", "noise", "patience", "min_delta", "lr_end", "lr_every"} & set(settings)
    compared = json.loads(run("compare", "a", "b", "--json").out)
    for row in compared["runs"]:
        assert not {"test", "valid", "strategy"} & set(row["settings"])


@pytest.mark.parametrize("strategy", ["temporal", "leave-last-out"])
def test_a_split_without_random_choices_uses_no_seed(strategy: str) -> None:
    assert "seed" not in Config(strategy=strategy).used("split")
    assert "seed" in Config().used("split")
