"""The recipes run on small data in the layouts of the published data sets."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import typer
from planted import planted_ratings
from typer.testing import CliRunner

from mfcli.cli import app
from mfcli.config import read_config
from mfcli.splits import read_split

RECIPES = Path(__file__).parent.parent / "examples" / "recipes"


@pytest.fixture(scope="module")
def recipes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipes", RECIPES / "run.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(sep: str) -> list[str]:
    ratings, _ = planted_ratings()
    values = np.clip(np.round(ratings.rating), 1, 5).astype(int)
    columns = zip(ratings.user, ratings.item, values, strict=True)
    return [sep.join(map(str, (u + 1, i + 1, r, 881250949))) for u, i, r in columns]


def test_every_recipe_has_settings(recipes: ModuleType) -> None:
    for name in recipes.PUBLISHED:
        assert read_config(RECIPES / f"{name}.toml").optimizer == "gibbs"
    read_config(RECIPES / "sgd.toml")


@pytest.mark.usefixtures("in_process")
def test_published_splits_are_used_unchanged(recipes: ModuleType, tmp_path: Path) -> None:
    lines = rows("\t")
    for fold in range(5):
        for end in ("base", "test"):
            some = [x for n, x in enumerate(lines) if (n % 5 == fold) == (end == "test")]
            (tmp_path / f"u{fold + 1}.{end}").write_text("\n".join(some) + "\n")
    folds = recipes.split_folds(
        "movielens-100k", tmp_path, RECIPES / "movielens-100k.toml", tmp_path / "out", "0.1"
    )
    for number, fold in enumerate(folds):
        split = read_split(fold)
        assert len(split.test) == len(lines[number::5])
        assert split.valid is not None
        assert len(split.train) + len(split.valid) == len(lines) - len(split.test)


@pytest.mark.usefixtures("in_process")
def test_a_million_ratings_are_split_into_folds(recipes: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("\n".join(rows("::")) + "\n")
    settings = RECIPES / "movielens-1m.toml"
    folds = recipes.split_folds(
        "movielens-1m", tmp_path / "ratings.dat", settings, tmp_path / "out", "0"
    )
    assert sum(len(read_split(fold).test) for fold in folds) == len(rows("::"))


@pytest.fixture
def in_process(recipes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the mfcli commands of the script in this process, which is faster."""

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        assert command[1:3] == ["-m", "mfcli"]
        done = CliRunner().invoke(app, command[3:])
        return subprocess.CompletedProcess(command, done.exit_code, done.stdout, done.stderr)

    monkeypatch.setattr(recipes, "subprocess", SimpleNamespace(run=run, PIPE=subprocess.PIPE))


@pytest.mark.usefixtures("in_process")
def test_a_recipe_prints_every_fold_beside_published_errors(
    recipes: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ratings.dat").write_text("\n".join(rows("::")) + "\n")
    Path("quick.toml").write_text("k = 2\nepochs = 2\n")
    words = ["movielens-1m", "ratings.dat", "--settings", "quick.toml", "--ensemble", "1"]
    monkeypatch.setattr(sys, "argv", ["run.py", *words])
    with pytest.raises(SystemExit) as end:
        typer.run(recipes.main)
    assert not end.value.code
    done = capsys.readouterr()
    own = next(line for line in done.out.splitlines() if "one model" in line)
    numbers = [float(cell) for cell in own.split("│")[2:-1]]
    assert len(numbers) == 7
    assert np.mean(numbers[:5]) == pytest.approx(numbers[5], abs=1e-4)
    assert "0.8520" in done.out
    assert "$ mfcli evaluate --split recipe/split/fold-5" in done.err


@pytest.mark.usefixtures("in_process")
def test_factors_are_chosen_on_validation_ratings(
    recipes: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "ratings.dat").write_text("\n".join(rows("::")) + "\n")
    real, trained = recipes.run, []

    def run(name: str, *words: object) -> dict[str, float]:
        if name == "split":
            return dict(real(name, *words))
        trained.append(int(str(words[words.index("--k") + 1])))
        return {"val_mse": (1 + abs(trained[-1] - 7)) ** 2}

    monkeypatch.setattr(recipes, "run", run)
    recipes.main(
        "movielens-1m", tmp_path / "ratings.dat", tmp_path / "out", None, 4, False, choose=True
    )
    assert trained == [k for k in recipes.CHOICES for _ in range(5)]
    printed = capsys.readouterr().out
    best = next(line for line in printed.splitlines() if "validation, k 7" in line)
    assert best.count("1.0000") == 6
    assert all(
        read_split(fold).valid is not None for fold in (tmp_path / "out/split").glob("fold-*")
    )


def test_an_unknown_recipe_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, RECIPES / "run.py", "netflix", "x"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "no recipe netflix; the recipes are movielens-100k" in done.stderr
