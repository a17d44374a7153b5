"""Events: logs that survive kills and full disks, and files that TensorBoard reads."""

from __future__ import annotations

import json
import math
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Outcome, Run
from planted import planted_ratings, planted_split

import mfcli
from mfcli.config import Config
from mfcli.errors import ArtifactError, MfcliWarning
from mfcli.events import EventLog, LogReader, TensorBoard, followed, read_log, run_name
from mfcli.events.crc32c import crc32c
from mfcli.events.event import line_of
from mfcli.events.protobuf import integer
from mfcli.events.tensorboard import TAGS
from mfcli.splits import split, write_split
from mfcli.training import Epoch, History, Plan, read_checkpoint

SHORT = ("train", "--epochs", 3, "--k", 2, "-q", "--log", "events.jsonl")


@pytest.fixture
def ready(run: Run) -> Run:
    """Runs commands in a folder with a small split."""
    write_split(Path("split"), planted_split(Config(valid=0.1)))
    return run


def events_in(path: Path | str = "events.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("ascii").splitlines()]


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def succeeds(done: Outcome) -> Outcome:
    assert done.code == 0, done.err
    return done


# The log of a training


def test_a_log_tells_the_plan_each_epoch_checkpoints_and_the_result(ready: Run) -> None:
    summary = json.loads(succeeds(ready(*SHORT, "--checkpoint-every", 2, "--json")).out)
    events = events_in()
    plan, *others, result = events
    assert kinds(others) == ["epoch", "epoch", "checkpoint", "epoch", "checkpoint"]
    assert [one["path"] for one in others if "path" in one] == [
        str(Path("checkpoint").resolve())
    ] * 2
    history = History.read("history.json")
    for row, epoch in zip(
        [one for one in others if "path" not in one], history.epochs(), strict=True
    ):
        values = {name: value for name, value in vars(epoch).items() if value is not None}
        assert {name: row[name] for name in row if name not in ("event", "time", "run")} == values
    assert (plan["event"], plan["format"], plan["mfcli"]) == ("plan", 1, mfcli.__version__)
    parts = mfcli.read_split("split")
    assert plan["settings"] == summary["config"]
    assert (plan["ratings"], plan["split"], plan["held_out"]) == (
        len(parts.train), parts.hash, len(parts.valid)
    )  # fmt: skip
    users, items = plan["users"], plan["items"]
    assert plan["tables"] == {
        "user_factors": [users, 2],
        "item_factors": [items, 2],
        "user_biases": [users, 1],
        "item_biases": [items, 1],
    }
    assert plan["parameters"] == 3 * (users + items)
    assert plan["memory"] > 4 * plan["parameters"]
    assert (plan["trained_on"], plan["validated_on"], plan["resumed"]) == (["train"], "valid", 0)
    assert (plan["engine"], plan["blocks"], plan["workers"]) == ("fast", 1, 0)
    assert plan["out"] == str(Path().resolve())
    for name in ("epoch", "epochs", "loss", "mse", "val_loss", "val_mse", "seconds"):
        assert result[name] == summary[name]
    assert result["model"] == str(Path("model").resolve())
    assert result["history"] == str(Path("history.json").resolve())


def test_events_have_the_time_and_a_run_that_is_not_from_the_seed(ready: Run) -> None:
    before = time.time()
    for _ in range(2):
        succeeds(ready(*SHORT, "--seed", 7))
    events = events_in()
    assert len({event["run"] for event in events}) == 2
    assert all("fold" not in event for event in events)
    times = [datetime.fromisoformat(event["time"]).timestamp() for event in events]
    assert times == sorted(times)
    assert before - 0.001 <= times[0] <= times[-1] <= time.time()
    assert [*read_log(Path("events.jsonl"))] == [
        f"{Path().resolve().name} {run}" for run in dict.fromkeys(event["run"] for event in events)
    ]


def test_folds_share_a_run(run: Run) -> None:
    ratings, _ = planted_ratings()
    write_split(Path("split"), split(ratings, Config(strategy="k-fold", folds=2)))
    succeeds(run(*SHORT, "--out", "cv"))
    events = events_in()
    assert len({event["run"] for event in events}) == 1
    assert [(one["fold"], one["folds"]) for one in events if "folds" in one] == [(1, 2), (2, 2)]
    assert {event["fold"] for event in events} == {1, 2}
    found = read_log(Path("events.jsonl"))
    for n in (1, 2):
        assert found[f"fold {n}"].lists == History.read(f"cv/fold-{n}/history.json").lists


@pytest.mark.parametrize(
    ("words", "epochs"),
    [
        (("--optimizer", "gibbs", "--ensemble", 2), 3),
        (("--patience", 2, "--epochs", 50, "--lr", 0.5), None),
        (("--optimizer", "als", "--target", "rated", "--unrated-weight", 0.1), 3),
    ],
    ids=["ensemble", "patience", "rankings"],
)
def test_the_log_of_any_training_holds_its_history(
    ready: Run, words: tuple[object, ...], epochs: int | None
) -> None:
    succeeds(ready(*SHORT, *words))
    history = History.read("history.json")
    (found,) = read_log(Path("events.jsonl")).values()
    assert found.lists == history.lists
    result = events_in()[-1]
    assert result["epochs"] == len(history) == (epochs or len(history))
    best = result["epoch"]
    assert result["loss"] == history.lists["loss"][best - 1]
    assert best == len(history) if epochs else best < len(history) < 50


def test_a_refit_says_what_it_is_trained_on(ready: Run) -> None:
    succeeds(ready(*SHORT))
    succeeds(ready("train", "--refit", "--out", "whole", "-q", "--log", "refit.jsonl", "--k", 2))
    plan, *_ = events_in("refit.jsonl")
    assert plan["trained_on"] == ["train", "valid", "test"]
    assert (plan["validated_on"], plan["held_out"]) == (None, 0)


def test_an_error_is_the_last_event(ready: Run) -> None:
    done = ready(*SHORT, "--lr", 1000)
    assert done.code == 1
    event = events_in()[-1]
    assert event["event"] == "error"
    assert done.err == f"error: {event['message']}\n"
    assert "--lr" in event["message"]


def test_ctrl_c_is_an_event(tmp_path: Path) -> None:
    def stop(epoch: Epoch) -> None:
        raise KeyboardInterrupt

    parts, path = planted_split(Config(valid=0.1)), tmp_path / "e.jsonl"
    with (
        pytest.raises(KeyboardInterrupt),
        EventLog(path) as log,
        followed(parts, Config(k=2), log) as told,
    ):
        mfcli.fit(parts, Config(k=2), on_plan=told.on_plan, on_epoch=stop)
    assert [(one["event"], one.get("message")) for one in events_in(path)] == [
        ("plan", None),
        ("error", "stopped"),
    ]


def test_python_follows_a_training_with_any_object(tmp_path: Path) -> None:
    class Events(list[dict[str, Any]]):
        take = list.append

    parts, config, taken = planted_split(Config(valid=0.1)), Config(k=2, epochs=2), Events()
    with followed(parts, config, taken, threads=1) as told:
        fitted = mfcli.fit(parts, config, **told.hooks)
        told.result(fitted)
    assert kinds(taken) == ["plan", "epoch", "epoch", "result"]
    assert taken[0]["threads"] == 1
    assert taken[-1]["val_mse"] == fitted.losses["val_mse"]
    assert taken[-1]["model"] is None
    with pytest.raises(ZeroDivisionError), followed(parts, config, taken):
        raise ZeroDivisionError("by\nzero")
    assert taken[-1]["message"] == "ZeroDivisionError: by zero"


# Interruptions


def test_a_killed_training_leaves_a_log_that_its_resumption_continues(tmp_path: Path) -> None:
    write_split(tmp_path / "split", planted_split(Config(valid=0.1)))
    log = tmp_path / "events.jsonl"
    words = ["train", "--k", "2", "-q", "--log", "events.jsonl", "--checkpoint-every", "3"]
    command = [sys.executable, "-m", "mfcli", *words, "--epochs", "1000000"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    while not (log.exists() and log.read_bytes().count(b"\n") > 20):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    done = len(read_checkpoint(tmp_path / "checkpoint").history)
    assert done > 3
    with log.open("ab") as file:  # cut within a line, as a crash of the machine may do
        file.write(b'{"event": "epoch", "ti')
    resume = ["train", "--resume", "--epochs", str(done + 2), "-q", "--log", "events.jsonl"]
    finished = subprocess.run(
        [sys.executable, "-m", "mfcli", *resume], cwd=tmp_path, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    assert not finished.stderr
    before, cut, after = log.read_bytes().partition(b'{"event": "epoch", "ti\n')
    assert cut
    earlier, later = ([json.loads(line) for line in part.splitlines()] for part in (before, after))
    assert {event["run"] for event in earlier + later} == {earlier[0]["run"]}
    assert later[0]["resumed"] == done
    assert [one["epoch"] for one in later if one["event"] == "epoch"] == [done + 1, done + 2]
    reader = LogReader(log)
    reader.read()
    (training,) = reader.trainings.values()
    assert training.history.lists == History.read(tmp_path / "history.json").lists
    assert not reader.running[training.run]


def test_a_training_that_nobody_followed_gets_a_run_when_it_is_resumed(ready: Run) -> None:
    ready("train", "--epochs", 2, "--k", 2, "-q")
    assert read_checkpoint(Path("checkpoint")).run == ""
    succeeds(ready("train", "--resume", "--epochs", 3, "-q", "--log", "events.jsonl"))
    plan, *_ = events_in()
    assert plan["resumed"] == 2
    assert read_checkpoint(Path("checkpoint")).run == plan["run"]
    assert math.isnan(read_log(Path("events.jsonl"))[Path().resolve().name].lists["loss"][0])


def test_a_run_of_a_checkpoint_is_no_path() -> None:
    assert run_name("0123456789ab") == "0123456789ab"
    for name in ("../../0123456789ab", "*", "0123456789ab\n", ""):
        assert run_name(name) != name


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"

    def write(number: int) -> None:
        for n in range(200):
            with EventLog(path) as log:  # also while others write
                log.take({"event": "epoch", "run": str(number), "epoch": n, "text": "x" * 300})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = events_in(path)
    for number in range(4):
        assert [one["epoch"] for one in found if one["run"] == str(number)] == [*range(200)]


def test_readers_skip_what_is_no_event(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    lines = [
        b'{"event": "plan", "run": "a", "resumed": "x", "folds": -1, "out": 3}',
        b'{"event": "epoch", "run": "a", "epoch": 1, "loss": 0.5, "mse": null, "seconds": 1e999}',
        b"",
        b"no JSON \xff",
        b"[" * 100_000,
        b"[1]",
        b'{"event": 1, "run": "a"}',
        b'{"event": "epoch", "run": ["a"], "epoch": 2, "loss": 0.4}',
        b'{"event": "epoch", "run": "a", "epoch": 1e9, "loss": 0.4}',
        b'{"event": "epoch", "run": "a", "epoch": 99999999, "loss": 0.4}',
        b'{"event": "epoch", "run": "a", "epoch": 3, "loss": 1' + b"0" * 5000 + b"}",
        b'{"event": "epoch", "run": "a", "epoch": 2, "loss": 1' + b"0" * 400 + b"}",
        b'{"event": "new in a later version", "run": "a"}',
        b'{"event": "epoch", "run": "a", "epoch": 4, "loss": NaN}',
        b'{"event": "result", "run": "a"',
    ]
    path.write_bytes(b"\n".join(lines))
    reader = LogReader(path)
    reader.read()
    (training,) = reader.trainings.values()
    lists = training.history.lists
    assert lists["loss"][0] == 0.5
    assert np.isnan([*lists["loss"][1:], *lists["mse"], *lists["seconds"]]).all()
    assert len(training.history) == 4
    assert reader.running == {"a": True}


# Values of JSON


def test_values_are_those_that_every_parser_reads() -> None:
    values = {"x": math.nan, "y": [math.inf, (-math.inf, 0.1)], "\ud800": "a\udcff\u202eb\n"}
    line = line_of({"event": "plan", **values})
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1

    def refused(text: str) -> None:
        raise AssertionError(text)

    found = json.loads(line.decode("ascii"), parse_constant=refused)
    assert found == {"event": "plan", "x": None, "y": [None, [None, 0.1]], "?": "a?\u202eb\n"}


def test_losses_keep_their_bits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = [float(x) for x in rng.normal(size=50) * 10.0 ** rng.integers(-30, 29, 50)]
    with EventLog(tmp_path / "e") as log:
        for n, value in enumerate(values, 1):
            log.take({"event": "epoch", "run": "a", "epoch": n, "loss": value})
    assert read_log(tmp_path / "e")["a"].lists["loss"] == values


# Places


REFUSED = {
    "history.json": "--log is a place of results, history.json, got 'history.json'",
    "./checkpoint/e.jsonl": "--log is in a place of results, checkpoint, got",
    "model": "--log is a place of results, model",
    "metrics.json": "--log is a place of results, metrics.json",
    "split/e.jsonl": "--log is in the split folder, split, got 'split/e.jsonl'",
    "link/e.jsonl": "--log is in the split folder, split, got 'link/e.jsonl'",
    "other/history.json": "other/history.json: is a result of mfcli; choose another place",
    "other/model/e.jsonl": "other/model/e.jsonl: belongs to the result that other/model/model.json",
    "data.csv": "data.csv: is not a log of events; choose another file",
    "data.csv/e": "data.csv/e: cannot be written: ",
    "other": "other: must be a regular file or a pipe; choose another file",
    "/dev/null": "/dev/null: must be a regular file or a pipe",
    "pipe": "pipe: is a pipe that nothing reads; start its reader first",
    "-": "-: is standard output, which is for the result; choose a file or a named pipe",
    "s3://bucket/e.jsonl": "--log must be a local path, not an address in an object store",
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the places of `REFUSED`."""
    folder = tmp_path_factory.mktemp("places")
    parts = planted_split(Config(valid=0.1))
    write_split(folder / "split", parts)
    mfcli.fit(parts, Config(k=2, epochs=1)).write(folder / "other")
    (folder / "data.csv").write_text("user,item,rating\n")
    (folder / "link").symlink_to("split")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.mark.parametrize("place", REFUSED)
def test_results_and_other_files_are_no_logs(
    places: Path, run: Run, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(places)
    before = sorted(places.rglob("*"))
    done = run("train", "--epochs", 1, "--log", place)
    assert done.code in (1, 2)
    assert done.err.startswith(f"error: {REFUSED[place]}")
    assert done.err.count("\n") == 1
    assert sorted(places.rglob("*")) == before


@pytest.mark.parametrize("place", ["model", "checkpoint/tb", "split", "other/model", "data.csv"])
def test_results_and_files_are_no_folders_of_tensorboard(
    places: Path, run: Run, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(places)
    before = sorted(places.rglob("*"))
    done = run("train", "--epochs", 1, "--tensorboard", place)
    assert done.code in (1, 2)
    starts = ("--tensorboard is", f"{place}/events: ", "data.csv: must be a folder; choose another")
    assert done.err.removeprefix("error: ").startswith(starts)
    assert sorted(places.rglob("*")) == before


def test_standard_output_is_not_for_events(tmp_path: Path) -> None:
    write_split(tmp_path / "split", planted_split(Config(valid=0.1)))
    command = [sys.executable, "-m", "mfcli", *map(str, SHORT[:-1]), "/dev/stdout"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: /dev/stdout: is standard output, which is for the result")
    assert not (tmp_path / "history.json").exists()


def test_a_pipe_gets_the_events(ready: Run) -> None:
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    succeeds(ready(*SHORT[:-1], "pipe"))
    with os.fdopen(reader, "rb") as file:  # its buffer holds all of them
        lines = file.read().splitlines()
    assert kinds([json.loads(line) for line in lines])[::5] == ["plan", "result"]


def test_a_reader_of_a_pipe_may_leave(tmp_path: Path) -> None:
    pipe, event = tmp_path / "pipe", {"event": "epoch"}
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with EventLog(pipe) as log:
        log.take(event)
        os.close(reader)
        with pytest.warns(MfcliWarning, match="Broken pipe; training continues"):
            log.take(event)
        log.take(event)


# Full disks


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Limit the size of files, as a full disk does: the last write is short."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_loses_events_but_no_training(ready: Run) -> None:
    filler = line_of({"event": "other", "run": "a", "text": "x" * 999_000})
    Path("events.jsonl").write_bytes(filler)
    with largest_file(len(filler) + 1500):  # room for the plan, and a part of an epoch
        done = succeeds(ready(*SHORT))
    assert done.err == (
        "warning: events.jsonl: cannot be written: File too large; training continues, but events"
        " are missing there\n"
    )
    assert len(History.read("history.json")) == 3
    lines = Path("events.jsonl").read_bytes().split(b"\n")
    assert lines[-1][:10] == b'{"event": '
    succeeds(ready(*SHORT))
    first = read_log(Path("events.jsonl"))
    assert len(first) == 1 + (b'"epoch"' in lines[-2])
    assert [*first.values()][-1].lists == History.read("history.json").lists


def test_what_follows_a_cut_line_is_whole(tmp_path: Path) -> None:
    with EventLog(tmp_path / "e") as log:
        log.take({"event": "epoch", "run": "a", "epoch": 1, "loss": 1.0})
        with largest_file(70), pytest.warns(MfcliWarning, match="cannot be written"):
            log.take({"event": "epoch", "run": "a", "epoch": 2, "loss": 2.0})
        with largest_file(70):  # no second warning
            log.take({"event": "epoch", "run": "a", "epoch": 2, "loss": 2.0})
        log.take({"event": "epoch", "run": "a", "epoch": 3, "loss": 3.0})
    lines = (tmp_path / "e").read_bytes().split(b"\n")
    assert [len(line) for line in lines] == [55, 14, 55, 0]
    found = read_log(tmp_path / "e")["a"].lists["loss"]
    assert found[0::2] == [1.0, 3.0]
    assert math.isnan(found[1])


# TensorBoard


READERS = ("event_accumulator", "plugin_event_accumulator")
"""The modules with which TensorBoard reads events: for programs, and for its own pages."""


@pytest.fixture(scope="module")
def accumulated() -> Iterator[Callable[..., Any]]:
    """Reads a folder as TensorBoard does, without TensorFlow."""
    with pytest.MonkeyPatch.context() as patch:
        # TensorBoard itself asks for this module to tell whether to import TensorFlow.
        patch.setitem(sys.modules, "tensorboard.compat.notf", types.ModuleType("notf"))

        def read(folder: Path, reader: str = READERS[1]) -> Any:
            module = pytest.importorskip(f"tensorboard.backend.event_processing.{reader}")
            found = module.EventAccumulator(
                str(folder),
                size_guidance={"tensors": 0},
                **({"tensor_size_guidance": {"scalars": 0}} if reader == READERS[1] else {}),
            )
            found.Reload()
            return found

        yield read


def scalars(found: Any, tag: str) -> dict[int, list[float]]:
    points = found.Tensors(tag)
    assert len({one.step for one in points}) == len(points)
    return {one.step: list(one.tensor_proto.float_val) for one in points}


@pytest.mark.parametrize("reader", READERS)
def test_tensorboard_reads_the_history(
    ready: Run, accumulated: Callable[..., Any], reader: str
) -> None:
    words = ("--tensorboard", "tb", "--epochs", 12, "--out", "runs/a b<c>", "--nesterov")
    succeeds(ready(*SHORT, *words))
    (folder,) = Path("tb").iterdir()
    plan, *_ = events_in()
    assert re.fullmatch(rf"a-b-c-_20\d\d-\d\d-\d\d_\d\d-\d\d-\d\d_{plan['run']}", folder.name)
    found, history = accumulated(folder, reader), History.read("runs/a b<c>/history.json")
    assert found.file_version == 2.0
    for name, values in history.lists.items():
        expected = {n: [float(np.float32(value))] for n, value in enumerate(values, 1)}
        assert scalars(found, TAGS[name]) == expected
        metadata = found.SummaryMetadata(TAGS[name])
        assert (metadata.plugin_data.plugin_name, metadata.data_class) == ("scalars", 1)
    assert {*found.Tags()["tensors"]} == {*map(TAGS.get, history.lists), *HPARAMS}
    assert TAGS.keys() == {*vars(history.epochs()[0])} - {"epoch"}


HPARAMS = ["_hparams_/session_start_info", "_hparams_/session_end_info"]


def test_tensorboard_reads_the_settings_and_the_end(
    ready: Run, accumulated: Callable[..., Any]
) -> None:
    metadata = pytest.importorskip("tensorboard.plugins.hparams.metadata")
    succeeds(ready(*SHORT, "--tensorboard", "good", "--nesterov"))
    ready(*SHORT, "--tensorboard", "bad", "--lr", 1000)
    for place, status in (("good", 1), ("bad", 2)):
        (folder,) = Path(place).iterdir()
        contents = accumulated(folder).PluginTagToContent("hparams")
        start = metadata.parse_session_start_info_plugin_data(contents[HPARAMS[0]])
        shown = {n: getattr(v, v.WhichOneof("kind")) for n, v in start.hparams.items()}
        settings = next(event["settings"] for event in events_in() if event["event"] == "plan")
        if status == 1:
            assert shown == settings
            assert {type(shown[name]) for name in ("nesterov", "optimizer")} == {bool, str}
        assert folder.name.endswith(start.group_name)
        end = metadata.parse_session_end_info_plugin_data(contents[HPARAMS[1]])
        assert end.status == status
        assert end.end_time_secs >= start.start_time_secs > time.time() - 60


def test_a_resumed_training_continues_in_its_folder(
    accumulated: Callable[..., Any], tmp_path: Path
) -> None:
    """Epochs after the checkpoint were lost; those that are trained again replace them."""
    parts, config = planted_split(Config(valid=0.1)), Config(k=2)
    name, plan = run_name(), Plan("fast", 1, "")
    for resumed, epochs in ((0, range(1, 6)), (3, range(4, 8))):
        details = {"run": name, "resumed": resumed}
        with (
            TensorBoard(tmp_path / "tb") as board,
            followed(parts, config, board, **details) as training,
        ):
            training.on_plan(plan)
            for n in epochs:  # the first training is killed, so its end is missing
                training.on_epoch(Epoch(n, n + resumed / 8, 1.0, None, None, 0.1))
    (folder,) = (tmp_path / "tb").iterdir()
    assert len([*folder.iterdir()]) == 2
    expected = {n: [n + 3 / 8 * (n > 3)] for n in range(1, 8)}
    assert scalars(accumulated(folder), "loss/train") == expected
    assert "loss/validation" not in accumulated(folder).Tags()["tensors"]


def test_each_fold_has_a_folder_in_that_of_the_run(
    run: Run, accumulated: Callable[..., Any]
) -> None:
    ratings, _ = planted_ratings()
    write_split(Path("split"), split(ratings, Config(strategy="k-fold", folds=2)))
    succeeds(run(*SHORT, "--tensorboard", "tb", "--out", "cv"))
    (folder,) = Path("tb").iterdir()
    assert folder.name.startswith("cv_")
    assert sorted(path.name for path in folder.iterdir()) == ["fold-1", "fold-2"]
    for n in (1, 2):
        losses = History.read(f"cv/fold-{n}/history.json").lists["val_loss"]
        found = scalars(accumulated(folder / f"fold-{n}"), "loss/validation")
        assert found == {m: [float(np.float32(loss))] for m, loss in enumerate(losses, 1)}


def test_tensorboard_reads_what_a_full_disk_leaves(
    accumulated: Callable[..., Any], tmp_path: Path
) -> None:
    parts, config = planted_split(Config(valid=0.1)), Config(k=2)
    epochs = [Epoch(n, 1 / n, 1.0, None, None, 0.1) for n in range(1, 9)]
    with TensorBoard(tmp_path) as board, followed(parts, config, board) as told:
        told.on_plan(Plan("fast", 1, ""))
        for epoch in epochs[:3]:
            told.on_epoch(epoch)
        (file,) = tmp_path.glob("*/events*")
        with largest_file(file.stat().st_size + 20):
            with pytest.warns(MfcliWarning, match="File too large; training continues"):
                told.on_epoch(epochs[3])
            told.on_epoch(epochs[4])  # no second warning
        for epoch in epochs[5:]:
            told.on_epoch(epoch)
    found = scalars(accumulated(file.parent), "loss/train")
    assert found == {n: [float(np.float32(1 / n))] for n in (1, 2, 3, 6, 7, 8)}


def test_checksums_are_those_of_the_standard() -> None:
    """The check value, and examples of RFC 3720, B.4."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes([255] * 32)) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert integer(1, 300) == bytes([8, 0xAC, 2])  # an example of the description


def test_nothing_here_imports_tensorflow(tmp_path: Path) -> None:
    code = """
import sys
from mfcli.events import TensorBoard
TensorBoard("tb")
assert not {"tensorflow", "tensorboard", "google.protobuf"} & {*sys.modules}
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr


# The example for MLflow

FAKE = """
import contextlib, json
calls = []
def log_params(params): calls.append(["params", params])
def log_metrics(metrics, step=None): calls.append(["metrics", metrics, step])
def log_artifacts(folder): calls.append(["artifacts", folder])
@contextlib.contextmanager
def start_run():
    yield
    with open("calls.json", "w") as file:
        json.dump(calls, file)
"""


def test_the_example_logs_to_mlflow(tmp_path: Path, real_csv: Path) -> None:
    (tmp_path / "mlflow.py").write_text(FAKE)
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "mlflow_log.py", real_csv],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    params, *metrics, result, artifacts = json.loads((tmp_path / "calls.json").read_text())
    assert params[1]["epochs"] == len(metrics) == 20
    history = History.read(tmp_path / "run" / "history.json")
    for n, (_, values, step) in enumerate(metrics, 1):
        assert step == values["epoch"] == n
        assert values["val_mse"] == history.lists["val_mse"][n - 1]
    assert 0.8 < result[1]["rmse"] < 0.95
    assert artifacts == ["artifacts", "run"]


def test_a_missing_log_or_one_without_epochs_cannot_be_drawn(tmp_path: Path) -> None:
    (tmp_path / "e").write_bytes(line_of({"event": "plan", "run": "a"}))
    with pytest.raises(ArtifactError, match="e: holds no epoch of a training yet"):
        read_log(tmp_path / "e")
    with pytest.raises(ArtifactError, match="none: cannot be read: No such file"):
        read_log(tmp_path / "none")
