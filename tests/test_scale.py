"""The simulator of clusters: laws that its epochs obey, and the bytes that plans announce."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from conftest import ROOT
from planted import planted_ratings
from thread_cluster import ThreadCluster

from mfcli.config import Config
from mfcli.splits import split
from mfcli.training.distributed.plans import groups_on, route_of, shares_of
from mfcli.training.distributed.routes import Route

RATINGS, GROUP = 10**8, 1e6
INFINITY = float("inf")


@pytest.fixture
def scaling(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return importlib.import_module("scaling.simulator")


def epoch(scaling: Any, workers: int, chunks: int = 2, threads: int = 1, **changed: float) -> Any:
    """Simulate an epoch with 24 groups, each worker on a machine."""
    costs = scaling.Costs(rating=1e-8, call=1e-4, work=2e-4, message=1e-3, copy=1e9)
    costs = costs._replace(**{name: changed.pop(name) for name in {*changed} & {*costs._fields}})
    team = replace(scaling.Team(workers, threads, workers, threads), **changed)
    return scaling.simulate(Route.of(24, workers, chunks), team, RATINGS, GROUP, costs)


FREE = {"call": 0.0, "work": 0.0, "message": 0.0, "copy": INFINITY}


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_one_worker_sends_nothing_and_takes_the_time_of_its_ratings(
    scaling: Any, threads: int
) -> None:
    found = epoch(scaling, 1, threads=threads)
    assert found.travelled == 0
    assert found.computing == pytest.approx(RATINGS * 1e-8 / threads)
    assert found.waiting == pytest.approx(2 * 1e-3 + 1e-4)  # two messages, and a call


@pytest.mark.parametrize("chunks", [1, 2, 4])
@pytest.mark.parametrize("workers", [2, 3, 6])
def test_each_item_group_hops_from_worker_to_worker(
    scaling: Any, workers: int, chunks: int
) -> None:
    assert epoch(scaling, workers, chunks).travelled == workers * 24 * GROUP


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_workers_share_the_ratings_if_nothing_else_costs_time(scaling: Any, workers: int) -> None:
    found = epoch(scaling, workers, **FREE)
    assert found.seconds == pytest.approx(RATINGS * 1e-8 / workers)
    assert found.waiting == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("workers", [2, 4, 8])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_faster_network_is_never_slower(scaling: Any, workers: int, threads: int) -> None:
    speeds = [1e7, 1e8, 1e9, INFINITY]
    times = [epoch(scaling, workers, threads=threads, bandwidth=one).seconds for one in speeds]
    assert all(slow >= fast - 1e-9 for slow, fast in pairwise(times))
    assert times[0] > times[-1]
    # All of them cross a link of each machine, one after another.
    assert times[0] >= workers * 24 * GROUP / workers / 1e7


@pytest.mark.parametrize("name", ["rating", "call", "message", "look", "latency"])
def test_what_costs_more_takes_longer(scaling: Any, name: str) -> None:
    times = [epoch(scaling, 4, **{name: cost}).seconds for cost in (1e-9, 1e-7, 1e-2)]
    assert all(cheap <= dear + 1e-9 for cheap, dear in pairwise(times))
    assert times[0] < times[-1]


def test_workers_on_one_machine_share_its_processors_and_no_network(scaling: Any) -> None:
    shared = {"machines": 1, "bandwidth": 1.0, **FREE}
    assert epoch(scaling, 4, cores=2, **shared).seconds == pytest.approx(RATINGS * 1e-8 / 2)
    assert epoch(scaling, 4, cores=4, **shared).seconds == pytest.approx(RATINGS * 1e-8 / 4)


def test_the_driver_starts_one_worker_after_another(scaling: Any) -> None:
    found = epoch(scaling, 8, 3, call=1.0)
    assert 8.0 < found.seconds < 9.0


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_needs_are_the_shares_of_a_plan(scaling: Any, workers: int) -> None:
    needs = importlib.import_module("scaling.needs")
    ratings, _ = planted_ratings(users=96, items=48, share=0.4)
    config = Config(k=10, blocks=12, batch_size=16, test=0.25)
    made = split(ratings, config)
    cluster, team = ThreadCluster(workers, 2), scaling.Team(workers, 2, workers, 2)
    expected = shares_of(cluster, 12, made, config)  # type: ignore[arg-type]
    held_out = len(made.held_out[1]) if made.held_out else 0
    data = needs.Data(len(made.train), held_out, 96, 48)
    route = needs.route_for(data, config, team, None)
    assert route == route_of(cluster, 12, 48, config)  # type: ignore[arg-type]
    found = needs.needs(data, config, route, made.scale)
    # Workers have about the same ratings, and the same number of rows.
    assert found.packed == pytest.approx(expected.packed, rel=0.05)
    assert found[1:] == (expected.users, expected.items, expected.validation, expected.hops)
    assert found.held == sum(found[:4])


def test_groups_of_large_data_are_those_of_a_plan(scaling: Any) -> None:
    needs = importlib.import_module("scaling.needs")
    data, team = needs.Data(10**9, 0, 10**7, 10**6), scaling.Team(8, 32, 8, 32)
    route = needs.route_for(data, Config(k=32), team, None)
    assert route.groups == groups_on(team, 1, range(10**9), Config(k=32)) == 496
    assert needs.route_for(data, Config(k=32), team, 4) == Route.of(496, 8, 4)


def test_the_documentation_shows_what_is_simulated() -> None:
    command = [sys.executable, ROOT / "examples" / "scale.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    costs, *table = (line for line in done.stdout.splitlines() if line)
    shown = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert len(table) == 2 + 5
    assert "\n".join(table) in shown
    for cost in (
        "22.0 ns for a rating and thread",
        "500 us of the driver",
        "1.50 ms",
        "0.70 GB/s",
        "40 us",
    ):
        assert cost in costs
