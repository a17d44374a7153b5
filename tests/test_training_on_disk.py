"""Training with blocks on disk gives the same bits as in memory, and leaves nothing behind."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.errors import ArtifactError
from mfcli.model import TABLES
from mfcli.splits import Split
from mfcli.storage import Scratch, resources
from mfcli.training import Checkpoint, Plan, fit, read_checkpoint, write_checkpoint
from mfcli.training.checkpoints import Keeper
from mfcli.training.sgd.claims import visiting_order
from mfcli.training.weights import WeightedRatings

SMALL = {"k": 3, "epochs": 2, "batch_size": 8, "blocks": 4}


@pytest.fixture(scope="module")
def split() -> Split:
    return planted_split(Config(), users=90, items=60)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("changes", [{}, {"blocks": 1}, {"ensemble": 2}, {"average": 0.5}])
def test_the_model_has_the_same_bits(split: Split, changes: dict[str, Any], threads: int) -> None:
    config, plans, spaces = Config(**{**SMALL, **changes}), list[Plan](), list[int]()
    expected = fit(split, config)
    for room in (1, 4096):
        with resources(room=room, on_space=lambda need, folder: spaces.append(need)):
            found = fit(split, config, threads=threads, on_plan=plans.append)
        for name in TABLES:
            assert found.model.tables[name].tobytes() == expected.model.tables[name].tobytes()
        assert found.losses == expected.losses
    assert [plan.on_disk for plan in plans] == spaces
    assert min(spaces) > 0
    assert plans[0].reason.endswith("kB on disk")


def test_a_training_on_disk_resumes_in_memory(split: Split, tmp_path: Path) -> None:
    config = Config(**SMALL)
    expected, folder = fit(split, config), tmp_path / "checkpoint"
    with resources(room=1):
        fit(split, Config(**{**SMALL, "epochs": 1}), keeper=Keeper(folder, 1))
    found = fit(split, config, resume=read_checkpoint(folder))
    for name in TABLES:
        assert found.model.tables[name].tobytes() == expected.model.tables[name].tobytes()


@pytest.mark.parametrize("action", ["read", "write"])
def test_a_disk_that_fails_is_one_line(
    split: Split, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Scratch, offset: int, data: Any) -> None:
        raise ArtifactError("temporary files cannot be written: No space left on device")

    monkeypatch.setattr(Scratch, action, fail)
    with resources(room=1), pytest.raises(ArtifactError, match="No space left"):
        fit(split, Config(**SMALL), threads=2)


def test_an_interruption_stops_the_thread_that_reads(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, before = Scratch.read, threading.active_count()

    def slow(self: Scratch, offset: int, out: Any) -> None:
        time.sleep(0.2)  # so that progress is reported within the epoch
        read(self, offset, out)

    begin = list[float]()

    def stop(done: int, total: int) -> None:
        begin.append(time.monotonic())
        raise KeyboardInterrupt

    monkeypatch.setattr(Scratch, "read", slow)
    with resources(room=1), pytest.raises(KeyboardInterrupt):
        fit(split, Config(**SMALL), on_progress=stop)
    assert time.monotonic() - begin[0] < 1
    assert threading.active_count() == before


@pytest.mark.parametrize("more_users", [False, True])
@pytest.mark.parametrize("groups", [1, 2, 9, 16])
def test_blocks_come_after_all_that_they_wait_for(groups: int, more_users: bool) -> None:
    done = np.zeros((2, groups), np.int64)  # strata of user groups and of item groups
    for block in visiting_order(groups, more_users).tolist():
        stratum, user = divmod(block, groups)
        item = (user + stratum) % groups
        assert done[0, user] == done[1, item] == stratum
        done[0, user] = done[1, item] = stratum + 1
    assert (done == groups).all()


def test_a_checkpoint_has_the_rows_of_a_table_in_another_order(
    split: Split, tmp_path: Path
) -> None:
    from mfcli.storage import PermutedRows

    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    permuted, order = PermutedRows(rows, np.array([2, 0, 3, 1])), [2, 0, 3, 1]
    history = fit(split, Config(**SMALL)).history
    for name, state in (("one", permuted), ("two", rows[order])):
        write_checkpoint(tmp_path / name, Checkpoint(Config(), "", history, {"a": state}, {}))
    one, two = ((tmp_path / name / "state.npz").read_bytes() for name in ("one", "two"))
    assert np.array_equal(read_checkpoint(tmp_path / "one").state["a"], rows[order])
    assert len(one) == len(two)


def test_weights_are_computed_in_pieces(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    rng, size = np.random.default_rng(0), len(split.train)
    times = 1_000_000_000 + rng.integers(0, 10**8, size)
    weight = rng.lognormal(0, 1, size).astype(np.float32)
    train = replace(split.train, timestamp=times, weight=weight)
    made = WeightedRatings(train, Config(half_life="1y"))
    weights = np.concatenate([*made.pieces("weight")])
    decay = np.exp2(-(times.max() - times) / (365.25 * 86400)).astype(np.float32)
    assert weights.tobytes() == (weight * decay).tobytes()
    some = made.take(slice(5, 9))
    assert some.weight is not None
    assert some.weight.tobytes() == weights[5:9].tobytes()
    products = np.multiply(train.rating, weights, dtype=np.float64)
    assert made.weighted_mean == products.sum() / weights.sum(dtype=np.float64)
