"""The script that measures rankings beside other programs."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import typer
from planted import planted_ratings

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.evaluation import evaluate
from mfcli.splits import Split
from mfcli.training import fit

RECIPES = Path(__file__).parent.parent / "examples" / "recipes"
ALS = Config(
    optimizer="als", target="rated", biases=False, unrated_weight=0.1, reg=0.02, k=3, epochs=3
)


@pytest.fixture
def ranking(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(RECIPES))
    return importlib.import_module("ranking")


@pytest.fixture
def rankers(ranking: ModuleType) -> ModuleType:
    return importlib.import_module("rankers")


def ratings(**shape: Any) -> Ratings:
    found, _ = planted_ratings(share=0.3, **shape)
    return found


def test_measures_are_those_of_evaluate(ranking: ModuleType, rankers: ModuleType) -> None:
    case = ranking.case_of(ratings(), Config(), "test")
    metrics = evaluate(
        fit(case.split, ALS).model, case.split, Config(relevant=3.0, resamples=0), ranking=True
    )
    own = ranking.measures(rankers.mfcli(case, ALS), case, 3.0)
    assert own == pytest.approx((metrics.measures["ndcg"], metrics.measures["recall"]))
    popular = metrics.baselines["popular"].measures
    found = ranking.measures(rankers.popular(case), case, 3.0)
    assert found == pytest.approx((popular["ndcg"], popular["recall"]))


@pytest.mark.parametrize("strategy", ["random", "cold-user"])
@pytest.mark.parametrize(("users", "items"), [(60, 20), (20, 60)])
def test_ease_solves_its_equations(
    ranking: ModuleType, rankers: ModuleType, strategy: str, users: int, items: int
) -> None:
    case = ranking.case_of(ratings(users=users, items=items), Config(strategy=strategy), "test")
    x, given = (dense(part, 2, case.split.scale.max) for part in (case.split.train, case.given))
    p = np.linalg.inv(x.T @ x + 5 * np.eye(items))
    weights = -p / np.diag(p)
    np.fill_diagonal(weights, 0)
    scores = rankers.ease(case, penalty=5, power=2)(np.arange(users, dtype=np.int32))
    assert scores == pytest.approx(given @ weights, abs=1e-4)


def dense(some: Ratings, power: float, highest: float = 1) -> np.ndarray:
    found = np.zeros((len(some.users), len(some.items)))
    found[some.user, some.item] = (some.rating / highest) ** power
    return found


def test_new_users_are_not_trained_on(ranking: ModuleType, rankers: ModuleType) -> None:
    case = ranking.case_of(ratings(), Config(strategy="cold-user"), "test")
    assert case.has_new_users
    assert not np.isin(case.given.user, case.split.train.user).any()
    assert len(case.given) + len(case.held_out) == len(case.split.test)
    for scores in (rankers.mfcli(case, ALS), rankers.popular(case)):
        ndcg, recall = ranking.measures(scores, case, 3.0)
        assert 0 < ndcg < 1
        assert 0 < recall < 1


def test_settings_of_other_programs_are_chosen_on_validation_ratings(
    ranking: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[Split] = []

    def program(case: Any, *, quality: float) -> Any:
        parts.append(case.split)
        truth = dense(case.held_out, 1)
        return lambda users: quality * truth[users]

    monkeypatch.setattr(ranking, "GRIDS", {"other": (program, {"quality": (-1.0, 1.0, 0.0)})})
    monkeypatch.setattr(ranking, "recommended_config", lambda *_, **__: ALS)
    found = ranking.measured(ratings(), "random", True, 3.0, 0)
    assert found["other"].settings == {"quality": 1.0}
    assert found["other"].ndcg == pytest.approx(1)
    *choosing, tested = parts
    assert [some.valid is None for some in choosing] == [False] * 3
    assert tested.valid is None
    # The test ratings of both are the same, so nothing was chosen on them.
    assert all(np.array_equal(some.test.rating, tested.test.rating) for some in choosing)
    assert all(len(some.train) + len(some.valid or ()) == len(tested.train) for some in choosing)


def test_a_table_has_every_protocol_and_program(
    ranking: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    some = ratings()
    lines = [
        f"{u},{i},{r:.1f},{t}"
        for t, (u, i, r) in enumerate(zip(some.user, some.item, some.rating, strict=True))
    ]
    file = tmp_path / "ratings.csv"
    file.write_text("\n".join(["user,item,rating,timestamp", *lines]) + "\n")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    ease, _ = ranking.GRIDS["EASE"]
    monkeypatch.setattr(ranking, "GRIDS", {"EASE": (ease, {"penalty": (10.0,)})})
    monkeypatch.setattr(ranking, "recommended_config", lambda *_, **__: ALS)
    ranking.main([file], against=True, strong=True, relevant=None, seed=0)
    printed = capsys.readouterr().out
    assert f"{len(some):,} ratings" in printed
    for program in ("mfcli", "most popular", "EASE"):
        row = next(line for line in printed.splitlines() if line.startswith(f"│ {program}"))
        assert len([float(cell) for cell in row.split("│")[2:-1]]) == 9
    for protocol in ranking.PROTOCOLS.values():
        assert f"EASE, {protocol}: penalty 10" in printed


def test_implicit_must_be_installed(
    ranking: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(typer.Exit) as end:
        ranking.main([], against=True)
    assert end.value.exit_code == 1
    assert "pip install implicit" in capsys.readouterr().err
