"""Progress: one live bar on a terminal, about ten lines elsewhere, and the time left."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from planted import planted_split
from rich.console import Console

from mfcli.cli import progress, screen, time_left
from mfcli.cli.commands import predict
from mfcli.cli.epoch_lines import Fold, TrainingProgress
from mfcli.cli.formatting import time_left as time_left_text
from mfcli.cli.live_bar import LiveBar
from mfcli.cli.progress import Display, Lines, Work, byte_count, counting
from mfcli.cli.screen import Screen
from mfcli.config import Config
from mfcli.evaluation import evaluate
from mfcli.training import BestEpoch, Epoch, turning_points
from mfcli.training.loop import start

ALONE = Fold(1, 1)
AVERAGED = Config(optimizer="gibbs", epochs=200)


class Clock:
    """A monotonic clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time_left.time, "monotonic", made)
    return made


def plain_console(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width, color_system=None)


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def live_bar() -> LiveBar:
    """Return a live bar on a terminal in memory."""
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80, highlight=False)
    return LiveBar(terminal)


def shown(display: LiveBar, width: int) -> list[str]:
    """Return the lines of a live bar at a width."""
    console = plain_console(width)
    console.print(display._bar.get_renderable())
    return [line.rstrip() for line in printed(console)]


def epoch(number: int, val: float = 0.64, mse: float = 0.49) -> Epoch:
    return Epoch(number, mse, mse, val, val, 1.0)


# The time left


def test_the_time_left_follows_the_speed_of_the_second_half(clock: Clock) -> None:
    left = time_left.TimeLeft()
    assert left.seconds is None
    left.update(0, 10)
    assert left.seconds is None
    for done, seconds in ((1, 30), (2, 1), (3, 1), (4, 1)):  # the first part compiles
        clock.now += seconds
        left.update(done, 10)
    assert left.seconds == pytest.approx(6)
    clock.now += 2  # without news, the clock goes on
    assert left.seconds == pytest.approx(4)
    clock.now += 9
    assert left.seconds == 0
    left.update(10, 10)
    assert left.seconds is None


def test_what_was_done_before_does_not_count_as_speed(clock: Clock) -> None:
    left = time_left.TimeLeft()
    left.update(90, 100)
    clock.now += 5
    left.update(91, 100)
    assert left.seconds == pytest.approx(45)


def test_the_time_left_ends_with_a_time_limit(clock: Clock) -> None:
    left = time_left.TimeLeft(until=clock.now + 60)
    left.update(0, 100)
    assert left.seconds == 60
    clock.now += 10
    left.update(1, 100)
    assert left.seconds == 50


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (98, "98 s"), (99, "2 min"), (3600, "60 min"), (5939, "99 min"), (5940, "2 h")],
)
def test_estimates_have_one_or_two_digits(seconds: float, text: str) -> None:
    assert time_left_text(seconds) == f"{text} left"


# Lines


def test_short_work_prints_no_lines_and_long_work_ten(clock: Clock) -> None:
    console = plain_console()
    display = Lines(console)
    for seconds, count in ((0.01, 0), (1.0, 9)):
        work = display.work("reading ratings.csv", byte_count)
        for done in range(0, 1001, 10):
            clock.now += seconds
            work.update(done * 1_000_000, 1_000_000_000)
        assert len(printed(console)) == count
    assert printed(console)[1] == "reading ratings.csv: 0.2/1.0 GB, 80 s left"


def test_work_of_unknown_size_prints_no_lines(clock: Clock) -> None:
    console = plain_console()
    work = Lines(console).work("fetching x", byte_count)
    for done in range(1, 100):
        clock.now += 1
        work.update(0, 0)
        work.update(done, done)  # a download without a length
    assert printed(console) == []


def train_lines(clock: Clock, config: Config, epochs: int, fold: Fold = ALONE) -> list[str]:
    """Return the lines of a training of one second per epoch."""
    console = plain_console()
    shown = TrainingProgress(Lines(console), config, fold)
    shown.on_progress(0, 1)
    for number in range(1, epochs + 1):
        clock.now += 1
        shown.on_epoch(epoch(number))
    shown.finish()
    return printed(console)


def test_a_training_prints_about_ten_lines(clock: Clock) -> None:
    assert train_lines(clock, AVERAGED, 200) == [
        "epoch   1/200  train RMSE 0.7000  validation RMSE 0.8000  3 min left",
        "epoch  20/200  train RMSE 0.7000  validation RMSE 0.8000  3 min left",
        "epoch 21: averaging starts, so validation RMSE is now that of the average",
        "epoch  40/200  train RMSE 0.7000  validation RMSE 0.8000  3 min left",
        "epoch  60/200  train RMSE 0.7000  validation RMSE 0.8000  2 min left",
        "epoch  80/200  train RMSE 0.7000  validation RMSE 0.8000  2 min left",
        "epoch 100/200  train RMSE 0.7000  validation RMSE 0.8000  2 min left",
        "epoch 120/200  train RMSE 0.7000  validation RMSE 0.8000  80 s left",
        "epoch 140/200  train RMSE 0.7000  validation RMSE 0.8000  60 s left",
        "epoch 160/200  train RMSE 0.7000  validation RMSE 0.8000  40 s left",
        "epoch 180/200  train RMSE 0.7000  validation RMSE 0.8000  20 s left",
        "epoch 200/200  train RMSE 0.7000  validation RMSE 0.8000",
    ]
    assert len(train_lines(clock, Config(epochs=7), 7)) == 7
    assert len(train_lines(clock, Config(epochs=15), 15)) == 9


def test_a_training_that_stops_early_prints_its_last_epoch(clock: Clock) -> None:
    lines = train_lines(clock, Config(epochs=1000, patience=3), 17)
    assert [line.split("/")[0] for line in lines] == ["epoch    1", "epoch   17"]


def test_folds_share_the_lines(clock: Clock) -> None:
    config = Config(epochs=15)
    lines = [line for n in range(1, 6) for line in train_lines(clock, config, 15, Fold(n, 5))]
    assert [line.split("  train")[0] for line in lines[:4]] == [
        "fold 1/5 epoch  1/15",
        "fold 1/5 epoch  8/15",
        "fold 1/5 epoch 15/15",
        "fold 2/5 epoch  1/15",
    ]


@pytest.mark.parametrize(("fold", "epochs"), [(ALONE, 1000), (Fold(2, 5), 200)])
def test_lines_of_epochs_fit_in_80_columns(clock: Clock, fold: Fold, epochs: int) -> None:
    console = plain_console()
    shown = TrainingProgress(Lines(console), Config(epochs=epochs), fold)
    shown.on_progress(0, 1)
    clock.now += 3600
    shown.on_epoch(epoch(1, val=18.9**2, mse=18.9**2))
    (line,) = printed(console)
    assert line.endswith("h left")
    assert len(line) <= 80


# What makes errors jump


def test_turning_points_are_explained() -> None:
    average = "averaging starts, so validation RMSE is now that of the average"
    assert turning_points(Config()) == {}
    assert turning_points(AVERAGED) == {21: average}
    assert turning_points(replace(AVERAGED, average=1.0)) == {}
    assert turning_points(Config(epochs=20, average=0.25)) == {16: average}
    stepped = Config(epochs=9, lr=0.1, lr_end=0.001, lr_schedule="step", average=3 / 9)
    assert turning_points(stepped) == {
        3: "the learning rate is now 0.01",
        5: "the learning rate is now 0.001",
        7: f"the learning rate is now 0.0001; {average}",
    }
    momentum = Config(epochs=8, momentum_schedule="step", momentum_end=0.5)
    assert list(turning_points(momentum).values())[-1] == "momentum is now 0.5"


def test_a_schedule_of_another_optimizer_changes_nothing() -> None:
    unused = Config(lr_schedule="step", epochs=20)
    values = {name: getattr(unused, name) for name in ("lr_schedule", "epochs")}
    found = Config.__new__(Config)
    for name, value in {**vars(AVERAGED), **values}.items():
        object.__setattr__(found, name, value)  # as a settings file may combine them
    assert list(turning_points(found)) == [3]


def test_averages_are_not_compared_with_earlier_epochs() -> None:
    best = BestEpoch(Config(epochs=10, average=0.5))
    for number, val in enumerate([0.5, 0.4, 0.45, 0.46, 0.47, 0.48, 0.44, 0.43], start=1):
        best.offer(epoch(number, val=val**2))
    assert (best.epoch, best.value) == (8, pytest.approx(0.43))


# The live bar


def training_bar(clock: Clock) -> LiveBar:
    display = live_bar()
    shown = TrainingProgress(display, AVERAGED, Fold(1, 1))
    shown.on_progress(0, 1)
    for number in range(1, 51):
        clock.now += 0.5
        shown.on_progress(1, 1)
        shown.on_epoch(epoch(number, val=0.64 if number == 30 else 0.65))
    return display


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (
            60,
            [
                "training ━━━━━━╸                     epoch 51/200  75 s left",
                "RMSE train 0.7000, validation 0.8062, best 0.8000 at epoch",
                "30",
            ],
        ),
        (
            80,
            [
                f"training {'━' * 10}{' ' * 30} epoch 51/200  75 s left",
                "RMSE train 0.7000, validation 0.8062, best 0.8000 at epoch 30",
            ],
        ),
        (
            120,
            [
                f"training {'━' * 10}{' ' * 30} epoch 51/200  75 s left",
                "RMSE train 0.7000, validation 0.8062, best 0.8000 at epoch 30",
            ],
        ),
    ],
)
def test_one_bar_for_a_training(clock: Clock, width: int, lines: list[str]) -> None:
    display = training_bar(clock)
    try:
        assert shown(display, width) == lines
    finally:
        display.close()
    file = display._bar.console.file
    assert isinstance(file, io.StringIO)
    assert "epoch 21: averaging starts" in file.getvalue()  # above the bar
    assert "train RMSE" not in file.getvalue()  # lines are for pipes


def test_stages_take_turns_and_only_one_is_shown(clock: Clock) -> None:
    display = live_bar()
    first, second = display.work("measuring errors"), display.work("ranking", counting("users"))
    assert shown(display, 80) == []
    first.update(0, 0)
    assert shown(display, 80) == [f"measuring errors {'━' * 40}"]
    first.update(50, 100)
    clock.now += 10
    second.update(0, 4)
    clock.now += 10
    second.update(1, 4)
    display.close()
    (line,) = shown(display, 80)
    assert line == f"ranking {'━' * 10}{' ' * 30} 1/4 users  30 s left"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_bars_of_long_names_fit(clock: Clock, width: int) -> None:
    display = live_bar()
    work = display.work(f"reading {'x' * 50}.csv.gz", byte_count)
    work.update(0, 0)
    clock.now += 100
    work.update(123_456_789, 533_456_789)
    display.close()
    (line,) = shown(display, width)
    assert line.startswith("reading xxxx...")
    assert line.endswith("123.5/533.5 MB  6 min left")
    assert len(line) <= width


def test_no_bar_among_rows_on_a_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The bar of predict would erase the last row."""

    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    terminal = Terminal(io.BytesIO())
    monkeypatch.setattr(predict.sys, "stdout", terminal)
    made: list[bool] = []
    monkeypatch.setattr(Screen, "_display", lambda shown: made.append(shown.quiet) or Display())
    for target in (terminal.buffer, io.BytesIO(), tmp_path / "p.csv"):
        with predict._bar(Screen(), "pairs.csv", target):
            pass
    monkeypatch.setattr(predict.sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    with predict._bar(Screen(), "pairs.csv", predict.sys.stdout.buffer):
        pass
    assert made == [True, False, False, False]


def test_a_display_suits_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert type(Screen(quiet=True)._display()) is Display
    monkeypatch.setattr(screen.sys, "stderr", io.StringIO())
    assert isinstance(Screen()._display(), Lines)
    monkeypatch.setattr(screen.sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(Screen()._display(), LiveBar)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(Screen()._display(), Lines)


# Commands


@pytest.fixture
def small(run: Run) -> Run:
    """A split of a few ratings, with validation ratings."""
    rows = [
        f"{u},{i},{(u * 31 + i * 17 + u * i) % 7 % 5 + 1}"
        for u in range(20)
        for i in range(20)
        if (u + i) % 3
    ]
    Path("data.csv").write_text("user,item,rating\n" + "\n".join(rows) + "\n")
    done = run("split", "data.csv", "--valid", 0.2)
    assert (done.code, done.err) == (0, "")
    return run


def test_a_training_in_a_pipe(small: Run) -> None:
    done = small("train", "--epochs", 30, "--average", 0.5)
    lines = done.err.splitlines()
    assert lines[0].startswith("note: engine fast")
    assert [line.split("  train")[0] for line in lines if line.startswith("epoch")] == [
        *("epoch  1/30", *(f"epoch {n:>2}/30" for n in (3, 6, 9, 12, 15))),
        "epoch 16: averaging starts, so validation RMSE is now that of the average",
        *(f"epoch {n}/30" for n in (18, 21, 24, 27, 30)),
    ]
    assert max(map(len, lines[1:])) <= 80
    assert re.search(r" after 30 epochs in [\d.]+ s \([\d,]+ ratings/s\)\n$", done.out)


def test_the_summary_has_the_speed_and_a_note_the_best_epoch(small: Run) -> None:
    done = small("train", "--epochs", 40, "--lr", 0.3, "--json")
    result = json.loads(done.out)
    ratings = json.loads(Path("split/split.json").read_text())["ratings"]["train"]
    assert result["ratings_per_second"] == pytest.approx(40 * ratings / result["seconds"])
    errors = json.loads(Path("history.json").read_text())["val_mse"]
    best = errors.index(min(errors)) + 1
    assert best < 40
    rmse = f"{min(errors) ** 0.5:.4f}"
    assert done.err.endswith(f"note: validation RMSE was lowest after epoch {best}: {rmse}\n")
    stopped = small("train", "--epochs", 40, "--lr", 0.3, "--patience", 2)
    assert "lowest" not in stopped.err  # the model is that of the best epoch


def test_a_resumed_training_remembers_the_best_epoch(clock: Clock) -> None:
    display = live_bar()
    progress = TrainingProgress(display, Config(epochs=4), Fold(1, 1))
    progress.resume(epoch(1, val=0.25))
    progress.on_progress(0, 1)
    clock.now += 8
    progress.on_epoch(epoch(2, val=0.36))
    display.close()
    first, second = shown(display, 80)
    assert first.endswith("epoch 3/4  16 s left")
    assert second == "RMSE train 0.7000, validation 0.6000, best 0.5000 at epoch 1"


def test_a_search_in_a_pipe(small: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfcli.search.trial_runners.LARGE", 0)  # without the settings of mfcli init
    Path("space.toml").write_text("rate = {low = 0.01, high = 0.02}\nepochs = 1\n")
    done = small("tune", "--space", "space.toml", "--trials", 20)
    assert done.code == 0, done.err
    lines = done.err.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"{n}/20 trials" for n in range(2, 21, 2)]
    best = r"best validation RMSE [\d.]+ \(trial \d+\)"
    assert all(re.fullmatch(rf"\d+/20 trials, {best}(, \d+ s left)?", line) for line in lines)
    assert re.fullmatch(rf"20/20 trials, {best}", lines[-1])


def test_evaluation_reports_its_stages() -> None:
    split = planted_split(Config())
    calls: dict[str, list[tuple[int, int]]] = {}
    evaluate(
        start(split, Config(k=2)),
        split,
        Config(resamples=20, relevant=1.0),
        ranking=True,
        on_progress=lambda stage, *call: calls.setdefault(stage, []).append(call),
    )
    assert list(calls) == EVALUATION
    assert all(found[-1][0] == found[-1][1] for found in calls.values())
    assert calls["measuring errors"][0] == (0, len(split.test))
    assert sorted(calls["resampling errors"]) == [(n, 20) for n in range(1, 21)]


EVALUATION = [
    "fitting baselines",
    "measuring errors",
    "resampling errors",
    "ranking",
    "resampling rankings",
]
LONG: list[Callable[[Run], Any]] = [
    lambda run: run("evaluate", "--ranking"),
    lambda run: run("predict", "data.csv", "--out", "p.csv"),
    lambda run: run("split", "data.csv", "--split", "other"),
]


@pytest.mark.parametrize("command", LONG, ids=["evaluate", "predict", "split"])
def test_commands_show_what_they_work_on(
    small: Run, monkeypatch: pytest.MonkeyPatch, command: Callable[[Run], Any]
) -> None:
    assert small("train", "--epochs", 1, "-q").code == 0
    names: list[str] = []
    make = Lines.work

    def work(self: Lines, what: str, *more: Any, **options: Any) -> Work:
        names.append(what)
        return make(self, what, *more, **options)

    monkeypatch.setattr(Lines, "work", work)
    done = command(small)
    assert (done.code, done.err) == (0, "")
    assert (
        names
        == {
            0: EVALUATION,
            1: ["predicting data.csv"],
            2: ["reading data.csv", "merging duplicates", "dividing", "writing other"],
        }[LONG.index(command)]
    )


def test_the_evaluation_of_folds_names_the_fold(
    small: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    small("split", "data.csv", "--strategy", "k-fold", "--folds", 2)
    done = small("train", "--epochs", 1)
    assert [line.split("  ")[0] for line in done.err.splitlines() if "epoch" in line] == [
        "fold 1/2 epoch 1/1",
        "fold 2/2 epoch 1/1",
    ]
    names: list[str] = []
    monkeypatch.setattr(Work, "update", lambda self, done, total: names.append(self.what))
    assert small("evaluate", "--resamples", 0).code == 0
    stages = ("fitting baselines", "measuring errors")
    assert set(names) == {f"fold {n}/2: {stage}" for n in (1, 2) for stage in stages}


def test_units() -> None:
    assert progress.percent(1, 3) == "33%"
    assert byte_count(1_500, 3_000) == "1.5/3.0 kB"
    assert byte_count(1.5e6, 3e6) == "1.5/3.0 MB"
    assert counting("trials")(1200, 2000) == "1,200/2,000 trials"
    assert progress.shortened("a" * 40) == f"{'a' * 12}...{'a' * 12}"


@pytest.mark.parametrize(
    ("config", "trained"),
    [
        (Config(metric="ndcg", epochs=9), "train RMSE 0.7000"),
        (
            Config(optimizer="als", target="rated", unrated_weight=0.1, epochs=9),
            "train loss 0.4900",
        ),
    ],
)
def test_the_bar_and_the_lines_show_rankings(clock: Clock, config: Config, trained: str) -> None:
    bar, console = live_bar(), plain_console()
    for display in (bar, Lines(console)):
        progress_of = TrainingProgress(display, config, ALONE)
        for number, ndcg in enumerate([0.1, 0.3, 0.2], 1):
            progress_of.on_epoch(replace(epoch(number), val_ndcg=ndcg))
    try:
        best = f"{trained}, validation NDCG@10 0.2000, best 0.3000 at epoch 2"
        assert shown(bar, 80)[1] == best
    finally:
        bar.close()
    line = f"epoch 3/9  {trained}  validation NDCG@10 0.2000"
    assert printed(console)[-1].startswith(line)
