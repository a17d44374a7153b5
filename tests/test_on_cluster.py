"""Evaluation, predictions and recommendations on a cluster: the same files as on one machine."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import clusters as code
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from clusters import Machines
from conftest import Outcome, Run
from planted import planted_ratings
from typer.testing import CliRunner

from mfcli import cluster, evaluate, fit
from mfcli.cli import app
from mfcli.clusters import Cluster
from mfcli.config import Config
from mfcli.data import ratings_from
from mfcli.errors import ArtifactError, LimitError, MfcliWarning
from mfcli.evaluation import accumulation
from mfcli.model import Model
from mfcli.predict import recommend
from mfcli.splits import read_split, split, write_split
from mfcli.storage import resources


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a split, a model with samples, and files of pairs and of rated pairs."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((90, 60)) < 0.35)
    table = {
        "user": user * 3,
        "item": [f"i{number}" for number in item],
        "rating": rng.integers(1, 6, len(user)).astype(float),
        "timestamp": rng.integers(10**9, 10**9 + 10**8, len(user)),
    }
    write_split(folder / "split", split(ratings_from(table), Config(test=0.2)))
    config = Config(optimizer="gibbs", k=3, epochs=4, keep_samples=3)
    fit(read_split(folder / "split"), config).model.save(folder / "model")
    pairs = pa.table(
        {
            "user": rng.integers(0, 290, 4000),
            "item": [f"i{number}" for number in rng.integers(0, 65, 4000)],
            "note": ["a, b" if number % 7 == 0 else "" for number in range(4000)],
        }
    )
    pa.csv.write_csv(pairs, folder / "pairs.csv")
    pq.write_table(pairs, folder / "pairs.parquet", row_group_size=700)
    (folder / "rated.csv").write_text("user,item\n0,i1\n0,i2\n3,i7\n")
    return folder


@pytest.fixture
def run(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run commands in the folder of the run, within this process."""
    monkeypatch.chdir(run_folder)
    # A few chunks and pieces, although there are few ratings; workers get what the driver made.
    monkeypatch.setattr(accumulation, "_CHUNK", 70)
    monkeypatch.setattr("mfcli.data.formats.text._BLOCK", 5000)

    def run(*args: object) -> Outcome:
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


COMMANDS = [
    ("recommend", "--all"),
    ("recommend", "--all", "--explain", "--sort", "low", "--rated", "rated.csv"),
    ("recommend", "--all", "--sort", "sample", "--diversity", 0.3, "--exclude", "train"),
    ("recommend", "--users", "users.txt", "--include-rated"),
    ("predict", "pairs.csv", "--interval", 0.8),
    ("predict", "pairs.parquet"),
]


def messages(done: Outcome) -> list[str]:
    """Return the status of a command, and its messages; progress depends on the time it takes."""
    kinds = ("error:", "warning:", "note:")
    return [str(done.code), *(line for line in done.err.splitlines() if line.startswith(kinds))]


def written(run: Run, *args: object) -> dict[str, object]:
    """Return the files that a command writes, and its messages."""
    found: dict[str, object] = {}
    for suffix in ("csv", "parquet"):
        out = Path(f"out.{suffix}")
        done = run(*args, "--out", out)
        found |= {suffix: out.read_bytes(), f"messages for {suffix}": messages(done)}
        out.unlink()
    return found


def measured(run: Run, *args: object) -> tuple[bytes, str, list[str]]:
    """Return the metrics file that a command writes, what it prints, and its messages."""
    done = run("evaluate", *args, "--out", "metrics.json", "--resamples", 50)
    return Path("metrics.json").read_bytes(), done.out, messages(done)


MEASUREMENTS = [
    ("--ranking",),
    ("--ranking", "--protocol", "leave-last-out", "--at", 5),
    ("--on", "train"),
    ("--on", "others.csv"),
]


def counted_maps(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that gets the function of each call of `Cluster.map`."""
    maps, original = list[object](), Cluster.map

    def counted(self: Cluster, function: Any, *args: Any, **how: Any) -> Any:
        maps.append(function)
        return original(self, function, *args, **how)

    monkeypatch.setattr(Cluster, "map", counted)
    return maps


def test_files_do_not_depend_on_the_cluster(
    run: Run, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("users.txt").write_text("3\n0\n6\n3\n")
    Path("others.csv").write_text("user,item,rating\n0,i1,3\n3,i5,2\n999,i5,1\n")
    single = [written(run, *command) for command in COMMANDS]
    assert single[1]["messages for csv"] != ["0"]  # explanations are inaccurate
    single_metrics = [measured(run, *args) for args in MEASUREMENTS]
    maps = counted_maps(monkeypatch)
    with cluster(workers=2):
        assert [written(run, *command) for command in COMMANDS] == single
        for args, expected in zip(MEASUREMENTS, single_metrics, strict=True):
            assert measured(run, *args) == expected
    # Each command writes two files; two measurements are also of rankings.
    assert len(maps) == 2 * len(COMMANDS) + len(MEASUREMENTS) + 2
    with cluster(workers=1):
        assert written(run, *COMMANDS[0]) == single[0]
        assert measured(run, *MEASUREMENTS[0]) == single_metrics[0]


FAULTY = [
    ("faulty.csv",),  # only the strict reader finds the line
    ("faulty.parquet",),
    ("pairs.csv", "--strict"),
]


def test_errors_of_workers_are_those_of_one_machine(run: Run, machines: Machines) -> None:
    lines = Path("pairs.csv").read_text().splitlines()
    Path("faulty.csv").write_text("\n".join([*lines[:3000], "7", *lines[3000:]]))
    pairs = pq.read_table("pairs.parquet")
    missing = pa.array([None if row == 2500 else "i1" for row in range(len(pairs))])
    pq.write_table(pairs.set_column(1, "item", missing), "faulty.parquet", row_group_size=700)
    Path("older.csv").write_text("older\n")
    single = [messages(run("predict", *args, "--out", "older.csv")) for args in FAULTY]
    assert all(status == "1" and len(lines) == 1 for status, *lines in single)
    with cluster(workers=2):
        for args, expected in zip(FAULTY, single, strict=True):
            assert messages(run("predict", *args, "--out", "older.csv")) == expected
    assert Path("older.csv").read_text() == "older\n"


def test_a_folder_that_was_replaced_is_refused(
    tmp_path: Path, run_folder: Path, machines: Machines
) -> None:
    shutil.copytree(run_folder / "split", tmp_path / "split")
    shutil.copytree(run_folder / "model", tmp_path / "model")
    parts, model = read_split(tmp_path / "split"), Model.load(tmp_path / "model")
    with cluster():
        fit(parts, Config(k=2, epochs=1)).model.save(tmp_path / "model")
        with pytest.raises(ArtifactError, match="model: was replaced while it was in use; run"):
            recommend(model)
        model = Model.load(tmp_path / "model")
        write_split(tmp_path / "split", split(parts.train, Config(seed=5)))
        with pytest.raises(ArtifactError, match="split: was replaced while it was in use; run"):
            recommend(model, exclude=parts)
        parts = read_split(tmp_path / "split")
        shutil.rmtree(tmp_path / "split")
        with pytest.raises(ArtifactError, match="cannot be read by all nodes of the cluster; use"):
            recommend(model, exclude=parts)


def test_what_is_only_in_memory_is_sent(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfcli.model.shared_values.OBJECT", 1000)  # so that there are many objects
    ratings, _ = planted_ratings(users=120, items=50)
    parts = split(ratings, Config(strategy="cold-user", test=0.3))
    model = fit(parts, Config(k=3, epochs=2)).model
    config = Config(protocol="strong-generalization", resamples=30)
    known = parts.train.users.ids.filter(pa.array(parts.train.users.counts > 0))
    lists = recommend(model, known, exclude=parts)
    metrics = evaluate(model, parts, config, ranking=True)
    with cluster(workers=2):
        assert recommend(model, known, exclude=parts).equals(lists)
        found = evaluate(model, parts, config, ranking=True)
    assert found.as_dict() == metrics.as_dict()


def test_limits_of_memory_hold_on_workers(run_folder: Path, machines: Machines) -> None:
    model = Model.load(run_folder / "model")
    with cluster(workers=2):
        lists = recommend(model)
        with resources(memory="50MB"), pytest.raises(LimitError, match="recommending items needs"):
            recommend(model)
        with resources(memory="8GB"):
            assert recommend(model).equals(lists)


def test_a_model_that_was_trained_on_several_parts(
    run_folder: Path, tmp_path: Path, machines: Machines
) -> None:
    parts = read_split(run_folder / "split")
    fit(parts.union("train", "test"), Config(k=2, epochs=1)).model.save(tmp_path / "model")
    model = Model.load(tmp_path / "model")
    others = {
        "user": [3] * 60,
        "item": [f"i{number}" for number in range(60)],
        "rating": [4.0] * 60,
    }
    with pytest.warns(MfcliWarning, match="were trained on"):
        single = evaluate(model, parts, Config(resamples=10), on=others, ranking=True)
    with cluster(), pytest.warns(MfcliWarning, match="were trained on"):
        found = evaluate(model, parts, Config(resamples=10), on=others, ranking=True)
    assert found.as_dict() == single.as_dict()


def test_progress_reaches_the_end(run_folder: Path, machines: Machines) -> None:
    parts, model = read_split(run_folder / "split"), Model.load(run_folder / "model")
    seen: dict[str, list[tuple[int, int]]] = {}
    with cluster(workers=2):
        evaluate(
            model,
            parts,
            ranking=True,
            on_progress=lambda stage, *done: seen.setdefault(stage, []).append(done),
        )
    for stage in ("measuring errors", "ranking"):
        assert seen[stage] == sorted(seen[stage])
        assert seen[stage][-1][0] == seen[stage][-1][1] > 0
    assert len(seen["ranking"]) > 2  # parts of the users


def test_a_killed_worker_changes_nothing(
    run: Run, machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [("predict", "pairs.csv"), ("evaluate", "--ranking")]
    out = [Path(name) for name in ("predicted.csv", "metrics.json")]
    how = "--cluster", "auto", "--workers", 2
    runs = [(*command, "--out", file) for command, file in zip(commands, out, strict=True)]
    single = [(run(*words).out, file.read_bytes()) for words, file in zip(runs, out, strict=True)]
    for words, file, expected in zip(runs, out, single, strict=True):
        marker = tmp_path / file.name
        file.unlink()
        with monkeypatch.context() as patch:
            patch.setattr("mfcli.model.shared_values._pickled", Trap(marker, 2))
            assert (run(*words, *how).out, file.read_bytes()) == expected
        assert marker.exists()  # where a worker died


class Trap:
    """Pickles pieces of work, one of which kills the process that unpickles it first."""

    def __init__(self, marker: Path, number: int) -> None:
        self._marker, self._number, self._pieces = str(marker), number, 0

    def __call__(self, piece: object) -> bytes:
        self._pieces += 1
        if self._pieces != self._number:
            return pickle.dumps(piece)
        return pickle.dumps(code.Deadly(piece, self._marker))


def test_a_cluster_is_only_started_if_it_is_used(run: Run) -> None:
    for words in (
        ("recommend", "--user", 3),
        ("predict", "--user", 3, "--item", "i1"),
        ("predict", "pairs.csv", "--threads", 2),
        ("recommend", "--all", "--threads", 2),
    ):
        done = run(*words, "--cluster", "nowhere:1")
        assert done.code == 2
        assert "is not used with" in done.err
