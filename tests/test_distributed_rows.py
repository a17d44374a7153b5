"""Gibbs sampling and als on a cluster: the same bits as on one machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clusters import Machines
from planted import planted_ratings
from test_checkpoints import assert_same, stopped_after

import mfcli
from mfcli.clusters import WorkerLostError
from mfcli.config import Config
from mfcli.data import column_sums
from mfcli.errors import ClusterError
from mfcli.splits import Split, read_split, split, write_split
from mfcli.storage import resources
from mfcli.training import Fit, Plan, fit, read_checkpoint
from mfcli.training.checkpoints import Keeper
from mfcli.training.distributed import exchange, row_team
from mfcli.training.distributed.row_team import RowTeam, pieces_of, row_bounds

GIBBS = Config(k=3, epochs=3, optimizer="gibbs")
SHARED = replace(GIBBS, prior="shared", noise="shared")
ALS = Config(k=3, epochs=3, optimizer="als", reg=0.02)
SCORES = {"target": "rated", "unrated_weight": 0.1, "rating_weight": "linear"}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let few ratings and few rows travel, and be added up, in several pieces."""
    monkeypatch.setattr(column_sums, "_PIECE", 100)
    monkeypatch.setattr(exchange, "_ROWS", 200)
    monkeypatch.setattr(exchange, "OBJECT", 1000)
    monkeypatch.setattr(row_team, "_LEAST", 8)


@pytest.fixture(scope="module")
def made() -> Split:
    """A split in memory, with times and weights."""
    ratings, _ = planted_ratings()
    rng = np.random.default_rng(0)
    steps = np.round(2 * ratings.rating.clip(0.5, 5)) / 2
    times, weight = rng.integers(0, 10**8, len(ratings)), rng.uniform(0.5, 2, len(ratings))
    ratings = replace(
        ratings, rating=steps.astype("f4"), timestamp=times, weight=weight.astype("f4")
    )
    return split(ratings, Config(valid=0.1))


@pytest.fixture(scope="module")
def written(made: Split, tmp_path_factory: pytest.TempPathFactory) -> Split:
    """The same split in files."""
    folder = tmp_path_factory.mktemp("rows") / "split"
    write_split(folder, made)
    return read_split(folder)


def same_samples(one: Fit, two: Fit) -> bool:
    assert one.model.samples
    assert two.model.samples
    names = ("users", "items", "noise", "thresholds", "values", "user_covariance")
    pairs = [[getattr(fit.model.samples, name) for fit in (one, two)] for name in names]
    return all(np.array_equal(*pair) for pair in pairs)


@pytest.mark.parametrize(
    ("workers", "config"),
    [
        (1, replace(GIBBS, keep_samples=2, k=17)),
        (2, replace(SHARED, half_life="90d", keep_samples=2)),
        (2, replace(SHARED, noise="user", ensemble=2)),
        (3, replace(ALS, half_life="90d", **SCORES)),
    ],
    ids=["implicit", "half-life", "ensemble", "unrated"],
)
def test_any_number_of_workers_gives_the_same_bits(
    machines: Machines, written: Split, workers: int, config: Config
) -> None:
    alone, plans = fit(written, config), list[Plan]()
    with mfcli.cluster("auto", workers=workers) as cluster:
        found = fit(written, config, threads=2, on_plan=plans.append)
        assert cluster.computing > 0
    assert_same(alone, found)
    assert not config.keep_samples or same_samples(alone, found)
    assert "ratings by user and by item" in plans[0].on_cluster[1]
    assert 0 < found.history.lists["computing"][0] < found.history.lists["seconds"][0]


def test_ratings_in_memory_of_several_parts_and_on_disk(
    machines: Machines, made: Split, written: Split, tmp_path: Path
) -> None:
    plain = replace(made, train=replace(made.train, weight=None))
    write_split(
        tmp_path / "folds", split(made.train, Config(strategy="k-fold", folds=3, valid=0.1))
    )
    splits = [plain, written.union(), read_split(tmp_path / "folds" / "fold-2")]
    config = replace(ALS, biases=False)
    alone = [fit(one, config) for one in splits]
    with mfcli.cluster("auto", workers=2):
        found = [fit(one, config) for one in splits[:2]]
        with resources(room=100):
            found.append(fit(splits[2], config))
    for one, other in zip(alone, found, strict=True):
        for name, table in one.model.tables.items():
            assert table.tobytes() == other.model.tables[name].tobytes()
        assert one.history.lists["loss"] == other.history.lists["loss"]


def test_a_training_moves_between_a_machine_and_a_cluster(
    machines: Machines, written: Split, tmp_path: Path
) -> None:
    whole = fit(written, SHARED, keeper=Keeper(tmp_path / "whole", 1))
    there = stopped_after(written, SHARED, 1, tmp_path / "there")
    with mfcli.cluster("auto", workers=1):
        assert_same(whole, fit(written, SHARED, resume=there, keeper=Keeper(tmp_path / "c", 1)))
        back = stopped_after(written, SHARED, 2, tmp_path / "back")
    assert_same(whole, fit(written, SHARED, resume=back))
    states = [read_checkpoint(tmp_path / name).state for name in ("whole", "c")]
    assert states[0].keys() == states[1].keys()
    for name, array in states[0].items():
        assert np.array_equal(array, states[1][name]), name


def lose(team: RowTeam, worker: int) -> None:
    """End the process of a worker."""
    import ray

    ray.kill(team._workers._actors[worker])


def test_a_worker_lost_in_a_half_step_changes_no_bit(
    machines: Machines, written: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, computed, halves = fit(written, SHARED), RowTeam._computed, list[int]()

    def with_losses(team: RowTeam, *args: Any) -> Iterator[Any]:
        halves.append(0)
        for one in computed(team, *args):
            halves[-1] += 1
            yield one
            if len(halves) == 3 and halves[-1] == 1:
                lose(team, 1)

    monkeypatch.setattr(RowTeam, "_computed", with_losses)
    with mfcli.cluster("auto", workers=2):
        assert_same(alone, fit(written, SHARED))
    assert 0 < halves[2] < halves[0]  # the attempt that failed
    assert halves[2] + halves[3] == halves[0]  # only what was missing is computed again


def test_workers_lost_while_they_load_are_replaced(
    machines: Machines, written: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, distribute, calls = fit(written, ALS), row_team.distribute, list[str]()

    def with_losses(cluster: Any, workers: Any, name: str, *args: Any) -> None:
        import ray

        calls.append(name)
        if len(calls) == 2:
            ray.kill(workers._actors[0])
        if len(calls) == 4:
            ray.kill(workers._actors[1])
        distribute(cluster, workers, name, *args)

    monkeypatch.setattr(row_team, "distribute", with_losses)
    with mfcli.cluster("auto", workers=2):
        assert_same(alone, fit(written, ALS))
    assert len(calls) > 4


def test_losses_end_after_some_retries(
    machines: Machines, written: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(team: RowTeam, *args: Any) -> None:
        raise WorkerLostError("an object is gone")

    monkeypatch.setattr(RowTeam, "_computed", lost)
    with (
        mfcli.cluster("auto", workers=1, retries=2),
        pytest.raises(ClusterError, match="lost again after 2 retries: an object is gone; see"),
    ):
        fit(written, ALS)


def test_a_folder_that_changes_meanwhile_is_refused(
    machines: Machines, made: Split, tmp_path: Path
) -> None:
    write_split(tmp_path / "split", made)
    old = read_split(tmp_path / "split")
    write_split(tmp_path / "split", split(made.train, Config()))
    with (
        mfcli.cluster("auto", workers=1),
        pytest.raises(mfcli.errors.ArtifactError, match="holds another split on a node"),
    ):
        fit(old, ALS)


def test_rows_are_divided_by_their_cost() -> None:
    counts = np.array([100, 0, 0, 50, 50, 0, 0, 0, 0, 100])
    assert row_bounds(counts, 1, (1, 1)) == [0, 4, 10]
    assert row_bounds(counts, 1, (1, 1, 1)) == [0, 3, 6, 10]
    assert row_bounds(counts, 1, (3, 1))[1] == 9
    many = row_bounds(counts, 1, (1,) * 20)
    assert many[0] == 0
    assert many[-1] == 10
    assert many == sorted(many)
    pieces = pieces_of(many, 1)
    assert [row for p in pieces for row in range(p.first, p.end)] == [*range(10)]
