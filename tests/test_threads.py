"""Numbers of threads, which fit the processors that a process may use."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from machines import machine

from mfcli.storage import cores, each, in_order, threads


@pytest.fixture
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_processors", lambda: 16)


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        (["max 100000", "max 100000"], 16),
        (["250000 100000", "max 100000"], 3),
        (["400000 100000", "150000 100000"], 2),
        (["150000 100000", "400000 100000"], 2),
        (["1000 100000", "max 100000"], 1),
        (["200000 100000", "max 100000"], 2),
        (["6400000 100000", "max 100000"], 16),
        (["nonsense", "0 0"], 16),
        (["", "5"], 16),
    ],
)
@pytest.mark.usefixtures("sixteen")
def test_the_processor_time_of_all_groups_counts(
    tmp_path: Path, quotas: list[str], expected: int
) -> None:
    files = {
        "proc/self/cgroup": "0::/batch/job\n",
        "sys/fs/cgroup/batch/cpu.max": f"{quotas[0]}\n",
        "sys/fs/cgroup/batch/job/cpu.max": f"{quotas[1]}\n",
    }
    assert cores(machine(tmp_path, files)) == expected


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
@pytest.mark.usefixtures("sixteen")
def test_processor_time_in_groups_of_the_first_version(tmp_path: Path, mount: str) -> None:
    folder = f"sys/fs/cgroup/{mount}/docker/1"
    files = {
        "proc/self/cgroup": "5:cpu,cpuacct:/docker/1\n4:cpuset:/docker/1\n",
        f"{folder}/cpu.cfs_quota_us": "350000\n",
        f"{folder}/cpu.cfs_period_us": "100000\n",
        f"sys/fs/cgroup/{mount}/docker/cpu.cfs_quota_us": "-1\n",
        f"sys/fs/cgroup/{mount}/docker/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/cpuset/docker/1/cpu.cfs_quota_us": "1",
        "sys/fs/cgroup/cpuset/docker/1/cpu.cfs_period_us": "1",
    }
    assert cores(machine(tmp_path, files)) == 4


@pytest.mark.usefixtures("sixteen")
def test_without_groups_all_processors_count(tmp_path: Path) -> None:
    assert cores(tmp_path) == 16


def test_systems_that_do_not_report_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert threads._processors() == 1


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("workers", [1, 3])
def test_each_task_runs_once(count: int, workers: int) -> None:
    done: list[int] = []
    each(done.append, count, workers)
    assert sorted(done) == list(range(count))
    if workers == 1:
        assert done == list(range(count))


@pytest.mark.parametrize("workers", [1, 3])
def test_errors_of_tasks_are_raised(workers: int) -> None:
    def fail(number: int) -> None:
        raise RuntimeError(str(number))

    with pytest.raises(RuntimeError, match="0"):
        each(fail, 2, workers)


def test_tasks_may_have_tasks_of_their_own() -> None:
    """All threads may be busy with the outer tasks, which wait for the inner ones."""
    done: list[int] = []
    each(lambda outer: each(lambda inner: done.append(4 * outer + inner), 4, 2), 4, 2)
    assert sorted(done) == list(range(16))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the process has threads
def test_tasks_run_after_a_fork() -> None:
    each(lambda _: None, 4, 3)
    child = os.fork()
    if not child:
        done: list[int] = []
        each(done.append, 4, 3)
        os._exit(len(done))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4


def test_tasks_that_wait_are_canceled_after_an_error() -> None:
    """Ctrl-C waits for the tasks that run, not for all others."""
    done: list[int] = []

    def work(number: int) -> None:
        done.append(number)
        if number == 0:
            raise KeyboardInterrupt
        time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        each(work, 1000, 2)
    assert len(done) < 100


@pytest.mark.parametrize("workers", [1, 3])
def test_pieces_stay_in_order_and_few_are_in_memory(workers: int) -> None:
    read: list[int] = []

    def pieces() -> Iterator[tuple[int, int]]:
        for number in range(20):
            read.append(number)
            yield number, 10 * number

    for count, (result, position) in enumerate(in_order(pieces(), str, workers)):
        assert (result, position) == (str(count), 10 * count)
        assert len(read) <= count + workers + 2
    assert read == list(range(20))


@pytest.mark.parametrize("workers", [1, 3])
def test_errors_of_pieces_are_raised_in_their_turn(workers: int) -> None:
    results = in_order([("1", 1), ("x", 2), ("3", 3)], int, workers)
    assert next(results) == (1, 1)
    with pytest.raises(ValueError, match="'x'"):
        next(results)


def test_this_machine_has_processors() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_blas_uses_one_thread() -> None:
    code = "import os, mfcli.cli.main; print(os.environ['OPENBLAS_NUM_THREADS'])"
    bare = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    for given, expected in (({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")):
        done = subprocess.run(
            [sys.executable, "-c", code], env=bare | given, capture_output=True, text=True
        )
        assert done.stdout.strip() == expected
