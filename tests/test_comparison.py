"""Comparisons of runs, from their files."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from planted import planted_split

from mfcli.config import Config
from mfcli.errors import ArtifactError
from mfcli.evaluation import FoldMetrics, Metrics, compare, evaluate, read_metrics
from mfcli.evaluation.bootstrap import interval
from mfcli.splits import Split
from mfcli.storage.records import sealed_text
from mfcli.training.loop import start

CONFIG = Config(resamples=100)


@pytest.fixture(scope="module")
def split() -> Split:
    return planted_split(Config(test=0.4), share=0.4)


def measured(split: Split, k: int, config: Config = CONFIG, **settings: Any) -> Metrics:
    return evaluate(start(split, Config(k=k, seed=k)), split, config, **settings)


@pytest.fixture
def saved(split: Split, tmp_path: Path) -> Callable[..., Path]:
    """Write the metrics of a run to a folder."""

    def save(name: str, metrics: Metrics | FoldMetrics) -> Path:
        (tmp_path / name).mkdir()
        metrics.write(tmp_path / name / "metrics.json")
        return tmp_path / name

    return save


def test_differences_are_paired(split: Split, saved: Callable[..., Path]) -> None:
    one, two = measured(split, 2, ranking=True), measured(split, 9, ranking=True)
    runs = {n: read_metrics(saved(n, m)) for n, m in (("a", one), ("b", two))}
    found = compare(runs)
    for measure in ("rmse", "mae", "ndcg"):
        difference = found.difference(measure, "b")
        assert difference
        expected = interval(np.subtract(two.draws[measure], one.draws[measure]))
        assert difference.interval == pytest.approx(expected, abs=1e-6)
    difference = found.difference("rmse", "b")
    assert difference
    assert difference.value == two.measures["rmse"] - one.measures["rmse"]
    assert found.as_dict()["runs"][1]["differences"]["rmse"] == vars(difference)
    paired = np.std(np.subtract(two.draws["rmse"], one.draws["rmse"]))
    assert paired < np.std(one.draws["rmse"])  # the purpose of pairing
    assert found.settings == {"k": [2, 9], "seed": [2, 9]}
    best = min((one, two), key=lambda metrics: metrics.measures["rmse"] or 0)
    assert found.best("rmse") == [[one, two].index(best)]
    assert found.best("coverage") == []


def test_other_protocols_are_refused(split: Split, saved: Callable[..., Path]) -> None:
    first = read_metrics(saved("a", measured(split, 2)))
    raw = read_metrics(saved("b", measured(split, 2, replace(CONFIG, clip=False))))
    with pytest.raises(
        ArtifactError, match=r"^b: was measured with clip False, but a with True; evaluate both"
    ):
        compare({"a": first, "b": raw})
    train = read_metrics(saved("t", measured(split, 2, on="train")))
    with pytest.raises(ArtifactError, match="was measured on train, but a on test; evaluate both"):
        compare({"a": first, "t": train})
    found = compare({"a": first, "b": raw}, any_protocol=True)
    difference = found.difference("rmse", "b")
    assert difference
    assert difference.interval is None
    folds = read_metrics(saved("c", FoldMetrics.of([measured(split, 2)] * 3)))
    with pytest.raises(ArtifactError, match=r"was measured with folds 3, .* with 1;"):
        compare({"a": first, "c": folds})


def test_runs_with_and_without_rankings_can_be_compared(
    split: Split, saved: Callable[..., Path]
) -> None:
    runs = {"a": measured(split, 2), "b": measured(split, 3, ranking=True)}
    read = {name: read_metrics(saved(name, metrics)) for name, metrics in runs.items()}
    found = compare(read)
    assert found.measures["ndcg"][0] is None
    assert found.difference("ndcg", "b") is None
    other = measured(split, 3, replace(CONFIG, at=3), ranking=True)
    read["c"] = read_metrics(saved("c", other))
    with pytest.raises(ArtifactError, match="measured with at 3, but b with 10"):
        compare({name: read[name] for name in ("b", "c")})


def test_folds_are_compared_by_their_means(split: Split, saved: Callable[..., Path]) -> None:
    runs = {
        str(k): FoldMetrics.of([measured(split, k, replace(CONFIG, seed=s)) for s in range(3)])
        for k in (2, 6)
    }
    read = {name: read_metrics(saved(name, metrics)) for name, metrics in runs.items()}
    found = compare(read)
    difference = found.difference("rmse", "6")
    assert difference
    draws = np.subtract(runs["6"].draws["rmse"], runs["2"].draws["rmse"])
    assert difference.interval == pytest.approx(interval(draws), abs=1e-6)
    assert found.settings == {"k": [2, 6], "seed": [2, 6]}


def test_the_command(run: Run, split: Split, saved: Callable[..., Path]) -> None:
    saved("a", measured(split, 2))
    saved("b", measured(split, 3))
    shown = run("compare", "a", "b/metrics.json")
    assert shown.code == 0, shown.err
    for words in ("test ratings", "RMSE by user", "Differences from a", "95% interval"):
        assert words in shown.out
    result = json.loads(run("compare", "a", "b", "--json").out)
    assert [row["name"] for row in result["runs"]] == ["a", "b"]
    assert result["runs"][1]["settings"] == {"k": 3, "seed": 3}
    assert result["same_protocol"] is True
    assert [row["file"] for row in result["runs"]] == ["a/metrics.json", "b/metrics.json"]


def test_refused_comparisons(run: Run, split: Split, saved: Callable[..., Path]) -> None:
    saved("a", measured(split, 2))
    saved("b", measured(split, 2, replace(CONFIG, seed=4)))
    Path("empty").mkdir()
    Path("history.json").write_text('{"loss": [1]}')
    start(split, Config()).save("a/model")
    for args, code, message in (
        (["a"], 2, "name at least two runs, such as: mfcli compare runs/a runs/b"),
        (["a", "a"], 2, "a/metrics.json is named twice; name each run once"),
        (
            ["a", "empty"],
            1,
            "empty: contains no metrics.json; create it with: mfcli evaluate --model",
        ),
        (["b", "a/model"], 1, "a/model: is a model folder, not the folder of a run; use a"),
        (["a", "none.json"], 1, "none.json: cannot be read: No such file or directory"),
        (
            ["a", "history.json"],
            1,
            "history.json: contains no metrics; create them with: mfcli evaluate",
        ),
        (["a", "b"], 1, "b: was measured with seed 4, but a with 0; evaluate both in the same way"),
    ):
        done = run("compare", *args)
        assert (done.code, done.out) == (code, "")
        assert done.err.startswith(f"error: {message}"), done.err
        assert done.err.count("\n") == 1
    assert run("compare", "a", "b", "--any-protocol").code == 0


def mutated(value: Any, rng: random.Random) -> Any:
    """Replace one part of a JSON value."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        return {**value, key: mutated(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        place = rng.randrange(len(value))
        return [*value[:place], mutated(value[place], rng), *value[place + 1 :]]
    return rng.choice([None, "x", [], {}, -1, 1e300, True, [1, "a"], {"a": None}, float("inf")])


def test_damaged_metrics_are_an_error_or_read(
    run: Run, split: Split, saved: Callable[..., Path]
) -> None:
    folder = saved("a", measured(split, 2, replace(CONFIG, resamples=5), ranking=True))
    good = json.loads((folder / "metrics.json").read_text())
    del good["digest"]
    rng, refused = random.Random(0), 0
    for number in range(150):
        value = mutated(good, rng)
        seal = isinstance(value, dict) and "inf" not in json.dumps(value).lower()
        text = sealed_text if seal else json.dumps
        Path("bad.json").write_text(text(value))
        args = ["a", "bad.json"] if number % 2 else ["bad.json", "a"]
        done = run("compare", *args, "--any-protocol")
        assert done.code in (0, 1)
        assert done.code == 0 or done.err.count("\n") == 1
        refused += done.code
    assert refused > 40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measures": {}}, "has no measures.rmse"),
        ({"measures": {"rmse": None}}, "has no measures.rmse"),
        ({"measures": {"rmse": "x"}}, "measures['rmse'] must be a number or null, got 'x'"),
        ({"baselines": {}}, "has no baselines.mean"),
        (
            {"baselines": {"mean": {"measures": {"rmse": 1}, "intervals": {}}}},
            "has no baselines.mean.gain",
        ),
        ({"training": "\ud800"}, "must contain valid Unicode"),
        ({"protocol": {}}, "has no protocol.on"),
        ({"draws": {"rmse": ["x"]}}, "draws['rmse'][0] must be a number, got 'x'"),
    ],
)
def test_records_are_checked(
    split: Split, saved: Callable[..., Path], change: dict[str, Any], message: str
) -> None:
    path = saved("a", measured(split, 2, replace(CONFIG, resamples=5))) / "metrics.json"
    value = json.loads(path.read_text())
    del value["digest"]
    path.write_text(sealed_text(value | change))
    with pytest.raises(ArtifactError) as caught:
        read_metrics(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert str(caught.value).endswith("; evaluate again")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rating": []}, "breakdown.rating must have 1 to 1200 entries, got 0"),
        ({"month": [{"month": "May", "ratings": 1, "rmse": 1, "bias": 0}]}, "month must be like"),
        ({"residuals": {"edges": [1.0], "ratings": [1]}}, "residuals.edges must have one entry"),
    ],
)
def test_breakdowns_are_checked(
    split: Split, saved: Callable[..., Path], change: dict[str, Any], message: str
) -> None:
    path = saved("a", measured(split, 2, replace(CONFIG, resamples=5))) / "metrics.json"
    value = json.loads(path.read_text())
    del value["digest"]
    value["breakdown"] |= change
    path.write_text(sealed_text(value))
    with pytest.raises(ArtifactError, match=message):
        read_metrics(path)


def test_folds_are_checked(split: Split, saved: Callable[..., Path]) -> None:
    folds = FoldMetrics.of([measured(split, 2, replace(CONFIG, resamples=5))] * 2)
    path = saved("a", folds) / "metrics.json"
    value = json.loads(path.read_text())
    del value["digest"]
    changes: list[tuple[dict[str, Any], str]] = [
        ({"folds": []}, "folds must not be empty"),
        ({"standard_deviations": {}}, "has no standard_deviations.rmse"),
        ({"baselines": {}}, "has no baselines.biases"),
        ({"measures": {}}, "has no measures.rmse"),
    ]
    for change, message in changes:
        path.write_text(sealed_text(value | change))
        with pytest.raises(ArtifactError, match=message):
            read_metrics(path)
