"""Work that does not fit into memory is refused before it starts, or goes through files."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run
from machines import machine

from mfcli.data import read_ratings
from mfcli.errors import LimitError
from mfcli.storage import check_memory, memory as limits
from mfcli.storage.memory import available_memory

GB = 1 << 30


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
    with pytest.raises(LimitError, match=r"^this needs about 10{21}\.0 GB"):
        check_memory(1e30, "this", "do that")


def test_training_that_cannot_fit_is_refused(
    run: Run, real_split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "available_memory", lambda: 3_000_000)
    done = run("train", "--split", real_split, "--k", 20)
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("error: training with k 20 needs about ")
    assert done.err.endswith("3.0 MB are free; use a smaller --k\n")
    assert not Path("model").exists()


def test_ratings_that_cannot_fit_are_refused_and_split_in_temporary_space(
    run: Run, real_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("split", real_csv, "--split", "whole", "--json")
    monkeypatch.setattr(limits, "available_memory", lambda: 1_000_000)
    refused = rf"reading {re.escape(str(real_csv))} \(.* MB are free; read fewer ratings$"
    with pytest.raises(LimitError, match=refused):
        read_ratings(real_csv)
    done = run("split", real_csv, "--json")
    assert done.code == 0, done.err
    assert done.err.startswith("note: using about 2.5 MB of temporary space in ")
    assert json.loads(done.out)["hash"] == json.loads(whole.out)["hash"]


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


def test_blocks_that_are_too_large_to_shuffle_are_refused(
    run: Run, real_split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "available_memory", lambda: 1_000_000)
    done = run("train", "--split", real_split, "--k", 1, "--blocks", 1)
    assert done.code == 1
    assert done.err.endswith("1.0 MB are free; use a smaller --k, or more --blocks\n")
