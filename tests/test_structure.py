"""Dependencies go one way, and nothing heavy is loaded where it is not needed."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT

ORDER = [
    "__init__",
    "errors",
    "console",
    "parallel",
    "limits",
    "config",
    "fields",
    "files",
    "history",
    "arrays",
    "checkpoints",
    "fetching",
    "ratings",
    "lookup",
    "sources",
    "layout",
    "formulas",
    "faults",
    "duplicates",
    "lists",
    "pairs",
    "reading",
    "strategies",
    "splitting",
    "split_folder",
    "keras_file",
    "factorization",
    "kernels",
    "sampling",
    "low_rank",
    "recommending",
    "model",
    "folding",
    "blocks",
    "schedules",
    "engines",
    "engines.threads",
    "engines.fast",
    "engines.penalties",
    "engines.averaging",
    "engines.halves",
    "engines.noise",
    "engines.priors",
    "engines.gibbs",
    "engines.ensemble",
    "engines.keras",
    "tallies",
    "bootstrap",
    "baselines",
    "measures",
    "breakdown",
    "measuring",
    "ranking",
    "predicting",
    "engines.serving",
    "exporting",
    "checking",
    "settings_file",
    "advising",
    "probing",
    "training",
    "search_space",
    "tuning",
    "evaluation",
    "saved_metrics",
    "comparing",
    "showing",
    "plots",
    "plots.canvas",
    "plots.histories",
    "plots.metrics",
    "plots.search",
    "output",
    "commands",
    "commands.options",
    "commands.facts",
    "commands.inputs",
    "commands.rankings",
    "commands.check",
    "commands.compare",
    "commands.evaluate",
    "commands.export",
    "commands.fetch",
    "commands.fold_in",
    "commands.init",
    "commands.plot",
    "commands.predict",
    "commands.recommend",
    "commands.show",
    "commands.similar",
    "commands.split",
    "commands.train",
    "commands.tune",
    "cli",
    "__main__",
]
"""Each file imports only those before it."""

HOMES = {
    "tensorflow": {"engines.keras", "engines.serving"},
    "keras": {"engines.keras"},
    "matplotlib": {"plots.canvas", "plots.histories", "plots.metrics", "plots.search"},
    "h5py": {"keras_file"},
    "numba": {"kernels", "sampling"},
    "llvmlite": {"kernels"},
    "typer": {"cli", *(name for name in ORDER if name.startswith("commands."))},
    "pandas": {"duplicates"},
    "optuna": {"tuning"},
}


CHOSEN = {
    "blocks",
    "engines.fast",
    "engines.keras",
    "engines.penalties",
    "engines.averaging",
    "engines.halves",
    "engines.noise",
    "engines.priors",
    "engines.ensemble",
    "engines.gibbs",
}
"""What `make_engine` loads when it is asked for."""


def modules() -> dict[str, ast.Module]:
    found = {}
    for path in sorted((ROOT / "mfcli").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT / "mfcli").with_suffix("").parts)
        found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_each_file_imports_only_files_above_it() -> None:
    found = modules()
    assert set(found) == set(ORDER)
    for name, tree in found.items():
        if name == "__init__":
            continue  # what it imports is for type checkers only; names are loaded when used
        own = {i.removeprefix("mfcli").lstrip(".") for i in imports(tree) if i.startswith("mfcli")}
        for imported in own - {""}:
            if name == "engines" and imported in CHOSEN:
                continue  # make_engine chooses one, when asked
            assert ORDER.index(imported) < ORDER.index(name), f"{name} imports {imported}"


def test_heavy_imports_have_one_home() -> None:
    for name, tree in modules().items():
        for imported in {module.partition(".")[0] for module in imports(tree)}:
            assert name in HOMES.get(imported, {name}), f"{name} imports {imported}"


def test_the_lower_bounds_are_the_versions_that_are_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = {line.partition(",")[0].replace(">=", "==") for line in project["dependencies"]}
    tested = (ROOT / "tests" / "lowest.txt").read_text(encoding="utf-8").splitlines()
    assert bounds == {line for line in tested if not line.startswith("#")}


LOADED = """
import sys
from mfcli.cli import app
try:
    app(sys.argv[1:], prog_name="mfcli")
finally:
    print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def loaded(folder: Path, *args: str) -> set[str]:
    """Run a command in a process of its own; return the top-level modules it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *args], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rsplit("LOADED", 1)[1].split())


HEAVY = {"numpy", "pandas", "numba", "pyarrow", "h5py", "matplotlib", "tensorflow", "keras"}


@pytest.mark.parametrize(
    "args",
    [["--help"], ["--version"], ["split", "--help"], ["train", "--help"], ["show", "--help"]],
)
def test_help_loads_nothing_heavy(tmp_path: Path, args: list[str]) -> None:
    assert not loaded(tmp_path, *args) & HEAVY


def test_no_stage_loads_what_it_does_not_need(tmp_path: Path, real_csv: Path) -> None:
    (tmp_path / "new.csv").write_text("user,item,rating\nanna,1,4\nanna,x,3\n")
    stages = [
        (["split", str(real_csv)], {"matplotlib", "h5py", "numba"}),
        (["check", str(real_csv)], {"matplotlib"}),
        (["train", "--epochs", "1"], {"matplotlib", "pandas"}),
        (["evaluate"], {"matplotlib", "pandas", "numba"}),
        (["predict", str(real_csv), "--out", "p.csv"], {"matplotlib", "pandas", "numba"}),
        (["predict", str(real_csv), "--out", "p.parquet"], {"matplotlib", "pandas", "numba"}),
        (["predict", "--user", "1", "--item", "2"], {"matplotlib", "pandas", "numba"}),
        (["fold-in", "new.csv", "--extend", "more"], {"matplotlib", "numba"}),
        (["show"], {"matplotlib", "pandas", "numba"}),
        (["plot", "history.json"], {"pandas", "numba"}),
        (["export", "--format", "libmf"], {"matplotlib", "numba"}),
        *(
            (["export", "--format", name], {"matplotlib", "numba", "pandas"})
            for name in ("keras", "npz", "csv", "parquet", "vectors")
        ),
    ]
    for args, light in stages:
        assert not loaded(tmp_path, *args) & ({"tensorflow", "keras"} | light), args
