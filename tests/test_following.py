"""`mfcli plot` draws logs of events, also while trainings run."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

import mfcli
from mfcli.cli import log_following
from mfcli.cli.log_following import LogFollower
from mfcli.events import EventLog
from mfcli.training import History


def event(kind: str, run: str = "a", **values: object) -> dict[str, Any]:
    return {"event": kind, "time": "2026-11-27T08:30:00.125Z", "run": run, **values}


def epoch(number: int, run: str = "a", **values: object) -> dict[str, Any]:
    losses = {"loss": 1 / number, "mse": 1 / number, "val_mse": 2 / number, "val_loss": 2 / number}
    return event("epoch", run, epoch=number, **losses, seconds=0.5, **values)


def plan(run: str = "a", out: str = "/runs/k10", **values: object) -> dict[str, Any]:
    return event("plan", run, format=1, out=out, resumed=0, folds=0) | values


def write(events: list[dict[str, Any]], path: str | Path = "events.jsonl") -> None:
    with EventLog(path) as log:
        for one in events:
            log.take(one)


RESULT = event("result", epoch=2)
WHOLE = [plan(), epoch(1), epoch(2), RESULT]


# What is there


def test_the_trainings_of_a_log_are_runs(run: Run) -> None:
    folds = [
        [plan("c", f"/runs/cv/fold-{n}", fold=n, folds=2), epoch(1, "c", fold=n)] for n in (1, 2)
    ]
    write([*WHOLE, plan("b", "/runs/k20"), epoch(1, "b"), *folds[0], *folds[1], plan("d")])
    done = run("plot", "events.jsonl", "--json")
    assert json.loads(done.out) == {
        "picture": "events.png",
        "runs": {"k10": 2, "k20": 1, "cv fold 1": 1, "cv fold 2": 1},
    }
    assert run("plot", "events.jsonl").out == "events.png: 4 runs\n"
    assert Path("events.png").is_file()


def test_runs_of_one_folder_have_other_names(run: Run) -> None:
    write([*WHOLE, plan("b"), epoch(1, "b")])
    assert {*json.loads(run("plot", "events.jsonl", "--json").out)["runs"]} == {"k10 a", "k10 b"}


def test_a_log_is_drawn_beside_histories(run: Run) -> None:
    write(WHOLE)
    write([*WHOLE, plan("b", "/k20"), epoch(1, "b")], "two.jsonl")
    Path("old.json").write_text('{"loss": [3, 2], "val_loss": [4, 3]}')
    words = ("plot", "old.json", "events.jsonl", "two.jsonl")
    found = json.loads(run(*words, "--out", "p.png", "--json").out)["runs"]
    assert found == {"old": 2, "events": 2, "two k10": 2, "two k20": 1}
    write(WHOLE, "alone.jsonl")
    assert mfcli.plot("alone.jsonl", "one.svg", title="from a log").is_file()
    mfcli.plot(["old.json", "two.jsonl"], "several.svg")
    assert "two k20 (best 2.0000 at epoch 1)" in Path("several.svg").read_text()


ERRORS = {
    ("plot",): "Missing argument 'FILE'; for help: mfcli plot --help",
    ("plot", "old.json", "--follow"): "old.json: is not a log of events; write one with mfcli train"
    " --log events.jsonl, or omit --follow",
    (
        "plot",
        "a",
        "b",
        "--follow",
    ): "--follow draws one log of events, got 2 files; omit it, or name one",
    ("plot", "--follow", "--out", "p.gif"): "p.gif: must end in .png, .svg, .pdf, got '.gif'",
    ("plot", "none", "--follow", "--size", "1x900"): "--size must be 1 to 100 inches wide and high",
    ("plot", "none", "--follow", "--out", "old.json/p.png"): "old.json/p.png: cannot be written",
    ("plot", "empty.jsonl"): "empty.jsonl: holds no epoch of a training yet",
    ("plot", "events.jsonl", "metrics.json"): "metrics.json: metrics and histories need separate",
}


@pytest.mark.parametrize("words", ERRORS)
def test_errors_of_one_line(run: Run, words: tuple[str, ...]) -> None:
    write(WHOLE)
    write([plan()], "empty.jsonl")
    Path("old.json").write_text('{"loss": [3, 2]}')
    Path("metrics.json").write_text('{"protocol": {}}')
    done = run(*words)
    assert done.err.startswith(f"error: {ERRORS[words]}")
    assert done.err.count("\n") == 1


# While it grows


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(log_following, "_INTERVAL", 0.001)
    monkeypatch.setattr(log_following, "_LEAST", 0.0)


def drawn(steps: list[Callable[[], object]]) -> list[dict[str, int]]:
    """Follow `events.jsonl`, take a step after each look at it, and return what was drawn."""
    pictures: list[dict[str, int]] = []

    def draw(runs: Mapping[str, History]) -> None:
        pictures.append({name: len(history) for name, history in runs.items()})

    follower, todo = LogFollower(Path("events.jsonl"), draw, Path("events.png")), iter(steps)
    read = follower._read

    def read_and_step() -> None:
        read()
        next(todo, lambda: None)()

    follower._read = read_and_step  # type: ignore[method-assign]
    thread = threading.Thread(target=follower.run, daemon=True)
    thread.start()
    thread.join(timeout=10)
    assert not thread.is_alive(), pictures
    assert next(todo, None) is None  # it did not end too early
    assert not pictures or follower.shown
    return pictures


def step(*events: dict[str, Any]) -> Callable[[], None]:
    return lambda: write([*events])


def nothing() -> None:
    """Leave the log as it is."""


@pytest.mark.usefixtures("fast")
def test_a_picture_is_drawn_after_new_epochs_until_the_result(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = [nothing, step(plan()), nothing, step(epoch(1)), nothing, step(event("checkpoint"))]
    found = drawn([*steps, nothing, step(epoch(2)), nothing, step(RESULT)])
    assert found == [{"k10": 1}, {"k10": 2}]
    assert capsys.readouterr().err == "note: waiting for events.jsonl\n"


@pytest.mark.usefixtures("fast")
def test_all_folds_are_waited_for() -> None:
    one, two = ({"fold": n} for n in (1, 2))
    steps = [
        step(plan(folds=2, **one), epoch(1, **one), RESULT | one),
        nothing,
        step(plan(folds=2, **two)),
        step(epoch(1, **two)),
        step(RESULT | two),
    ]
    assert drawn(steps)[-1] == {"fold 1": 1, "fold 2": 1}


@pytest.mark.usefixtures("fast")
def test_a_finished_log_is_drawn_once() -> None:
    write([plan("killed", "/runs/k5"), epoch(1, "killed"), *WHOLE])
    assert drawn([nothing]) == [{"k5": 1, "k10": 2}]


@pytest.mark.usefixtures("fast")
def test_a_killed_training_is_waited_for_until_it_is_resumed() -> None:
    write([plan(), epoch(1), epoch(2), epoch(3)])
    steps = [nothing, step(plan(resumed=2)), nothing, step(epoch(3)), nothing, step(RESULT)]
    assert drawn(steps) == [{"k10": n} for n in (3, 2, 3)]


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("other", ["/runs/k20", "/runs/k10"])
def test_a_new_training_takes_the_place_of_a_killed_one(other: str) -> None:
    write([plan("killed"), epoch(1, "killed")])
    steps = [nothing, step(plan(out=other)), nothing, step(epoch(1)), nothing, step(RESULT)]
    assert len(drawn(steps)[-1]) == 2


@pytest.mark.usefixtures("fast")
def test_two_trainings_at_once_are_both_waited_for() -> None:
    both = [step(epoch(1), epoch(1, "b")), nothing, step(RESULT), nothing, step(epoch(2, "b"))]
    write([plan(), plan("b", "/runs/k20")])
    found = drawn([nothing, *both, nothing, step(event("error", "b", message="stopped"))])
    assert found[-1] == {"k10": 1, "k20": 2}


@pytest.mark.usefixtures("fast")
def test_a_log_that_is_replaced_is_read_again() -> None:
    write([plan(), epoch(1), epoch(2)])
    steps = [nothing, Path("events.jsonl").unlink, nothing, step(plan("b", "/x"), epoch(1, "b"))]
    found = drawn([*steps, nothing, step(event("result", "b"))])
    assert found == [{"k10": 2}, {"x": 1}]


@pytest.mark.usefixtures("fast")
def test_silence_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    write([plan(), epoch(1)])
    follower = LogFollower(Path("events.jsonl"), lambda runs: None, Path("events.png"))
    assert follower._status() == "waiting for events.jsonl (Ctrl-C stops)"
    follower._read()
    assert follower._status() == "waiting for the first epoch (Ctrl-C stops)"
    follower._redraw()
    assert follower._status() == "events.png: 1 run, epoch 1 (Ctrl-C stops)"
    now = time.monotonic()
    monkeypatch.setattr(log_following.time, "monotonic", lambda: now + 125)
    assert follower._status() == (
        "events.png: 1 run, epoch 1; no event for 2 min 05 s, perhaps the training was killed"
        " (Ctrl-C stops)"
    )


# The command


def test_the_command_waits_for_the_end_and_is_quiet_in_a_pipe(run: Run) -> None:
    write(WHOLE)
    done = run("plot", "--follow")
    assert (done.code, done.out, done.err) == (0, "events.png: 1 run\n", "")
    Path("logs").mkdir()
    write([plan(), epoch(1), event("error", message="training diverged")], "logs/events.jsonl")
    done = run("plot", "--follow", "logs", "--out", "p.svg", "--json")
    assert json.loads(done.out) == {"picture": "p.svg", "runs": {"k10": 1}}
    assert done.err == "note: the training ended with an error: training diverged\n"
    write([plan(), event("error", message="too large")], "none.jsonl")
    done = run("plot", "--follow", "none.jsonl")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "note: the training ended with an error: too large\n"
        "error: none.jsonl: holds no epoch of a training\n"
    )


def test_ctrl_c_ends_it_and_the_picture_stays(tmp_path: Path) -> None:
    """On a terminal, one line is updated."""
    write([plan(), epoch(1)], tmp_path / "events.jsonl")
    terminal, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mfcli", "plot", "--follow", "--dpi", "50"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=other,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
        text=True,
    )
    os.close(other)
    shown = b""
    while b"epoch 1" not in shown:
        shown += os.read(terminal, 1 << 12)
    before = (tmp_path / "events.png").read_bytes()
    write([epoch(2)], tmp_path / "events.jsonl")
    while b"epoch 2" not in shown:
        shown += os.read(terminal, 1 << 12)
    assert (tmp_path / "events.png").read_bytes() != before
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    os.close(terminal)
    assert process.returncode == 128 + signal.SIGINT
    assert out == "events.png: 1 run\n"
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode())
    assert "events.png: 1 run, epoch 2 (Ctrl-C stops)" in text
    assert "\n" not in text.strip()
    assert "Traceback" not in text
