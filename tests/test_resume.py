"""`mfcli train --resume` continues the last training in a folder, and no other."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from conftest import Outcome, Run
from contents import names, snapshot
from planted import planted_split

from mfcli.config import Config
from mfcli.errors import ArtifactError
from mfcli.splits import split as split_ratings, write_split
from mfcli.training import Checkpoint, Keeper, checkpoints, fit, loop, read_checkpoint, run as runs

Train: TypeAlias = Callable[..., Outcome]

SHAPE = {"users": 20, "items": 15}


@pytest.fixture
def train(run: Run) -> Train:
    """Run `mfcli train` on small splits: `split`, and `folds` with three folds."""
    whole = planted_split(Config(valid=0.1), **SHAPE)
    write_split(Path("split"), whole)
    write_split(Path("folds"), split_ratings(whole.train, Config(strategy="k-fold", folds=3)))
    return lambda *args: run("train", "--checkpoint-every", 1, *args)


@pytest.fixture
def stopped(train: Train, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Run `mfcli train` and interrupt it before some epoch, counted over all folds."""

    def stopped(epoch: int, *args: object) -> Outcome:
        count = 0

        def next_epoch(self: Any, *args: Any) -> Any:
            nonlocal count
            count += 1
            if count == epoch:
                raise KeyboardInterrupt
            return run_epoch(self, *args)

        with monkeypatch.context() as patch:
            patch.setattr(runs.Run, "next", next_epoch)
            done = train(*args)
        assert done.code != 0
        return done

    run_epoch = runs.Run.next
    return stopped


def result(folder: str) -> tuple[str, list[float], dict[str, Any]]:
    """Return the digest of the weights, the errors and the settings of a trained model."""
    record = json.loads(Path(folder, "model/model.json").read_text())
    history = json.loads(Path(folder, "history.json").read_text())
    return record["weights"], history["val_mse"], record["settings"]


def test_a_training_without_a_checkpoint_does_not_resume_an_older_one(
    train: Train, stopped: Train
) -> None:
    assert train("--k", 4, "--epochs", 2).code == 0
    before = result(".")
    done = stopped(1, "--k", 3, "--epochs", 3)
    assert done.err.splitlines()[-1] == (
        "note: stopped before the first checkpoint; start again with the same settings: mfcli train"
        " --resume"
    )
    assert result(".") == before
    assert names(Path()) == ["checkpoint", "folds", "history.json", "model", "split"]
    assert not read_checkpoint(Path("checkpoint")).has_state
    again = train("--resume")
    assert again.code == 0, again.err
    assert "note: resuming at epoch 1, with the settings of the checkpoint" in again.err
    train("--k", 3, "--epochs", 3, "--out", "whole")
    assert result(".") == result("whole")


def test_a_start_has_settings_too(train: Train, stopped: Train) -> None:
    stopped(1, "--k", 3)
    assert train("--resume", "--k", 4).err == (
        "error: the checkpoint was trained with --k 3, not 4; omit --k to resume, or train without"
        " --resume\n"
    )
    assert stopped(1, "--resume", "--epochs", 4).err.endswith("train --resume --epochs 4\n")
    limited = stopped(1, "--resume", "--epochs", 5, "--memory", "90GB")
    assert limited.err.endswith("train --resume --epochs 5 --memory 90GB\n")


def test_a_training_that_fails_at_once_leaves_the_older_checkpoint(train: Train) -> None:
    assert train("--lr", 1e5).code == 1
    assert not Path("checkpoint").exists()
    train("--epochs", 1)
    before = snapshot(Path())
    assert train("--lr", 1e5).code == 1
    assert snapshot(Path()) == before


def test_folds_that_fail_at_once_leave_all_older_checkpoints(train: Train) -> None:
    place = ("--split", "folds", "--out", "o")
    train(*place, "--epochs", 1)
    before = snapshot(Path())
    assert train(*place, "--lr", 1e5).code == 1
    assert snapshot(Path()) == before


def test_an_error_of_the_system_leaves_the_older_checkpoint(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    train("--epochs", 1)
    before = snapshot(Path())
    monkeypatch.setattr(loop, "make_engine", fail)
    assert train("--epochs", 2).code == 1
    assert snapshot(Path()) == before


@pytest.mark.parametrize("has_links", [True, False])
def test_the_older_checkpoint_stays_until_the_new_one_replaces_it(
    train: Train, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    """If the process is killed in between, `--resume` finds the older one."""

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    def interrupted(folder: Path, made: Checkpoint) -> None:
        found = [snapshot(Path(name)) for name in ("checkpoint", ".checkpoint.older")]
        assert [list(files.values()) for files in found] == [list(older.values())] * 2
        raise KeyboardInterrupt

    train("--epochs", 1)
    before, older = snapshot(Path()), snapshot(Path("checkpoint"))
    monkeypatch.setattr(checkpoints, "write_checkpoint", interrupted)
    if not has_links:
        monkeypatch.setattr(os, "link", no_links)
    done = train("--epochs", 2)
    assert "note: stopped before training began; no file was changed" in done.err
    assert snapshot(Path()) == before


def test_the_older_checkpoint_is_removed_after_the_first_new_one(tmp_path: Path) -> None:
    """Not at the end of the training, which may be killed."""
    split, place = planted_split(Config(), **SHAPE), tmp_path / "checkpoint"
    fit(split, Config(k=2, epochs=1), keeper=Keeper(place, 1))
    found: list[list[str]] = []
    fit(
        split,
        Config(k=2, epochs=2),
        keeper=Keeper(place, 1),
        on_epoch=lambda epoch: found.append(names(tmp_path)),  # before its checkpoint
    )
    assert found == [[".checkpoint.older", "checkpoint"], ["checkpoint"]]


def test_checkpoints_in_containers(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint is set aside where folders of a lower layer cannot be renamed."""

    def refuse(one: Path, other: Path) -> None:
        if one.is_dir() and one.name == "checkpoint" and "older" in other.name:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(one, other)

    rename = os.rename
    train("--epochs", 1)
    before = snapshot(Path())
    monkeypatch.setattr(os, "rename", refuse)
    assert "error: training diverged" in train("--lr", 1e5).err
    assert snapshot(Path()) == before
    assert train("--epochs", 2).code == 0
    assert len(read_checkpoint(Path("checkpoint")).history) == 2
    assert not Path(".checkpoint.older").exists()


@pytest.mark.parametrize("settings", [(), ("--ensemble", 2), ("--average", 0.5)], ids=str)
@pytest.mark.parametrize("epoch", [1, 2, 5])
def test_folds_resume_as_one_training(
    train: Train, stopped: Train, epoch: int, settings: tuple[object, ...]
) -> None:
    folds = ("--split", "folds", "--out", "o")
    assert train(*folds, "--k", 2, "--epochs", 2).code == 0  # an older training
    new = ("--k", 3, "--epochs", 3, *settings)
    assert train("--split", "folds", "--out", "whole", *new).code == 0
    stop = stopped(epoch, *folds, *new)
    words = {
        1: "stopped in fold-1 before the first checkpoint; start again with the same settings",
        2: "stopped in fold-1; the last checkpoint is after epoch 1; resume",
        5: "stopped in fold-2; the last checkpoint is after epoch 1; resume",
    }
    assert stop.err.splitlines()[-1] == (
        f"note: {words[epoch]}: mfcli train --resume --split folds --out o"
    )
    assert train("--resume", *folds).code == 0
    for fold in ("fold-1", "fold-2", "fold-3"):
        assert result(f"o/{fold}") == result(f"whole/{fold}")


def test_folds_of_different_trainings_are_not_resumed(train: Train) -> None:
    for fold, k in ((1, 2), (2, 3)):
        place = ("--split", f"folds/fold-{fold}", "--out", f"o/fold-{fold}")
        assert train(*place, "--k", k, "--epochs", 1).code == 0
    before = result("o/fold-1"), result("o/fold-2")
    done = train("--resume", "--split", "folds", "--out", "o")
    assert (done.code, done.err) == (
        1,
        "error: the checkpoints differ in --k: 2 in fold-1, 3 in fold-2; train without --resume\n",
    )
    assert (result("o/fold-1"), result("o/fold-2")) == before


def test_a_fold_without_a_checkpoint_has_the_settings_of_the_others(train: Train) -> None:
    place = ("--split", "folds", "--out", "o")
    train("--split", "folds/fold-1", "--out", "o/fold-1", "--k", 2, "--epochs", 2)
    assert train("--resume", *place).code == 0
    train("--split", "folds", "--out", "whole", "--k", 2, "--epochs", 2)
    for fold in ("fold-1", "fold-2", "fold-3"):
        assert result(f"o/{fold}") == result(f"whole/{fold}")


def test_folds_may_be_extended_together(train: Train, stopped: Train) -> None:
    place = ("--split", "folds", "--out", "o")
    train(*place, "--epochs", 1)
    stop = stopped(2, "--resume", *place, "--epochs", 2)
    assert stop.err.endswith("mfcli train --resume --split folds --out o --epochs 2\n")
    assert train("--resume", *place).err == (
        "error: the checkpoints differ in --epochs: 2 in fold-1, 1 in fold-2; give --epochs, or"
        " train without --resume\n"
    )
    assert train("--resume", *place, "--epochs", 2).code == 0
    train("--split", "folds", "--out", "whole", "--epochs", 2)
    for fold in ("fold-1", "fold-2", "fold-3"):
        assert result(f"o/{fold}") == result(f"whole/{fold}")


def test_folds_of_another_split_are_not_resumed(train: Train) -> None:
    place = ("--split", "folds", "--out", "o")
    train(*place, "--epochs", 1)
    whole = planted_split(Config(seed=1), **SHAPE)
    write_split(Path("folds"), split_ratings(whole.train, Config(strategy="k-fold", folds=3)))
    done = train("--resume", *place)
    assert done.code == 1
    assert "the checkpoint is of split " in done.err


def test_options_change_the_settings_of_the_checkpoint(train: Train) -> None:
    """Not the defaults: the checkpoint has more epochs than these."""
    train("--epochs", 40, "--warmup", 20)
    done = train("--resume", "--warmup", 30)
    assert "error: the checkpoint was trained with --warmup 20, not 30; omit --warmup" in done.err
    done = train("--resume", "--warmup", 50)
    assert "--warmup must be below --epochs, got 50 of 40 epochs" in done.err
    assert train("--resume", "--warmup", 20).code == 0
    done = train("--resume", "--prior", "shared")
    assert "--prior is not used with --optimizer sgd; omit it" in done.err


def test_the_run_of_folds_is_evaluated_by_either_name(train: Train, run: Run) -> None:
    train("--split", "folds", "--out", "o", "--epochs", 1)
    for model in ("o", "o/model"):
        done = run("evaluate", "--split", "folds", "--model", model, "--resamples", 0)
        assert (done.code, done.err) == (0, "")
        Path("o/metrics.json").unlink()
    done = run("predict", "--model", "o", "--user", 1, "--item", 1)
    places = "o/fold-1/model, o/fold-2/model or o/fold-3/model"
    assert done.err == f"error: o: holds no model; did you mean {places}?\n"


def test_a_folder_of_other_files_is_not_set_aside(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(ArtifactError):
        fit(planted_split(Config(), **SHAPE), Config(k=2, epochs=1), keeper=Keeper(folder))
    assert snapshot(tmp_path) == before
