"""Comparisons of runs, from their files."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import Run
from msgspec import structs
from planted import planted_split

from mfcli.config import Config
from mfcli.errors import ArtifactError
from mfcli.evaluation import (
    Comparison,
    FoldMetrics,
    Metrics,
    compare,
    comparison_rows,
    comparison_title,
    evaluate,
    read_metrics,
    write_comparison,
)
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
    few = structs.replace(first, protocol=structs.replace(first.protocol, ratings=1234))
    with pytest.raises(ArtifactError, match="b: was measured on 1,234 ratings, but a on "):
        compare({"a": first, "b": few})
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
    for words in (
        "2 runs on ",
        " test ratings",
        "RMSE by user",
        "difference in RMSE",
        " interval ",
    ):
        assert words in shown.out
    result = json.loads(run("compare", "a", "b", "--json").out)
    assert [row["name"] for row in result["runs"]] == ["a", "b"]
    assert result["runs"][1]["settings"] == {"k": 3, "seed": 3}
    assert result["same_protocol"] is True
    assert [row["file"] for row in result["runs"]] == ["a/metrics.json", "b/metrics.json"]


def other_optimizer(metrics: Metrics, **training: Any) -> Metrics:
    """Return metrics of a run with other settings."""
    values = {name: getattr(metrics, name) for name in metrics.__struct_fields__}
    return Metrics(**(values | {"training": training}))


def test_settings_that_only_some_runs_use_are_rows_if_they_are_not_defaults(split: Split) -> None:
    sgd = other_optimizer(measured(split, 2), optimizer="sgd", lr=0.08, momentum=0.5, k=2)
    gibbs = other_optimizer(measured(split, 2), optimizer="gibbs", noise="shared", k=2)
    found = compare({"a": sgd, "b": gibbs})
    rows = {row.label: row.cells for row in comparison_rows(found)["Settings"]}
    assert rows == {
        "optimizer": ["sgd", "gibbs"],
        "momentum": ["0.5", "-"],  # lr has its default
        "noise": ["-", "shared"],
    }
    assert found.settings["lr"] == [0.08, None]


def test_rows_show_how_protocols_differ(split: Split) -> None:
    first = measured(split, 2)
    raw = measured(split, 2, replace(CONFIG, clip=False), on="train", ranking=False)
    found = compare({"a": first, "b": raw}, any_protocol=True)
    rows = {row.label: row.cells for row in comparison_rows(found)["Protocol"]}
    assert rows["clip"] == ["true", "false"]
    assert rows["on"] == ["test", "train"]
    assert found.as_dict()["runs"][1]["protocol"]["on"] == "train"
    assert comparison_title(found) == "2 runs, measured in different ways"
    assert not compare({"a": first, "b": measured(split, 3, ranking=True)}).protocols


NAMES = ("a|*b*<i>", "=1+1")


@pytest.fixture
def hard_to_name(split: Split) -> Comparison:
    """Two runs whose names Markdown, HTML and spreadsheets would misread."""
    return compare(dict(zip(NAMES, (measured(split, 2), measured(split, 3)), strict=True)))


def test_markdown_reports(hard_to_name: Comparison, tmp_path: Path) -> None:
    write_comparison(hard_to_name, tmp_path / "r.md")
    lines = (tmp_path / "r.md").read_text().splitlines()
    assert lines[0].startswith("# 2 runs on ")
    assert lines[2:8] == [
        "## Settings",
        "",
        r"|  | a\|\*b\*\<i\> | =1+1 |",
        "| --- | ---: | ---: |",
        "| k | 2 | 3 |",
        "| seed | 2 | 3 |",
    ]
    assert sum(line.startswith("| RMSE | ") and line.count("**") == 2 for line in lines) == 1
    assert lines[-1].startswith("| 95% interval | - | ")


def test_html_reports(hard_to_name: Comparison, tmp_path: Path) -> None:
    write_comparison(hard_to_name, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    page = ElementTree.fromstring(text.partition("\n")[2].replace('<meta charset="utf-8">', ""))
    tables = page.findall("body/table")
    assert [table.findtext("caption") for table in tables] == [
        "Settings",
        "Measures",
        f"Differences from {NAMES[0]}",
    ]
    for table in tables:
        assert [cell.text for cell in table.findall("tr")[0][1:]] == list(NAMES)
    assert ["".join(cell.itertext()) for cell in tables[0].findall("tr")[1]] == ["k", "2", "3"]
    assert len(tables[1].findall("tr/td/b")) == len(hard_to_name.measures)


def test_csv_reports(hard_to_name: Comparison, tmp_path: Path) -> None:
    write_comparison(hard_to_name, tmp_path / "r.csv")
    head, *rows = csv.reader((tmp_path / "r.csv").read_text().splitlines())
    assert head == ["kind", "name", "a|*b*<i>", "'=1+1"]  # not a formula
    found = {(kind, name): values for kind, name, *values in rows}
    assert found["setting", "k"] == ["2", "3"]
    assert list(map(float, found["measure", "rmse"])) == hard_to_name.measures["rmse"]
    difference = hard_to_name.difference("mae", "=1+1")
    assert difference
    assert difference.interval
    assert float(found["difference", "mae"][1]) == difference.value
    ends = [found[f"interval {end}", "mae"][1] for end in ("low", "high")]
    assert tuple(map(float, ends)) == difference.interval


def test_reports_of_the_command(run: Run, split: Split, saved: Callable[..., Path]) -> None:
    saved("a", measured(split, 2))
    saved("b", measured(split, 3))
    for suffix in ("md", "csv", "html"):
        done = run("compare", "a", "b", "--out", f"reports/r.{suffix}")
        assert (done.code, done.out) == (0, f"reports/r.{suffix}: 2 runs\n")
        assert Path(f"reports/r.{suffix}").stat().st_size > 100
    done = run("compare", "a", "b", "--out", "r.json", "--json")
    result = json.loads(done.out)
    assert result.pop("out") == "r.json"
    for row in result["runs"]:
        del row["file"]
    assert json.loads(Path("r.json").read_text()) == result
    for target, code, message in (
        ("r.txt", 2, "r.txt: must end in .md, .csv, .html or .json"),
        ("a/metrics.json", 1, "a/metrics.json: is a result of mfcli; choose another place"),
    ):
        done = run("compare", "a", "b", "--out", target)
        assert (done.code, done.out) == (code, "")
        assert done.err.startswith(f"error: {message}")


def test_refused_comparisons(run: Run, split: Split, saved: Callable[..., Path]) -> None:
    saved("a", measured(split, 2))
    saved("b", measured(split, 2, replace(CONFIG, seed=4)))
    Path("empty").mkdir()
    Path("history.json").write_text('{"loss": [1]}')
    start(split, Config(k=2, seed=2)).save("a/model")
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
