"""`--dry-run` says what a command would do, refuses what that would refuse, and writes nothing."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import Run
from pyarrow import parquet

from mfcli import checks, storage
from mfcli.config import Config
from mfcli.data import survey_ratings
from mfcli.errors import LimitError, UsageError

USERS, ITEMS = 300, 50
LINES = [f"{u},{i},{1 + (u + i) % 5},{1_500_000_000 + u * i}" for u in range(USERS)
         for i in range(ITEMS) if (u * 7 + i) % 3]  # fmt: skip
ROWS = len(LINES)


@pytest.fixture
def work(run: Run) -> Run:
    """Run commands in a folder with ratings and a split of them."""
    Path("data.csv").write_text("user,item,rating,timestamp\n" + "\n".join(LINES) + "\n")
    assert run("split", "data.csv", "--valid", "0.1", "-q").code == 0
    return run


def state(folder: Path = Path()) -> dict[str, Any]:
    """Return the contents and the times of all files and folders."""
    paths = [folder, *folder.rglob("*")]
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in paths
    }


def forecast(run: Run, *args: object) -> dict[str, Any]:
    """Run a command with --dry-run, and check that it changes nothing."""
    before = state()
    outcome = run(*args, "--dry-run", "--json")
    assert outcome.code == 0, outcome.err
    assert state() == before
    value: dict[str, Any] = json.loads(outcome.out)
    return value


def written(folder: Path) -> int:
    paths = [folder, *folder.rglob("*")]
    return sum(path.stat().st_size for path in paths if path.is_file())


def sizes(found: dict[str, Any]) -> dict[str, int]:
    return {one["path"]: one["bytes"] for one in found["writes"]}


def test_a_split(work: Run) -> None:
    found = forecast(work, "split", "data.csv", "--out", "new")
    (read,) = found["reads"]
    assert read["path"] == "data.csv"
    assert read["bytes"] == Path("data.csv").stat().st_size
    assert "user 'user', item 'item', rating 'rating', timestamp 'timestamp'" in read["contents"]
    assert f"about {ROWS:,} ratings" in read["contents"]
    assert found["facts"]["train"] == f"about {float(f'{0.8 * ROWS:.3g}'):,.0f}"
    assert found["fits"] is True
    assert work("split", "data.csv", "--out", "new", "-q").code == 0
    assert written(Path("new")) / 1.5 < sizes(found)["new"] < 1.5 * written(Path("new"))


def test_what_is_replaced(work: Run) -> None:
    (one,) = forecast(work, "split", "data.csv")["writes"]
    assert one["replaces"] == written(Path("split"))


def test_a_training(work: Run) -> None:
    found = forecast(work, "train", "--out", "run", "--threads", "1")
    assert not Path("run").exists()
    (read,) = found["reads"]
    assert read["path"] == "split"
    assert read["bytes"] == written(Path("split"))
    assert f"{USERS} users, {ITEMS} items" in read["contents"]
    assert found["facts"]["epochs"] == "15"
    assert found["facts"]["threads"] == "1"
    assert "engine fast" in found["facts"]["engine"]


@pytest.mark.parametrize(
    "options",
    [
        "--k 10",
        "--k 40 --momentum 0",
        "--k 20 --average 0.5",
        "--k 12 --ensemble 3",
        "--optimizer als --k 20",
        "--optimizer gibbs --k 20",
        "--optimizer gibbs --k 20 --prior shared",
        "--optimizer gibbs --k 12 --ensemble 2 --keep-samples 6",
    ],
)
def test_sizes_of_results(work: Run, options: str) -> None:
    command = ["train", *options.split(), "--epochs", "8", "--out", "run"]
    expected = sizes(forecast(work, *command))
    assert work(*command, "-q").code == 0
    for name in ("run/model", "run/history.json", "run/checkpoint"):
        actual = written(Path(name))
        assert actual / 1.5 < expected[name] < 1.5 * actual, name


def test_a_resumed_training(work: Run) -> None:
    assert work("train", "--epochs", "3", "-q").code == 0
    found = forecast(work, "train", "--resume", "--epochs", "5")
    assert found["facts"]["epochs"] == "5, of which 3 are done"
    assert [one["path"] for one in found["reads"]] == ["split", "checkpoint"]
    assert found["writes"][0]["replaces"] == written(Path("model"))


@pytest.mark.parametrize("options", ["", "--optimizer als --target rated --unrated-weight 0.1"])
def test_events(work: Run, options: str) -> None:
    places = ("--out", "run", "--log", "e", "--tensorboard", "b")
    command = ("train", *places, *options.split(), "--epochs", "30")
    found = forecast(work, *command)
    assert [one["path"] for one in found["writes"]][3:] == ["e", "b"]
    assert work(*command, "-q").code == 0
    assert Path("e").stat().st_size / 1.5 < sizes(found)["e"] < 1.5 * Path("e").stat().st_size
    assert written(Path("b")) / 1.5 < sizes(found)["b"] < 1.5 * written(Path("b"))
    rest = forecast(work, "train", *places, "--resume", "--epochs", "45")
    assert sizes(rest)["e"] < sizes(found)["e"]


def test_folds_and_a_refit(work: Run) -> None:
    assert (
        work("split", "data.csv", "--strategy", "k-fold", "--folds", "3", "--out", "f", "-q")[0]
        == 0
    )
    found = forecast(work, "train", "--split", "f", "--out", "run")
    assert [one["path"] for one in found["reads"]] == ["f"]
    assert [one["path"] for one in found["writes"]][::3] == [
        f"run/fold-{n}/model" for n in (1, 2, 3)
    ]
    assert found["facts"]["folds"] == "3"
    one = forecast(work, "train", "--split", "f/fold-1", "--out", "run")
    assert one["reads"][0]["bytes"] == found["reads"][0]["bytes"]
    refit = forecast(work, "train", "--refit")
    assert f"{ROWS:,} train" in refit["reads"][0]["contents"]


def test_a_search(work: Run) -> None:
    others = ("--optimizer", "sgd", "--storage", "s.jsonl", "--out", "t.toml")
    first = forecast(work, "tune", "--trials", "6", *others)
    assert first["facts"]["trials"] == "6"
    assert [one["path"] for one in first["writes"]] == ["t.toml", "s.jsonl"]
    assert work("tune", "--trials", "2", *others, "-q").code == 0
    rest = forecast(work, "tune", "--trials", "6", *others, "--minutes", "0.01")
    assert rest["facts"]["trials"] == "6 (2 of them stored)"
    assert rest["seconds"] <= 0.6 < first["seconds"]
    assert {one["path"]: one["contents"] for one in rest["reads"]}["s.jsonl"] == "2 trials"
    done = forecast(work, "tune", "--trials", "2", *others)
    assert done["facts"]["trials"] == "2 (2 of them stored)"


def test_the_settings_file_is_read(work: Run) -> None:
    Path("mfcli.toml").write_text("k = 7\n")
    found = forecast(work, "train")
    assert found["reads"][0] == {"path": "mfcli.toml", "bytes": 6, "contents": "settings"}
    assert found["facts"]["model"] == "sgd, k 7"


REFUSALS = [
    ("split missing.csv", "missing.csv: cannot be read: No such file or directory"),
    ("split header.csv", "header.csv: holds no rating, only a header"),
    ("split data.csv --out busy", "busy: holds files that mfcli did not write ('mine')"),
    ("split data.csv --out data.csv/x", "cannot be written"),
    ("split data.csv --time-col '' --strategy temporal", "have no timestamps to split by"),
    ("split data.csv --user-col who", "has no column 'who'"),
    ("split data.csv --test 1.5", "--test must be at least 0 and below 1"),
    ("train --split missing", "missing: holds no split; make one with: mfcli split"),
    ("train --out busy/run", "busy/run/model: holds files that mfcli did not write ('mine')"),
    ("train --out data.csv", "data.csv: cannot be written"),
    ("train --out split", "--out split is the split folder; choose another"),
    ("train --resume --out new", "new/checkpoint: holds no checkpoint"),
    ("train --k 0", "--k must be at least 1"),
    ("train --prior shared", "--prior is not used with --optimizer sgd"),
    ("train --memory 300MB --k 30000", "training with k 30000 needs about"),
    ("train --optimizer als --keep-samples 5", "--keep-samples is not used with"),
    ("train --log busy/mine", "busy/mine: is not a log of events; choose another file"),
    ("train --log busy", "busy: must be a regular file or a pipe"),
    ("train --log data.csv/e", "data.csv/e: cannot be written: File exists"),
    ("train --log split/e", "--log is in the split folder, split"),
    ("train --tensorboard busy/mine", "busy/mine: must be a folder"),
    ("train --log e --tensorboard e/b", "--tensorboard must not be in the file of --log e"),
    ("tune --split missing", "missing: holds no split"),
    ("tune --plot data.csv/x.png", "data.csv/x.png: cannot be written: File exists"),
    ("tune --out busy/mine", "busy/mine: already exists, with settings"),
    ("tune --plot x.gif", "x.gif"),
    ("tune --storage busy/mine", "busy/mine: is not a search of mfcli tune"),
    ("tune --space missing.toml", "missing.toml: cannot be read"),
]
"""Commands, and what their errors say."""


@pytest.mark.parametrize(("command", "message"), REFUSALS)
def test_refusals_are_those_of_the_command(work: Run, command: str, message: str) -> None:
    for folder in ("busy", "busy/run/model"):
        Path(folder).mkdir(parents=True)
        Path(folder, "mine").write_text("precious")
    Path("header.csv").write_text("user,item,rating\n")
    words = command.replace("''", "").split(" ")
    before = state()
    dry = work(*words, "--dry-run")
    assert state() == before
    assert message in dry.err
    real = work(*words, "-q")
    # What is free depends on what the process has loaded.
    assert (dry.code, before_numbers(dry.err)) == (real.code, before_numbers(real.err))


def before_numbers(error: str) -> str:
    return error.partition(" needs about ")[0]


def test_a_locked_folder_is_refused(work: Run) -> None:
    with storage.locked(Path("run")):
        outcome = work("train", "--out", "run", "--dry-run")
        assert outcome.code == 1
        assert "run: another process is writing to this folder" in outcome.err
    assert work("train", "--out", "run", "--dry-run").code == 0


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_permission_is_refused(work: Run) -> None:
    Path("closed").mkdir(mode=0o500)
    outcome = work("train", "--out", "closed/run", "--dry-run")
    assert (outcome.code, "Permission denied" in outcome.err) == (1, True)


def test_a_full_disk_is_refused(work: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfcli.checks.forecast.free_space", lambda folder: 10)
    outcome = work("train", "--dry-run")
    assert outcome.code == 1
    assert "the results need about" in outcome.err


def test_memory_and_temporary_space(tmp_path: Path, work: Run) -> None:
    """With little room, ratings go through the disk, as in the command itself."""
    with storage.resources(room=0):
        survey = survey_ratings("data.csv")
        found = checks.forecast_split({"all": survey}, Config(), tmp_path / "new")
    assert found.temporary is not None
    assert found.temporary.need == survey.rows * (survey.row_bytes + 5)
    assert found.facts["ratings"].endswith("on disk")
    plenty = checks.forecast_split({"all": survey}, Config(), tmp_path / "new")
    assert plenty.temporary is None
    with storage.resources(room=0), storage.inspecting(), pytest.raises(LimitError):
        huge = survey_ratings("data.csv").__class__(**vars(survey) | {"rows": 10**15})
        checks.forecast_split({"all": huge}, Config(), tmp_path / "new")


def test_a_limit_that_the_process_exceeds_is_refused(work: Run) -> None:
    for words in (["-q"], ["--dry-run"]):
        outcome = work("split", "data.csv", "--out", "new", "--memory", "10MB", *words)
        assert outcome.code == 1
        assert "of memory, 0 bytes are free" in outcome.err


def test_what_a_quick_look_cannot_see_is_refused(work: Run) -> None:
    with pytest.raises(UsageError):
        survey_ratings("-")
    assert work("split", "-", "--dry-run").code == 2
    address = work("train", "--split", "s3://bucket/split", "--dry-run")
    assert address.err == "error: --dry-run takes local paths, not addresses in an object store\n"
    cluster = work("train", "--cluster", "local", "--dry-run")
    assert cluster.err == "error: --dry-run is not used with --cluster; omit one of them\n"


def test_rows_of_all_kinds_of_files(tmp_path: Path) -> None:
    text = "user,item,rating\n" + "".join(f"{n},{n % 7},{n % 5}\n" for n in range(300_000))
    files = {
        "plain.csv": text.encode(),
        "packed.csv.gz": gzip.compress(text.encode(), 1),
        "packed.csv.bz2": bz2.compress(text.encode(), 1),
        "wide.csv": text.encode("utf-16"),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        survey = survey_ratings(tmp_path / name)
        assert not survey.exact
        assert survey.rows == pytest.approx(300_000, rel=0.1), name
        assert survey.compressed == (name != "plain.csv" and name != "wide.csv")
    numbers = np.arange(5_000)
    table = pa.table({"user": numbers, "item": numbers % 7, "rating": numbers % 5})
    parquet.write_table(table, tmp_path / "ratings.parquet")
    survey = survey_ratings(tmp_path / "ratings.parquet")
    assert (survey.rows, survey.exact) == (5_000, True)


def test_no_library_is_loaded_that_writes_a_cache(work: Run) -> None:
    """Matplotlib keeps a list of fonts in the home folder."""
    code = """
import sys
from mfcli.cli import app
try:
    app()
finally:
    assert "matplotlib" not in sys.modules
"""
    words = ["tune", "--plot", "x.png", "--trials", "3", "--dry-run", "-q"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nothing_can_be_written_in_a_dry_run(tmp_path: Path) -> None:
    """A write that was overlooked would be an error."""
    with storage.inspecting():
        with pytest.raises(RuntimeError), storage.replacing_file(tmp_path / "a"):
            pass
        with pytest.raises(RuntimeError), storage.scratch_file():
            pass
        with pytest.raises(RuntimeError), storage.scratch_folder():
            pass
    assert list(tmp_path.iterdir()) == []


def test_more_work_takes_longer(work: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimates increase with epochs and factors, and decrease with threads, up to the cores."""
    monkeypatch.setattr("mfcli.checks.speeds.cores", lambda: 2)

    def seconds(*options: object) -> float:
        return float(forecast(work, "train", "--optimizer", "gibbs", *options)["seconds"])

    usual = seconds("--k", "15", "--epochs", "5000", "--threads", "1")
    assert seconds("--k", "15", "--epochs", "10000", "--threads", "1") > 1.5 * usual
    assert seconds("--k", "63", "--epochs", "5000", "--threads", "1") > 3 * usual
    assert seconds("--k", "15", "--epochs", "5000", "--threads", "2") < usual
    many = [seconds("--k", "15", "--epochs", "5000", "--threads", str(n)) for n in (2, 64)]
    assert many[0] == many[1]
    keras = forecast(work, "train", "--engine", "keras")["seconds"]
    assert keras > 2 * forecast(work, "train")["seconds"]


def test_the_output_says_that_nothing_was_written(work: Run) -> None:
    outcome = work("train", "--dry-run")
    assert outcome.out.endswith("it fits; nothing was written\n")
    assert "space for results" in outcome.out
