"""The script that measures updates."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import planted_split

from mfcli.config import Config

RECIPES = Path(__file__).parent.parent / "examples" / "recipes"


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(RECIPES))
    module = importlib.import_module("updates")
    monkeypatch.setattr(module, "MANY", 100)
    monkeypatch.setattr(module, "FEW", 40)
    return module


def test_updates_are_compared_with_training_from_scratch(
    recipe: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = planted_split(Config(), users=30, items=20).train
    times = np.random.default_rng(0).permutation(len(train))
    lines = [
        f"{u},{i},{r},{t}\n"
        for u, i, r, t in zip(train.user, train.item, train.rating, times, strict=True)
    ]
    path = tmp_path / "ratings.csv"
    path.write_text("user,item,rating,timestamp\n" + "".join(lines))
    ratings = recipe.in_order_of_time(recipe.read_ratings(path), path)
    assert (np.diff(ratings.timestamp) > 0).all()
    configs = {"sgd": Config(epochs=3, k=2), "als": Config(optimizer="als", epochs=3, k=2)}
    tables = recipe.at_once(ratings, configs, 2, 1), recipe.in_steps(ratings, configs, 1, 1)
    for table, names in zip(
        tables, (("updated", "scratch"), ("one update", "3 updates")), strict=True
    ):
        columns = {str(column.header): [*column.cells] for column in table.columns}
        differences = [
            float(second) - float(first)
            for first, second in zip(columns[names[1]], columns[names[0]], strict=True)
        ]
        shown = [float(cell) for cell in columns["difference"]]
        sign = 1 if names[0] == "updated" else -1
        assert shown == pytest.approx([sign * d for d in differences], abs=2e-4)
        assert all(float(cell) < 1.5 for cell in columns["before"])
