"""Limits of the machine: work that does not fit into memory is refused; threads fit processors."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Outcome

from mfcli.errors import LimitError
from mfcli.storage import check_memory, cores, memory as limits, threads
from mfcli.storage.memory import available_memory

Run = Callable[..., Outcome]
GB = 1 << 30


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = "MemTotal:       16777216 kB\nMemAvailable:    8388608 kB\nSwapFree:        1048576 kB\n"


def test_memory_and_swap_of_the_machine(tmp_path: Path) -> None:
    assert available_memory(machine(tmp_path, {"proc/meminfo": MEMINFO})) == 9 * GB


def test_the_smallest_limit_of_nested_groups_counts(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/batch/job\n",
            "sys/fs/cgroup/batch/memory.max": f"{3 * GB}\n",
            "sys/fs/cgroup/batch/memory.current": f"{2 * GB}\n",
            "sys/fs/cgroup/batch/memory.stat": f"anon 5\ninactive_file {GB}\n",
            "sys/fs/cgroup/batch/job/memory.max": "max\n",
            "sys/fs/cgroup/batch/job/memory.current": "5\n",
        },
    )
    assert available_memory(root) == 2 * GB
    (root / "sys/fs/cgroup/batch/job/memory.max").write_text(f"{GB}\n")
    assert available_memory(root) == GB - 5


def test_memory_in_groups_of_the_first_version(tmp_path: Path) -> None:
    folder = "sys/fs/cgroup/memory/docker/1"
    root = machine(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "5:cpu:/\n4:memory:/docker/1\n",
            f"{folder}/memory.limit_in_bytes": f"{4 * GB}",
            f"{folder}/memory.usage_in_bytes": f"{3 * GB}",
            f"{folder}/memory.stat": f"inactive_file 1\ntotal_inactive_file {GB // 2}\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "1",
        },
    )
    assert available_memory(root) == 3 * GB // 2


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


def test_this_machine_has_processors() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_unknown_memory_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert available_memory(tmp_path) is None
    monkeypatch.setattr(limits, "available_memory", lambda: None)
    check_memory(1e30, "this", "do that")


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="needs /proc")
def test_this_machine_has_memory() -> None:
    there = available_memory()
    assert there is not None
    assert 1e7 < there < 1e15


def test_the_message() -> None:
    with pytest.raises(LimitError, match=r"^this needs about 1e\+21 GB|^this needs about 10{21}"):
        check_memory(1e30, "this", "do that")


def test_training_that_cannot_fit_is_refused(
    run: Run, real_split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "available_memory", lambda: 3_000_000)
    done = run("train", "--split", real_split, "--k", 20)
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("error: training with k 20 needs about 0.0")
    assert done.err.endswith("0.00 GB are free; lower --k, or train on fewer ratings\n")
    assert not Path("model").exists()


def test_a_file_that_cannot_fit_is_refused(
    run: Run, real_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "available_memory", lambda: 1_000_000)
    done = run("split", real_csv)
    assert done.code == 1
    assert f"error: reading {real_csv} (" in done.err
    assert done.err.endswith("GB are free; read fewer ratings\n")
    assert not Path("split").exists()


def test_the_address_space_limits_memory(tmp_path: Path) -> None:
    """With 4 GB of address space, a table of 50 GB is refused before it is allocated."""
    (tmp_path / "data.csv").write_text(
        "user,item,rating\n" + "".join(f"{n},{n % 7},3\n" for n in range(50))
    )
    subprocess.run(
        [sys.executable, "-m", "mfcli", "split", "data.csv", "-q"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (4 * GB, 4 * GB))

    done = subprocess.run(
        [sys.executable, "-m", "mfcli", "train", "--k", "100000000"],
        cwd=tmp_path, preexec_fn=limit, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: training with k 100000000 needs about ")
    assert done.stderr.count("\n") == 1


def test_blas_uses_one_thread() -> None:
    code = "import os, mfcli.cli.main; print(os.environ['OPENBLAS_NUM_THREADS'])"
    bare = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    for given, expected in (({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")):
        done = subprocess.run(
            [sys.executable, "-c", code], env=bare | given, capture_output=True, text=True
        )
        assert done.stdout.strip() == expected
