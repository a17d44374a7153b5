"""Gradient descent on several workers has the bits of one machine, also after losses."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from planted import planted_split
from thread_cluster import ThreadCluster, ThreadWorkers

from mfcli.config import Config
from mfcli.data import Scale
from mfcli.errors import ClusterError
from mfcli.splits import Split
from mfcli.storage import resources
from mfcli.training.distributed.descent_cluster import DescentCluster
from mfcli.training.distributed.descent_engine import DistributedDescent
from mfcli.training.distributed.descent_worker import parts_of
from mfcli.training.distributed.routes import Route
from mfcli.training.distributed.sources import RowsInMemory
from mfcli.training.engine import Engine, Losses
from mfcli.training.factory import make_engine
from mfcli.training.loop import start
from mfcli.training.plan import make_plan
from mfcli.training.sgd.blocks import Groups
from mfcli.training.sgd.exact_sums import added, no_sums, unit_of_squares, value_of
from mfcli.training.weights import WeightedRatings

EPOCHS = 3
SHAPE = {"users": 90, "items": 60, "share": 0.4}


def local(split: Split, config: Config) -> Engine:
    plan = make_plan(split.train, config)
    held_out = split.held_out[1] if split.held_out else None
    return make_engine(plan, [start(split, config)], split.train, held_out, 2)


def distributed(
    split: Split, config: Config, cluster: ThreadCluster, chunks: int = 2
) -> DistributedDescent:
    groups = make_plan(split.train, config).groups
    counts = split.train.users.counts, split.train.items.counts
    route = Route.of(groups, len(cluster), chunks)
    workers = DescentCluster(
        cluster,  # type: ignore[arg-type]
        Groups.of(counts, groups),
        route,
        counts,
        RowsInMemory(WeightedRatings(split.train, config)),
        RowsInMemory(split.held_out[1]) if split.held_out else None,
        [start(split, config)],
    )
    return DistributedDescent(start(split, config), workers, 0)


class Result(NamedTuple):
    """What a training gives: the losses of its epochs, its tables and its state."""

    losses: list[tuple[Losses, Losses | None]]
    tables: dict[str, bytes]
    state: dict[str, bytes]


def trained(engine: Any, epochs: int = EPOCHS, first: int = 1) -> Result:
    losses = [
        (engine.run_epoch(epoch, lambda done, total: None), engine.validate())
        for epoch in range(first, first + epochs)
    ]
    tables = {name: table.tobytes() for name, table in engine.model().tables.items()}
    state = {name: np.asarray(array).tobytes() for name, array in engine.state().items()}
    return Result(losses, tables, state)


CONFIGS = {
    "momentum": Config(k=5, blocks=7, batch_size=16),
    "penalty": Config(k=5, blocks=6, batch_size=16, reg=1e-3),
    "penalty per rating": Config(k=5, blocks=6, batch_size=16, reg=0.02, reg_scope="rating"),
    "schedule": Config(k=5, blocks=5, batch_size=16, lr_schedule="cosine", warmup=2, nesterov=True),
    "without velocities": Config(k=20, blocks=4, batch_size=16, momentum=0),
    "one group of each worker": Config(k=5, blocks=3, batch_size=16),
}


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_any_number_of_workers_gives_the_bits_of_one_machine(config: Config, workers: int) -> None:
    split = planted_split(config, **SHAPE)
    assert trained(distributed(split, config, ThreadCluster(workers))) == trained(
        local(split, config)
    )


@pytest.mark.parametrize(("workers", "threads", "chunks"), [(2, 2, 1), (2, 3, 4), (4, 1, 2)])
def test_threads_and_chunks_do_not_change_the_bits(workers: int, threads: int, chunks: int) -> None:
    config = Config(k=5, blocks=9, batch_size=16)
    split = planted_split(config, **SHAPE)
    cluster = ThreadCluster(workers, threads)
    assert trained(distributed(split, config, cluster, chunks)) == trained(local(split, config))


@pytest.mark.parametrize("workers", [1, 3])
def test_ratings_on_the_disks_of_workers(workers: int) -> None:
    config = Config(k=5, blocks=6, batch_size=16)
    split = planted_split(config, **SHAPE)
    expected = trained(local(split, config))
    with resources(room=2000):
        assert trained(distributed(split, config, ThreadCluster(workers))) == expected


def test_without_held_out_ratings() -> None:
    config = Config(k=5, blocks=4, batch_size=16)
    split = planted_split(config, **SHAPE).union()
    result = trained(distributed(split, config, ThreadCluster(2)))
    assert result == trained(local(split, config))
    assert result.losses[0][1] is None


def test_a_state_continues_on_one_machine_and_on_workers() -> None:
    config = Config(k=5, blocks=4, batch_size=16, lr_schedule="cosine", epochs=6)
    split = planted_split(config, **SHAPE)
    whole = trained(local(split, config), 6)
    first, second = distributed(split, config, ThreadCluster(2)), local(split, config)
    trained(first)
    second.restore({name: np.asarray(array) for name, array in first.state().items()})
    assert trained(second, 3, 4).tables == whole.tables
    third = distributed(split, config, ThreadCluster(3))
    third.restore({name: np.asarray(array) for name, array in first.state().items()})
    assert trained(third, 3, 4) == Result(whole.losses[3:], whole.tables, whole.state)


def losing(moments: set[int], seed: int) -> Callable[[ThreadWorkers, int, int, str], None]:
    """Return what loses a worker at some calls."""
    rng = random.Random(seed)

    def on_call(workers: ThreadWorkers, number: int, worker: int, method: str) -> None:
        if number in moments:
            workers.lose(rng.randrange(len(workers)))

    return on_call


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(1, 150), max_size=3), st.integers(0, 100))
def test_lost_workers_do_not_change_the_bits(moments: set[int], seed: int) -> None:
    config = Config(k=5, blocks=6, batch_size=16)
    split = planted_split(config, **SHAPE)
    cluster = ThreadCluster(3, retries=20, on_call=losing(moments, seed))
    assert trained(distributed(split, config, cluster)) == trained(local(split, config))


def test_workers_that_are_lost_too_often() -> None:
    config = Config(k=5, blocks=6, batch_size=16)
    split = planted_split(config, **SHAPE)
    cluster = ThreadCluster(2, retries=2, on_call=losing({*range(60, 1000, 20)}, 0))
    with pytest.raises(ClusterError, match="after 2 retries"):
        trained(distributed(split, config, cluster))


@given(st.integers(1, 6), st.integers(0, 20), st.integers(1, 9))
def test_routes(workers: int, more: int, chunks: int) -> None:
    groups = workers + more
    route = Route.of(groups, workers, chunks)
    seen = np.concatenate([route.visiting_order(worker) for worker in range(workers)])
    assert sorted(seen) == list(range(groups**2))
    for worker in range(workers):
        owned = range(groups)[route.owned(worker)]
        here = dict.fromkeys(owned, 0) if workers > 1 else dict.fromkeys(range(groups), 0)
        coming, leaving = iter(route.arrivals(worker)), iter(route.departures(worker))
        done, space = dict.fromkeys(owned, 0), route.slots(worker)
        chunk = next(leaving, None)
        for block in route.visiting_order(worker).tolist():
            stratum, user = divmod(block, groups)
            item = (user + stratum) % groups
            while here.get(item) != stratum:  # the item group is not here yet
                while chunk and done[owned[0]] >= route.strata_before_leaving(worker, chunk):
                    for group in range(chunk.first, chunk.end):
                        del here[group]
                    chunk = next(leaving, None)
                come = next(coming)
                for group in range(come.first, come.end):
                    here[group] = route.strata_at_arrival(worker, group)
                assert len(here) <= space
            assert done[user] == stratum
            here[item] = done[user] = stratum + 1


def test_large_chunks_travel_in_several_objects() -> None:
    tables = [np.arange(n, dtype=np.float32)[:, None, None] for n in (3, 1, 9)]
    parts = parts_of(tables, 20)  # bytes: five rows
    assert max(sum(rows.nbytes for rows in part) for part in parts) == 20
    assert len(parts) == 3
    pieces = [rows for part in parts for rows in part]
    assert np.array_equal(np.concatenate(pieces), np.concatenate(tables))
    assert [len(part) for part in parts_of(tables, 1)] == [1] * 13  # a row is not divided


def test_what_leaves_a_worker_comes_to_the_one_before() -> None:
    route = Route.of(11, 3, 2)
    for worker in range(3):
        assert route.departures((worker + 1) % 3) == route.arrivals(worker)
    groups = [group for chunk in route.departures(1) for group in range(chunk.first, chunk.end)]
    assert groups == [3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2]  # from its home on
    assert not Route.of(11, 1, 2).departures(0)


def exact_sum(values: list[float], exponent: int) -> float:
    sums, low, high = no_sums(1), np.int64(0), np.int64(0)
    for value in values:
        low, high = added.py_func(value * 2.0**-exponent, low, high, sums[0])
    sums[0, 0] += low
    sums[0, 1] += high
    return value_of(sums, exponent)


@given(st.lists(st.floats(0, 1e16), max_size=30), st.randoms(use_true_random=False))
def test_exact_sums(values: list[float], rng: random.Random) -> None:
    exponent = unit_of_squares(Scale(1.0, 5.0, 1.0))
    total = exact_sum(values, exponent)
    rounding = Fraction(2) ** exponent * len(values)
    large = sum(1 for value in values if value * 2.0**-exponent >= 2.0**62)
    rounding += Fraction(2) ** (exponent + 40) * large
    assert abs(Fraction(total) - sum(map(Fraction, values))) <= rounding + Fraction(total) / 2**52
    rng.shuffle(values)
    assert exact_sum(values, exponent) == total


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_sums_of_what_is_too_large_are_infinite(value: float) -> None:
    assert exact_sum([1.0, value], -40) == float("inf")


@pytest.mark.parametrize(("low", "high"), [(3, 3), (0, 0), (1e14, 1e14), (0, 1e-14), (-1e14, 1)])
def test_a_unit_suits_any_scale(low: float, high: float) -> None:
    scale = Scale(low, high, None)
    size = max(scale.max - scale.min, 1e-7 * abs(scale.max)) ** 2
    assert exact_sum([size, size], unit_of_squares(scale)) == pytest.approx(2 * size)
