"""The benchmark runs; other tests run the other scripts in examples/."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from conftest import ROOT


def script(folder: Path, name: str, *args: object) -> str:
    """Run a script in a folder and return its output."""
    command = [sys.executable, ROOT / "examples" / name, *args]
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def mfcli(folder: Path, *args: str) -> None:
    subprocess.run([sys.executable, "-m", "mfcli", *args, "-q"], cwd=folder, check=True)


def test_a_small_benchmark_runs(tmp_path: Path) -> None:
    script(tmp_path, "make_ratings.py", "ratings.parquet", "--share", 0.02)
    mfcli(tmp_path, "split", "ratings.parquet")
    script(tmp_path, "benchmark.py", "--steps", 0, "--no-libmf")
    result = json.loads((tmp_path / "benchmark.json").read_text())
    rows = {name: value for name, value, _ in result["rows"]}
    assert rows["epoch, 1 thread"] > 0
    assert rows["mfcli train, peak memory"] > 0
