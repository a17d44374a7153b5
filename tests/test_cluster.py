"""A cluster: tasks, workers, what is lost, and what a process keeps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import clusters as code
import numpy as np
import pytest
from clusters import Machines, python_path
from conftest import ROOT, Run

from mfcli.clusters import (
    Cluster,
    Processor,
    WorkerLostError,
    cluster,
    connection,
    current_cluster,
    machines as machine_facts,
    processors,
    reservation,
    team,
)
from mfcli.clusters.placement import places_on
from mfcli.errors import ClusterError, DataError, MfcliWarning, Param, UsageError


@pytest.fixture
def two(machines: Machines) -> Iterator[Cluster]:
    """Two workers, each on its node."""
    with cluster() as made:
        yield made
    assert current_cluster() is None


# ---------------------------------------------------------------------------
# Placement


@pytest.mark.parametrize(
    ("cpus", "workers", "places"),
    [
        ([4], None, [(0, 4)]),
        ([2, 8], None, [(0, 2), (1, 8)]),
        ([4, 4], 4, [(0, 2), (0, 2), (1, 2), (1, 2)]),
        ([2, 8], 5, [(0, 2), (1, 2), (1, 2), (1, 2), (1, 2)]),
        ([4, 4], 1, [(0, 4)]),
        ([1, 1], 3, [(0, 1), (0, 1), (1, 1)]),
    ],
)
def test_workers_share_processors(
    cpus: list[int], workers: int | None, places: list[tuple[int, int]]
) -> None:
    assert list(places_on(cpus, workers)) == places


def test_a_worker_on_each_node(two: Cluster) -> None:
    assert len(two) == len(two.nodes) == 2
    assert two.threads == (1, 1)
    assert all(node.cpus == 1 and node.store == 150 << 20 for node in two.nodes)
    assert len(set(two.map(code.node, [(), (), (), ()]))) == 2


def test_processors_that_other_jobs_use(two: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservation, "_PATIENCE", 0.5)
    busy = pytest.raises(ClusterError, match=r"2 CPUs were not free within .* workers")
    with busy, team.team_of("auto", None):
        pass


def test_more_workers_than_processors(machines: Machines) -> None:
    with cluster(workers=5) as made:
        assert made.threads == (1,) * 5
        assert list(made.map(code.product, [(n,) for n in range(9)], shared=(2,))) == [
            2 * n for n in range(9)
        ]


# ---------------------------------------------------------------------------
# Tasks


def test_results_are_in_the_order_of_the_tasks(two: Cluster, tmp_path: Path) -> None:
    tasks = [(n,) for n in range(8)]
    results = two.map(code.last_of, tasks, shared=(str(tmp_path / "file"),))
    assert [*results] == [(n, False) for n in range(8)]


def test_few_tasks_are_under_way(two: Cluster) -> None:
    taken = []

    def tasks() -> Iterator[tuple[int]]:
        for n in range(20):
            taken.append(n)
            yield (n,)

    for n, _ in enumerate(two.map(code.product, tasks(), shared=(1,))):
        assert len(taken) <= n + 2 * len(two)
    assert len(taken) == 20


def test_tasks_have_the_threads_of_their_worker(machines: Machines) -> None:
    with cluster(workers=4) as made:
        for found in made.map(code.facts, [()] * 4):
            assert found["threads"] == 1
            assert found["cluster"] is None
            assert found["pid"] != os.getpid()


def test_an_error_arrives_as_it_was_raised(two: Cluster) -> None:
    with pytest.raises(DataError) as caught:
        list(two.map(code.refuse, [([1],)]))
    error = caught.value
    assert str(error) == "here: k is refused, got [1]; use k=2"
    assert (error.place, error.param, error.value) == ("here", Param("k"), [1])


def test_another_error_is_named_in_one_line(two: Cluster) -> None:
    results = two.map(code.divide, [(1,), (0,), (2,)])
    assert next(results) == 1
    rule = f"{two.nodes[0].address}: a worker failed with ZeroDivisionError: division by zero"
    with pytest.raises(ClusterError, match=f"^{rule}$"):
        next(results)
    assert [*two.map(code.divide, [(4,)])] == [0.25]


def test_code_that_workers_do_not_have(two: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    here = ModuleType("only_here")
    exec("def function(): pass", here.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", here)
    with pytest.raises(ClusterError, match=r"^a worker failed with .*'only_here'$"):
        list(two.map(here.function, [()]))


def test_warnings_arrive(two: Cluster) -> None:
    with pytest.warns(MfcliWarning, match="^1 is small; use more$") as caught:
        assert [*two.map(code.advise, [(1,), (1,)])] == [1, 1]
    assert len(caught) == 2


def test_a_task_runs_again_if_its_process_dies(two: Cluster, tmp_path: Path) -> None:
    tasks = [(n,) for n in range(6)]
    assert [*two.map(code.die_once, tasks, shared=(str(tmp_path / "once"),))] == [*range(6)]


def test_a_task_is_not_tried_for_ever(machines: Machines) -> None:
    with cluster(retries=1) as made:
        with pytest.raises(ClusterError, match="a task has lost its worker again after 1 retry"):
            list(made.map(code.die, [(1,)]))
        assert [*made.map(code.product, [(2,)], shared=(3,))] == [6]


def test_values_of_tasks_stay_in_the_store(two: Cluster) -> None:
    values = np.arange(10)
    (low, high), other = two.map(code.halves, [(two.put(values),), (values[:4],)], returns=2)
    assert [*two.get(low), *two.get(high)] == [*range(10)]
    assert [value.tolist() for value in two.get(other)] == [[0, 1], [2, 3]]
    assert [*two.map(code.is_writable, [(low,)])] == [False]  # as all arrays from the store


def test_a_failure_of_several_values_is_raised_by_each(two: Cluster) -> None:
    (low, high), *_ = two.map(code.halves, [(7,)], returns=2)
    for reference in (low, high):
        with pytest.raises(ClusterError, match="TypeError"):
            two.get(reference)
    with pytest.raises(ClusterError, match="TypeError"):
        list(two.map(code.is_writable, [(high,)]))


# ---------------------------------------------------------------------------
# Workers


def test_workers_keep_their_object(two: Cluster) -> None:
    workers = two.start(code.counter, 10)
    assert len(workers) == 2
    calls = [workers.call(w, "add", amount) for w in (0, 1) for amount in (1, two.put([2, 3]))]
    assert workers.get(calls) == [11, 16, 11, 16]
    first, second = workers.call(1, "both", returns=2)
    assert workers.get(workers.call(0, "add", second)) == 32
    assert workers.get(first) == 1
    found = workers.get([workers.call(w, "facts") for w in (0, 1)])
    assert found[0]["node"] != found[1]["node"]
    assert all(one["threads"] == 1 and one["cluster"] is None for one in found)
    workers.close()


def test_calls_of_a_lane_are_in_order_and_lanes_at_the_same_time(
    two: Cluster, tmp_path: Path
) -> None:
    workers, notes, file = two.start(code.counter, 0), tmp_path / "notes", tmp_path / "done"
    waits = workers.call(0, "wait", str(file), lane="in")
    # An argument that is not there yet delays only its own lane.
    late = workers.call(0, "add", waits, lane="out")
    calls = [workers.call(0, "note", str(notes), f"{n}", 0.01, lane="compute") for n in range(3)]
    assert workers.get(calls) == ["0", "1", "2"]
    lines = [f"{word} {n}" for n in range(3) for word in ("begin", "end")]
    assert notes.read_text().splitlines() == lines
    with pytest.raises(TimeoutError):
        workers.get(late, timeout=0.1)
    file.touch()
    assert workers.get(waits) > 0  # it did not give up
    workers.get(late)
    workers.close()


def test_a_lane_goes_on_after_an_error(two: Cluster) -> None:
    workers = two.start(code.counter, 0)
    fails = workers.call(1, "refuse")
    assert workers.get(workers.call(1, "add", 1)) == 1
    for reference in (fails, workers.call(0, "add", fails)):
        with pytest.raises(DataError, match="got 1; use k=2"):
            workers.get(reference)
    workers.close()


def test_an_object_that_cannot_be_made(two: Cluster) -> None:
    with pytest.raises(DataError, match="cannot be made, got 0"):
        two.start(code.unusable)


def test_a_killed_worker_is_replaced(machines: Machines, tmp_path: Path) -> None:
    with cluster(retries=1) as made:
        workers = made.start(code.counter, 5)
        workers.get([workers.call(w, "add", 1) for w in (0, 1)])
        pid = workers.get(workers.call(1, "facts"))["pid"]
        busy = workers.call(1, "wait", str(tmp_path / "none"))
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerLostError) as caught:
            workers.get([workers.call(0, "add", 0), busy])
        assert caught.value.workers == (1,)
        with pytest.warns(
            MfcliWarning, match=r"lost 1 of 2 workers; replacing them \(retry 1 of 1"
        ):
            workers.replace(caught.value.workers)
        assert workers.get([workers.call(w, "add", 1) for w in (0, 1)]) == [7, 6]
        with pytest.raises(ClusterError, match="lost after 1 retry"):
            workers.replace([0])


def test_workers_that_die_at_once(machines: Machines, tmp_path: Path) -> None:
    with cluster(retries=1) as made:
        workers = made.start(code.dies_once, str(tmp_path / "once"))
        assert workers.get([workers.call(w, "add", 2) for w in (0, 1)]) == [2, 2]
        with pytest.raises(ClusterError, match="lost after 1 retry"):
            made.start(code.dies)


def test_a_lost_node(machines: Machines, tmp_path: Path) -> None:
    with machines.another_node() as node, cluster() as made:
        assert len(made) == 3
        workers = made.start(code.counter, 0)
        homes = workers.get([workers.call(w, "facts") for w in range(3)])
        lost = [one["node"] for one in homes].index(node.node_id)
        busy = workers.call(lost, "wait", str(tmp_path / "none"))
        machines.cluster.remove_node(node, allow_graceful=False)
        with pytest.raises(WorkerLostError) as caught:
            workers.get(busy)
        assert caught.value.workers == (lost,)
        workers.replace(caught.value.workers)
        assert workers.get(workers.call(lost, "add", 1)) == 1
        tasks = [(n,) for n in range(6)]
        assert [*made.map(code.product, tasks, shared=(1,))] == [*range(6)]


# ---------------------------------------------------------------------------
# Machines that differ


def test_what_processors_have_in_common() -> None:
    one = Processor("x86_64", "znver3", ("+avx2", "+fma", "-avx512f"))
    other = Processor("x86_64", "skylake", ("+avx2", "+avx512f"))
    same = processors.processors_in_common([one, one])
    assert (same.names, same.target, same.is_limited) == (("znver3",), one, False)
    assert same.environment == {}
    with pytest.warns(MfcliWarning, match=r"different processors \(skylake, znver3\)"):
        both = processors.processors_in_common([one, other])
    assert both.target == Processor("x86_64", "generic", ("+avx2", "-avx512f", "-fma"))
    assert both.is_limited
    with pytest.raises(ClusterError, match="architectures: arm64, x86_64"):
        processors.processors_in_common([one, one._replace(architecture="arm64")])


def altered(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Change what the second node is found to have."""
    found = machine_facts.machines_of

    def machines_of(nodes: Any) -> Any:
        first, *others = found(nodes)
        return [first, *map(change, others)]

    monkeypatch.setattr(team, "machines_of", machines_of)


def test_different_processors_compile_the_same_code(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def older(machine: Any) -> Any:
        features = tuple(one.replace("+avx2", "-avx2") for one in machine.processor.features)
        return machine._replace(processor=machine.processor._replace(features=features))

    altered(monkeypatch, older)
    with ExitStack() as stack:
        with pytest.warns(MfcliWarning, match="nodes have different processors"):
            made = stack.enter_context(cluster())
        (found,) = made.map(code.facts, [()])
        workers = made.start(code.counter, 0)
        kept = workers.get(workers.call(0, "facts"))
    target = made.processors.target
    assert made.processors.is_limited
    assert "-avx2" in target.features
    assert found["numba"] == kept["numba"]
    assert found["numba"] == {"NAME": target.name, "FEATURES": ",".join(target.features)}


def test_different_versions_are_refused(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered(monkeypatch, lambda one: one._replace(versions={**one.versions, "numba": "0.1"}))
    rule = r"has numba 0\.1, this process has .*; install the"
    with pytest.raises(ClusterError, match=rule), cluster():
        pass


def test_small_stores_are_warned_of(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    altered(monkeypatch, lambda one: one._replace(shared_memory=64 << 20))
    with pytest.warns(MfcliWarning, match="/dev/shm.*--shm-size"), cluster():
        pass
    monkeypatch.setattr(machine_facts, "_LEAST_STORE", 1 << 30)
    with pytest.warns(MfcliWarning, match="--object-store-memory"), cluster():
        pass


# ---------------------------------------------------------------------------
# Connections


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"address": 3}, "address must have the type str"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"retries": -1}, "retries must be at least 0"),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message), cluster(**arguments):
        pass


def test_blocks_are_not_nested(two: Cluster) -> None:
    with pytest.raises(UsageError, match="in use already"), cluster():
        pass
    assert current_cluster() is two


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    from mfcli.clusters import library

    monkeypatch.setitem(sys.modules, "ray", None)
    library.ray.cache_clear()
    try:
        with pytest.raises(UsageError, match=r'pip install "mfcli\[ray\]"'), cluster():
            pass
    finally:
        library.ray.cache_clear()


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray has no package for this Python")
    from mfcli.clusters.addresses import checked_address

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for address in ("", "here", "http://a:1", "a:123456", "ray://a"):
        with pytest.raises(UsageError, match="is not the address of a Ray cluster"):
            checked_address(address)
    for address in ("127.0.0.1:9", "ray://127.0.0.1:9"):
        with pytest.raises(ClusterError, match=f"^{address}: cannot be reached: .*refused"):
            checked_address(address)
    assert checked_address("local") == "local"
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(ClusterError, match=r"^127\.0\.0\.1:9: "):
        checked_address("auto")


CALLS = """
import clusters as code, faulthandler, logging, os, signal, threading, time
from mfcli.cli import run_until_signal
from mfcli.clusters import cluster, current_cluster

def process():
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    lines = [line.split() for line in open("/proc/self/status") if line.startswith("Sig")]
    sets = {{name: int(value, 16) for name, value in lines if "/" not in value}}
    # Numbers above 31 are used by the library of C.
    caught = [sets[name] & 0x7FFFFFFF for name in ("SigCgt:", "SigIgn:", "SigBlk:")]
    names = [name for name in os.environ if name.startswith("RAY_")]
    return handlers, caught, names, faulthandler.is_enabled(), logging.getLogger("ray").level

def use(address, seconds=0.0):
    with cluster(address, workers=2) as made:
        inside = process()
        if seconds:
            threading.Timer(1, os.kill, (os.getpid(), getattr(signal, "{number}"))).start()
        workers = made.start(code.counter, 3)
        total = workers.get(workers.call(1, "add", 4))
        list(made.map(time.sleep, [(seconds,)] * 3))
        return total, inside[0], inside[1]
"""

RESTORED = """
before = process()
for _ in range({times}):
    total, handlers, caught = use({address!r})
    assert total == 7
    assert (handlers, caught) == before[:2], (caught, before[1])
    assert process() == before
"""

STOPPED = """
run_until_signal(lambda: use({address!r}, 60.0))
"""


def outcome(script: str, temp: Path, **names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", (CALLS + script).format(**names)],
        env={**os.environ, "TMPDIR": str(temp), "HOME": str(temp), "PYTHONPATH": python_path()},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.fixture
def temp() -> Iterator[Path]:
    """A temporary folder with a short name."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as name:
        yield Path(name)


posix = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads files of Linux")


@posix
def test_a_local_cluster_leaves_nothing(temp: Path) -> None:
    pytest.importorskip("ray", reason="Ray has no package for this Python")
    before = {*Path("/dev/shm").iterdir()}
    done = outcome(RESTORED, temp, address="local", times="2", number="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not [path for path in temp.iterdir() if path.name != ".ray"]
    assert {*Path("/dev/shm").iterdir()} <= before


@posix
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_local_cluster(number: str, temp: Path) -> None:
    pytest.importorskip("ray", reason="Ray has no package for this Python")
    done = outcome(STOPPED, temp, address="local", number=number)
    assert done.returncode == 128 + getattr(signal, number)
    assert (done.stdout, done.stderr) == ("", "")
    assert not [path for path in temp.iterdir() if path.name != ".ray"]


def test_a_client_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = list[str]()

    def init(address: str) -> None:
        tries.append(address)
        if len(tries) in aborted:
            raise ConnectionAbortedError("Initialization failure from server:\nmore")

    monkeypatch.setattr(connection, "ray", lambda: SimpleNamespace(init=init))
    monkeypatch.setattr(connection, "_disable_messages", lambda: None)
    aborted = {1}
    connection._connect({"address": "ray://127.0.0.1:1"})
    assert len(tries) == 2
    aborted = {3, 4}
    with pytest.raises(ClusterError, match="Error: Initialization failure from server; if the"):
        connection._connect({"address": "ray://127.0.0.1:1"})
    assert len(tries) == 4


@posix
def test_a_client_outside_the_cluster(machines: Machines, temp: Path) -> None:
    done = outcome(RESTORED, temp, address=machines.client, times="1", number="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ---------------------------------------------------------------------------
# The command line


def test_options_of_a_cluster(run: Run) -> None:
    for option in ("--workers", "--retries"):
        done = run("train", option, 2)
        assert (done.code, done.err) == (
            2,
            f"error: {option} is not used without a cluster; add --cluster auto, or omit it\n",
        )
