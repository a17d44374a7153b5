"""Stages together: folds, published splits, bad rows, interruptions."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Outcome

from mfcli.split_folder import read_split

Run = Callable[..., Outcome]


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
    rmse = [fold["rmse"] for fold in result["folds"]]
    assert result["mean"]["rmse"] == pytest.approx(statistics.fmean(rmse))
    assert result["standard_deviation"]["rmse"] == pytest.approx(statistics.stdev(rmse))
    assert sum(fold["protocol"]["ratings"] for fold in result["folds"]) == 1000
    assert run("evaluate", "--split", "split/fold-2", "--model", "fold-1/model").code == 1
    one = run("evaluate", "--split", "split/fold-2", "--model", "fold-2/model", "--json").out
    assert json.loads(one)["rmse"] == rmse[1]


def test_a_published_split(run: Run, data: Path) -> None:
    lines = data.read_text().splitlines(keepends=True)
    Path("u1.base").write_text("".join(lines[:801]))
    Path("u1.test").write_text(lines[0] + "".join(lines[801:]))
    done = run("split", "--train", "u1.base", "--test", "u1.test", "--json")
    assert json.loads(done.out)["ratings"] == {"all": 1000, "train": 800, "test": 200}
    for args, message in (
        (["--train", "u1.base"], "--train goes with --test FILE"),
        (["--test", "u1.test", data], "--test u1.test is no share"),
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
    assert "users filtered out" in done.out
    assert read_split(Path("split")).strategy["removed"]["users"] > 0


def test_bad_rows_are_listed_in_the_split(run: Run, data: Path) -> None:
    data.write_text(data.read_text() + "1,2,x,3\n1\n")
    assert run("split", data).code == 1
    done = run("split", data, "--on-bad-row", "skip")
    assert "rows left out: rating" in done.out
    assert Path("split/rejected.csv").read_text().splitlines()[1].startswith(f"{data},1002,")
    read_split(Path("split"))
    Path("split/rejected.csv").write_text("")
    assert run("train").err.startswith("error: split/rejected.csv: is damaged")


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "mfcli", *map(str, args)]


def test_the_standard_input(tmp_path: Path, data: Path) -> None:
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


def test_killed_at_any_moment_the_old_split_stays(tmp_path: Path, real_csv: Path) -> None:
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
        time.sleep(rng.uniform(0.2, 0.9) if seed else 5)  # the first is left to finish
        process.send_signal(signal.SIGKILL)
        process.wait()
        hashes.add(read_split(tmp_path / "split").hash)
    assert len(hashes) == 2
    subprocess.run(command("split", real_csv), cwd=tmp_path, check=True, capture_output=True)
    assert visible(tmp_path) == ["split"]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_no_temporary_files_are_left(
    tmp_path: Path, real_csv: Path, stop: signal.Signals
) -> None:
    for wait in (0.3, 0.45, 0.6):
        process = subprocess.Popen(
            command("split", *[real_csv] * 40),
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        time.sleep(wait)
        process.send_signal(stop)
        _, err = process.communicate(timeout=20)
        assert b"Traceback" not in err
        assert process.returncode in (0, 128 + stop)
        assert visible(tmp_path) in ([], ["split"])
