"""The benchmark and the notebook run; other tests run the other scripts in examples/."""

from __future__ import annotations

import ast
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

import mfcli


def script(folder: Path, name: str, *args: object) -> str:
    """Run a script in a folder and return its output."""
    command = [sys.executable, ROOT / "examples" / name, *args]
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_mfcli(folder: Path, *args: str) -> None:
    subprocess.run([sys.executable, "-m", "mfcli", *args, "-q"], cwd=folder, check=True)


def test_a_small_benchmark_runs(tmp_path: Path) -> None:
    script(tmp_path, "make_ratings.py", "ratings.parquet", "--share", 0.02)
    run_mfcli(tmp_path, "split", "ratings.parquet")
    script(tmp_path, "benchmark.py", "--steps", 0, "--no-libmf")
    result = json.loads((tmp_path / "benchmark.json").read_text())
    rows = {name: value for name, value, _ in result["rows"]}
    assert rows["epoch, 1 thread"] > 0
    assert rows["mfcli train, peak memory"] > 0


def test_the_notebook_uses_every_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = ROOT / "examples" / "notebook.py"
    tree = ast.parse(notebook.read_text(encoding="utf-8"))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "mfcli"
    }
    assert used == {*mfcli.__all__}
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(notebook))
    shown = capsys.readouterr().out
    assert shown.startswith(f"mfcli {mfcli.__version__}: Ratings(7,207 ratings by 300 users of 120")
    assert names["metrics"].measures["rmse"] < names["other"].measures["rmse"]
    assert {"rmse", "too_high"} == {*names["crossed"].intervals}
    assert (tmp_path / "histories.svg").is_file()
    assert "DataError: ratings: has no rating column; its columns are user, item" in shown
