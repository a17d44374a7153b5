"""A training that is resumed from a checkpoint gives the same bits as an uninterrupted one."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from planted import planted_split

from mfcli.config import SETTINGS, Config
from mfcli.errors import ArtifactError, ConfigError
from mfcli.splits import Split, read_split
from mfcli.training import (
    Checkpoint,
    Diverged,
    Epoch,
    Fit,
    History,
    Keeper,
    checkpoints,
    fit,
    read_checkpoint,
)
from mfcli.training.checkpoints import write_checkpoint
from mfcli.training.loop import start
from mfcli.training.stable_rate import stable_rate

CASES: list[dict[str, Any]] = [
    {},
    {"reg": 0.01},
    {"reg": 0.001, "nesterov": True},
    {"blocks": 3},
    {"momentum": 0.0},
    {"ensemble": 2},
    {"lr_schedule": "cosine", "momentum_schedule": "step", "reg": 0.01, "warmup": 1},
    {"average": 0.5, "ensemble": 2},
]


def assert_same(one: Fit, two: Fit) -> None:
    for name, table in one.model.tables.items():
        assert table.tobytes() == two.model.tables[name].tobytes()
    for name in ("loss", "mse", "val_loss", "val_mse"):
        assert one.history.lists[name] == two.history.lists[name]


def stopped_after(split: Split, config: Config, epoch: int, folder: Path) -> Checkpoint:
    """Stop a training in the following epoch and read its checkpoint."""

    def stop(now: Epoch) -> None:
        if now.epoch > epoch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(split, config, keeper=Keeper(folder, 1), on_epoch=stop)
    made = read_checkpoint(folder)
    assert len(made.history) == epoch
    return made


@pytest.mark.parametrize("settings", CASES, ids=str)
@pytest.mark.parametrize("engine", ["fast", "keras"])
def test_a_resumed_training_equals_an_uninterrupted_one(
    tmp_path: Path, settings: dict[str, Any], engine: str
) -> None:
    config = Config(k=3, epochs=4, engine=engine, batch_size=32, **settings)
    split = planted_split(config, users=30, items=20)
    whole, kept = fit_with_checkpoints(split, config, tmp_path / "c")
    for epoch in (1, 3):
        assert len(kept[epoch].history) == epoch
        assert_same(whole, fit(split, config, resume=kept[epoch], threads=2))


def fit_with_checkpoints(
    split: Split, config: Config, folder: Path
) -> tuple[Fit, dict[int, Checkpoint]]:
    """Train, and return the checkpoints by epoch: each training with Keras compiles for seconds."""
    kept: dict[int, Checkpoint] = {}

    def read(now: Epoch) -> None:
        if now.epoch > 1:
            kept[now.epoch - 1] = read_checkpoint(folder)

    whole = fit(split, config, threads=1, keeper=Keeper(folder, 1), on_epoch=read)
    return whole, kept


def test_adam_can_be_resumed(tmp_path: Path) -> None:
    config = Config(k=2, epochs=4, optimizer="adam", lr=0.01)
    split = planted_split(config, users=30, items=20)
    checkpoint = stopped_after(split, config, 2, tmp_path / "c")
    assert_same(fit(split, config), fit(split, config, resume=checkpoint))


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    config = Config(k=3)
    split = planted_split(config)
    made = stopped_after(split, config, 2, tmp_path / "c")
    write_checkpoint(tmp_path / "d", made)
    again = read_checkpoint(tmp_path / "d")
    assert (again.config, again.split_hash, again.history) == (
        made.config,
        made.split_hash,
        made.history,
    )
    for own, other in ((made.state, again.state), (made.best, again.best)):
        assert {n: a.tobytes() for n, a in own.items()} == {
            n: a.tobytes() for n, a in other.items()
        }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 4}, "trained with k=3, not 4; omit k to resume, or train without resume"),
        ({"reg": 0.1}, "trained with reg=0.0, not 0.1"),
        ({"lr": 0.01}, "trained with lr=0.08, not 0.01"),
        ({"batch_size": 7}, "trained with batch_size=128, not 7"),
        ({"momentum": 0.5}, "trained with momentum=0.9, not 0.5"),
        ({"nesterov": True}, "trained with nesterov=False, not True"),
        ({"engine": "keras"}, "trained with engine='fast', not keras"),
        ({"blocks": 2}, "trained with blocks=1, not 2"),
        ({"seed": 3}, "trained with seed=0, not 3"),
        ({"epochs": 1}, "has 2 epochs already, more than 1; raise epochs"),
    ],
)
def test_another_config_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    config = Config(k=3)
    split = planted_split(config)
    checkpoint = stopped_after(split, config, 2, tmp_path / "c")
    with pytest.raises(ArtifactError, match=message):
        fit(split, replace(config, **changes), resume=checkpoint)


def test_with_a_schedule_the_epochs_are_compared(tmp_path: Path) -> None:
    config = Config(k=3, average=0.5)
    checkpoint = stopped_after(planted_split(config), config, 2, tmp_path / "c")
    with pytest.raises(ArtifactError, match=r"over 15 epochs, on which .* not 16; omit epochs"):
        fit(planted_split(config), replace(config, epochs=16), resume=checkpoint)


def test_penalties_that_were_not_set_are_compared(tmp_path: Path) -> None:
    config = Config(k=3)
    split = planted_split(config)
    checkpoint = stopped_after(split, config, 1, tmp_path / "c")
    with pytest.raises(ArtifactError, match=r"trained with no reg_user, not 0\.1; omit reg_user"):
        fit(split, replace(config, reg_user=0.1), resume=checkpoint)


def test_only_the_end_of_training_may_change(tmp_path: Path) -> None:
    """A setting that is neither compared nor an end of training would be ignored silently."""
    ends = {name for name, setting in SETTINGS.items() if setting.ends_training}
    assert ends == {"epochs", "patience", "min_delta", "stop_on_test"}
    config = Config(k=3, epochs=2)
    split = planted_split(config)
    fit(split, config, keeper=Keeper(tmp_path / "c"))
    checkpoint = read_checkpoint(tmp_path / "c")
    changes = {"epochs": 4, "patience": 2, "min_delta": 0.1, "stop_on_test": True}
    assert len(fit(split, replace(config, **changes), resume=checkpoint).history) >= 3


def test_another_split_is_refused(tmp_path: Path) -> None:
    config = Config(k=3)
    split = planted_split(config)
    checkpoint = stopped_after(split, config, 1, tmp_path / "c")
    with pytest.raises(ArtifactError, match="is of split , but this is split 123; use"):
        fit(replace(split, hash="123"), config, resume=checkpoint)


def test_a_state_of_another_shape_is_refused(tmp_path: Path) -> None:
    config = Config(k=3)
    split = planted_split(config)
    checkpoint = stopped_after(split, config, 1, tmp_path / "c")
    state = {name: array[:-1] for name, array in checkpoint.state.items()}
    with pytest.raises(ArtifactError, match="the checkpoint does not fit this model"):
        fit(split, config, resume=replace(checkpoint, state=state))


def test_early_stopping_keeps_the_best_epoch(real_split: Path, tmp_path: Path) -> None:
    split, config = read_split(real_split), Config(lr=0.2, epochs=60)
    whole = fit(split, config).history.lists["val_mse"]
    best = 1 + min(range(len(whole)), key=whole.__getitem__)
    assert 2 < best < 40
    stopped = fit(split, replace(config, patience=5), keeper=Keeper(tmp_path / "c"))
    assert stopped.epoch == best
    assert stopped.history.lists["val_mse"] == whole[: best + 5]
    assert stopped.losses["val_mse"] == whole[best - 1]
    then = fit(split, replace(config, epochs=best))
    for name, table in then.model.tables.items():
        assert table.tobytes() == stopped.model.tables[name].tobytes()
    checkpoint = read_checkpoint(tmp_path / "c")
    assert len(checkpoint.history) == best + 5
    again = fit(split, replace(config, patience=5), resume=checkpoint)
    assert_same(stopped, again)
    longer = fit(split, replace(config, patience=60), resume=checkpoint)
    assert len(longer.history) == 60
    assert longer.epoch == best


def test_small_decreases_are_not_improvements(real_split: Path) -> None:
    split = read_split(real_split)
    config = Config(epochs=40, patience=2, min_delta=0.005)
    rmse = np.sqrt(fit(split, config).history.lists["val_mse"])
    least = rmse[0]
    for number, value in enumerate(rmse[1:], start=2):
        if value < least - 0.005:
            least, last = value, number
    assert len(rmse) == last + 2 < 40


def test_early_stopping_on_test_ratings_needs_permission() -> None:
    config = Config(patience=3)
    split = planted_split(Config())
    with pytest.raises(ConfigError, match="patience=3 requires validation ratings; split"):
        fit(split, config)
    assert fit(split, replace(config, stop_on_test=True)).epoch > 0


def epoch(number: int, seconds: float = 0.0) -> Epoch:
    return Epoch(number, 1.0, 1.0, 1.0, 1.0, seconds)


def test_when_checkpoints_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(checkpoints, "write_checkpoint", lambda folder, made: None)

    def written(keeper: Keeper, number: int, seconds: float, last: bool = False) -> bool:
        now[0] += seconds
        keeper.offer(epoch(number, seconds), last, lambda: None)  # type: ignore[arg-type, return-value]
        return keeper.kept == number

    by_count = Keeper(tmp_path, 3)
    assert [written(by_count, n, 9.0) for n in range(1, 7)] == [False, False, True] * 2
    by_time = Keeper(tmp_path)
    assert [written(by_time, n, 0.4) for n in range(1, 7)] == [False, False, True] * 2
    assert written(by_time, 7, 0.0, last=True)
    slow = Keeper(tmp_path)
    slow._cost = 10.0  # writing is slow: due after 500 s, but a minute may be lost
    assert [written(slow, n, 25.0) for n in range(1, 3)] == [False, True]


def test_the_best_epoch_is_kept_when_training_diverges() -> None:
    config = Config(k=3, lr=0.5, epochs=60, batch_size=16)
    split = planted_split(config, share=0.8)
    with pytest.raises(
        Diverged, match=r"training diverged at epoch \d+ \(lr 0.5\); epoch \d+, the"
    ) as found:
        fit(split, config)
    best = found.value.best
    assert best
    errors = best.history.lists["val_mse"]
    assert errors[-1] == min(errors)
    sound = fit(split, replace(config, epochs=len(errors)))
    assert_same(best, sound)
    assert "; try lr=" in str(found.value)
    rate = float(str(found.value).rpartition("lr=")[2])
    again = fit(split, replace(config, lr=rate, epochs=5))
    assert np.isfinite(again.history.lists["val_mse"]).all()


def test_a_first_epoch_that_diverges_leaves_no_model() -> None:
    for engine in ("fast", "keras"):
        config = Config(k=3, lr=1e4, engine=engine)
        with pytest.raises(Diverged, match="no epoch before it can be kept; try lr=") as found:
            fit(planted_split(config), config)
        assert found.value.best is None


def test_rates_that_no_engine_can_use_are_skipped() -> None:
    """With Nesterov momentum, the fast engine cannot use a rate with 2 lr reg = 1."""
    config = Config(k=3, lr=256.0, reg=0.5, nesterov=True)
    with pytest.raises(Diverged, match=r"at epoch 1 .*; try lr="):
        fit(planted_split(config), config)


def test_a_probe_finds_the_first_stable_rate() -> None:
    config = Config(k=3, lr=64.0, engine="fast", blocks=1, batch_size=4)
    split = planted_split(config)
    rate = stable_rate(start(split, config), split.train, config, 1)
    assert rate is not None
    assert rate < 4
    assert 64.0 / rate == 2 ** round(np.log2(64.0 / rate))
    doubled = replace(config, lr=2 * rate)
    below = stable_rate(start(split, doubled), split.train, doubled, 1)
    assert below == rate


def train(folder: Path, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mfcli", "train", *map(str, args)]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def epoch_lines(process: subprocess.Popen[str], count: int) -> str:
    """Wait until a training has printed some epochs or has ended; return what it printed."""
    assert process.stderr
    lines: list[str] = []
    while sum(line.startswith("epoch") for line in lines) < count:
        line = process.stderr.readline()
        if not line:
            process.wait()
            break
        lines.append(line)
    return "".join(lines)


def result(folder: Path) -> tuple[str, dict[str, Any]]:
    manifest = json.loads((folder / "model/model.json").read_text())
    history = json.loads((folder / "history.json").read_text())
    del history["seconds"], history["digest"]
    return manifest["weights"], history


def test_killed_three_times_and_resumed(run: Run, tmp_path: Path, real_split: Path) -> None:
    options = ["--split", real_split, "--epochs", 40, "--blocks", 2, "--checkpoint-every", 1]
    whole = run("train", *options, "--out", "whole")
    assert whole.code == 0, whole.err
    rng, resume = random.Random(1), []
    for _ in range(3):
        process = train(tmp_path, *options, *resume, "--out", "killed")
        lines = epoch_lines(process, rng.randint(1, 3))  # a checkpoint follows each
        time.sleep(rng.uniform(0.0, 0.02))
        process.send_signal(signal.SIGKILL)
        _, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, lines + err
        resume = ["--resume"] if (tmp_path / "killed/checkpoint").is_dir() else []
    done = run("train", *options, *resume, "--out", "killed")
    assert done.code == 0, done.err
    assert result(tmp_path / "killed") == result(tmp_path / "whole")
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == [
        "checkpoint",
        "history.json",
        "model",
    ]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_prints_how_to_resume(
    tmp_path: Path, real_split: Path, stop: signal.Signals
) -> None:
    process = train(
        tmp_path, "--split", real_split, "--epochs", 200, "--out", "o", "--checkpoint-every", 1
    )
    assert process.stderr
    while not process.stderr.readline().startswith("epoch  20/200"):
        pass
    begin = time.perf_counter()
    process.send_signal(stop)
    _, err = process.communicate(timeout=10)
    assert time.perf_counter() - begin < 2
    assert process.returncode == 128 + stop
    last = err.splitlines()[-1]
    kept = len(read_checkpoint(tmp_path / "o/checkpoint").history)
    assert last == (
        f"note: stopped; the last checkpoint is after epoch {kept}; resume: mfcli train"
        f" --resume --split {real_split} --out o"
    )
    assert not (tmp_path / "o/model").exists()


def test_a_finished_training_can_be_extended(run: Run, real_split: Path) -> None:
    options = ["--split", real_split, "--k", 4]
    assert run("train", *options, "--epochs", 3, "--out", "a", "-q").code == 0
    done = run("train", "--split", real_split, "--resume", "--epochs", 5, "--out", "a")
    assert done.code == 0, done.err
    assert "note: resuming after epoch 3" in done.err
    assert [line[:9] for line in done.err.splitlines()[2:]] == ["epoch 4/5", "epoch 5/5"]
    run("train", *options, "--epochs", 5, "--out", "b", "-q")
    assert result(Path("a")) == result(Path("b"))
    before = result(Path("a"))
    assert run("train", "--split", real_split, "--resume", "--out", "a", "-q").code == 0
    assert result(Path("a")) == before


def test_resuming_needs_a_checkpoint_and_the_same_settings(run: Run, real_split: Path) -> None:
    done = run("train", "--split", real_split, "--resume")
    assert (done.code, done.err) == (
        1,
        "error: checkpoint: holds no checkpoint; train without --resume\n",
    )
    run("train", "--split", real_split, "--epochs", 2, "-q")
    before = result(Path())
    Path("mfcli.toml").write_text("lr = 0.01\n")
    done = run("train", "--split", real_split, "--resume")
    assert (done.code, done.err) == (
        1,
        "error: the checkpoint was trained with --lr 0.08, not 0.01; omit --lr to resume, or train"
        " without --resume\n",
    )
    assert result(Path()) == before


def test_folds_are_resumed_separately(run: Run, real_csv: Path) -> None:
    run("split", real_csv, "--strategy", "k-fold", "--folds", 2)
    run("train", "--epochs", 3, "--out", "whole", "-q")
    run("train", "--split", "split/fold-1", "--epochs", 2, "--out", "part/fold-1", "-q")
    assert run("train", "--resume", "--epochs", 3, "--out", "part", "-q").code == 0
    for fold in ("fold-1", "fold-2"):
        assert result(Path("part") / fold) == result(Path("whole") / fold)


def test_two_trainings_cannot_write_to_one_folder(tmp_path: Path, real_split: Path) -> None:
    first = train(tmp_path, "--split", real_split, "--epochs", 200, "--out", "o")
    assert first.stderr
    first.stderr.readline()
    second = train(tmp_path, "--split", real_split, "--epochs", 1, "--out", "o")
    _, err = second.communicate(timeout=20)
    assert (second.returncode, err) == (
        1,
        "error: o: another process is writing to this folder; wait until it ends, or choose another"
        " folder\n",
    )
    first.kill()
    first.communicate()
    third = train(tmp_path, "--split", real_split, "--epochs", 1, "--out", "o")
    _, err = third.communicate(timeout=20)
    assert third.returncode == 0, err


def test_a_failed_run_leaves_no_folder(run: Run, real_split: Path) -> None:
    done = run("train", "--split", real_split, "--lr", "1e6", "--out", "new")
    assert done.code == 1
    assert not Path("new").exists()


def test_a_damaged_checkpoint_is_refused(run: Run, real_split: Path) -> None:
    run("train", "--split", real_split, "--epochs", 1, "-q")
    state = Path("checkpoint/state.npz")
    data = bytearray(state.read_bytes())
    data[len(data) // 2] ^= 1
    state.write_bytes(data)
    done = run("train", "--split", real_split, "--resume")
    assert done.err == (
        "error: checkpoint/state.npz: is damaged (its digest is wrong); train again\n"
    )


def test_history_lists_are_epochs() -> None:
    epochs = [epoch(1, 0.5), epoch(2, 0.25)]
    assert History.of(epochs).epochs() == epochs
