"""Gradient descent on a Ray cluster: the bits of one machine, after losses, and on resuming."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clusters import Machines
from conftest import Run
from planted import planted_ratings
from test_checkpoints import assert_same, stopped_after

import mfcli
from mfcli.config import Config
from mfcli.errors import ClusterError, ConfigError
from mfcli.splits import Split, read_split, split, write_split
from mfcli.training import Plan, fit, read_checkpoint
from mfcli.training.checkpoints import Keeper
from mfcli.training.distributed import descent_engine
from mfcli.training.distributed.descent_cluster import DescentCluster

CONFIG = Config(k=5, epochs=4, blocks=4, batch_size=16)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """A split in files, with validation ratings."""
    folder = tmp_path_factory.mktemp("descent") / "split"
    write_split(folder, split(planted_ratings()[0], Config(valid=0.1)))
    return read_split(folder)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, ensemble=2, reg=1e-3, average=0.5),
        replace(CONFIG, patience=1, epochs=9),
        replace(CONFIG, metric="ndcg"),
    ],
    ids=["plain", "averaged ensemble", "stopped early", "rankings"],
)
def test_two_workers_give_the_bits_of_one_machine(
    machines: Machines, written: Split, config: Config
) -> None:
    expected = fit(written, config)
    with mfcli.cluster("auto", workers=2):
        found = fit(written, config)
    assert_same(found, expected)
    assert found.losses == expected.losses  # without times, so that models have the same records
    times = zip(found.history.lists["computing"], found.history.lists["waiting"], strict=True)
    assert [sum(both) for both in times] == pytest.approx(found.history.lists["seconds"])


def test_the_plan_names_what_workers_hold(machines: Machines, written: Split) -> None:
    plans: list[Plan] = []
    with mfcli.cluster("auto"):
        fitted = fit(written, replace(CONFIG, epochs=1, blocks=None), on_plan=plans.append)
    (plan,) = plans
    assert fitted.model.config.blocks == plan.groups
    assert plan.groups % 2 == 0  # workers
    assert plan.on_cluster[0] == "2 nodes, 2 workers with 1 thread each"
    assert all(word in plan.on_cluster[1] for word in ("packed", "user rows", "validation"))
    assert "of item rows between workers" in plan.on_cluster[2]
    # One machine gets the same model with the same blocks.
    config = replace(CONFIG, epochs=1, blocks=plan.groups)
    assert_same(fitted, fit(written, config))


def killed_at(monkeypatch: pytest.MonkeyPatch, epoch: int) -> list[int]:
    """Kill a worker soon after an epoch has begun; return the list of those killed."""
    ray = pytest.importorskip("ray")
    killed, original = list[int](), DescentCluster.run_epoch

    def run_epoch(self: DescentCluster, member: int, number: int, on_progress: Any) -> Any:
        if number == epoch and not killed:
            killed.append(1)
            threading.Timer(0.01, ray.kill, (self._workers._actors[1],)).start()
        return original(self, member, number, on_progress)

    monkeypatch.setattr(DescentCluster, "run_epoch", run_epoch)
    return killed


@pytest.mark.parametrize("cost", [0.0, 1e9], ids=["rows of every epoch", "rows of the start"])
def test_a_killed_worker(
    machines: Machines, written: Split, monkeypatch: pytest.MonkeyPatch, cost: float
) -> None:
    config = replace(CONFIG, epochs=12)
    expected = fit(written, config)
    monkeypatch.setattr(descent_engine, "_COST", cost)
    killed = killed_at(monkeypatch, 6)
    with mfcli.cluster("auto", workers=2):
        assert_same(fit(written, config), expected)
    assert killed


def test_after_too_many_losses_the_checkpoint_is_kept(
    machines: Machines, written: Split, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = replace(CONFIG, epochs=12)
    expected = fit(written, config)
    killed_at(monkeypatch, 6)
    keeper = Keeper(tmp_path / "checkpoint", 1)
    with (
        mfcli.cluster("auto", workers=2, retries=0),
        pytest.raises(ClusterError, match="after 0 retries"),
    ):
        fit(written, config, keeper=keeper)
    checkpoint = read_checkpoint(tmp_path / "checkpoint")
    assert len(checkpoint.history) in (5, 6, 7)
    assert_same(fit(written, config, resume=checkpoint), expected)  # on this machine


def test_after_too_many_losses_the_command_says_how_to_resume(
    machines: Machines, written: Split, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run
) -> None:
    write_split(tmp_path / "split", written)
    killed_at(monkeypatch, 6)
    command = "train --epochs 12 --blocks 4 --checkpoint-every 1 --cluster auto --workers 2"
    done = run(*command.split(), "--retries", 0, "-q", "--log", "events.jsonl")
    kept = len(read_checkpoint(tmp_path / "checkpoint").history)
    note, error = done.err.splitlines()[-2:]
    assert note == (
        f"note: stopped; the last checkpoint is after epoch {kept}; resume: mfcli train --resume"
        " --log events.jsonl --cluster auto --retries 0"
    )
    assert error.startswith("error: workers were lost after 0 retries")
    plan, *events, end = map(json.loads, Path("events.jsonl").read_text().splitlines())
    assert plan["workers"] == 2
    epochs = [event for event in events if event["event"] == "epoch"]
    assert 0 < epochs[0]["computing"] < epochs[0]["seconds"]
    assert f"error: {end['message']}" == error


def test_a_lost_node(machines: Machines, written: Split) -> None:
    expected, epochs = fit(written, CONFIG), []
    with machines.another_node() as node, mfcli.cluster("auto", workers=3):

        def on_epoch(epoch: Any) -> None:
            epochs.append(epoch.epoch)
            if epoch.epoch == 2:
                machines.cluster.remove_node(node)

        assert_same(fit(written, CONFIG, on_epoch=on_epoch), expected)
    assert epochs == [1, 2, 3, 4]


def test_a_checkpoint_continues_elsewhere(
    machines: Machines, written: Split, tmp_path: Path
) -> None:
    expected = fit(written, CONFIG)
    here = stopped_after(written, CONFIG, 2, tmp_path / "here")
    with mfcli.cluster("auto", workers=2):
        assert_same(fit(written, CONFIG, resume=here), expected)
        there = stopped_after(written, CONFIG, 2, tmp_path / "there")
    assert_same(fit(written, CONFIG, resume=there), expected)


def test_what_cannot_be_distributed(machines: Machines, written: Split) -> None:
    with mfcli.cluster("auto", workers=3):
        with pytest.raises(ConfigError, match=r"at least the number of workers \(3\)"):
            fit(written, replace(CONFIG, blocks=2))
        with pytest.raises(ConfigError, match="Keras trains on one machine"):
            fit(written, replace(CONFIG, engine="keras"))
