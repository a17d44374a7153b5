"""Models that predict scores are measured by rankings alone, and so compared, drawn and shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from planted import planted_split

from mfcli import show
from mfcli.config import Config
from mfcli.errors import ArtifactError, DataError, UsageError
from mfcli.evaluation import (
    BEYOND,
    RANKING,
    FoldMetrics,
    Metrics,
    compare,
    comparison_rows,
    cross_validate,
    evaluate,
    measures_of,
    read_metrics,
    verdict,
)
from mfcli.evaluation.bootstrap import interval
from mfcli.model import Model
from mfcli.plots import canvas, plot_comparison, plot_metrics
from mfcli.splits import Split, read_split, write_split
from mfcli.storage.records import sealed_text
from mfcli.training import Epoch, Fit, History
from mfcli.training.loop import start

SCORES: dict[str, Any] = {"optimizer": "als", "target": "rated", "unrated_weight": 0.1}
CONFIG = Config(resamples=60, at=(5, 20), relevant=3.5)
ONLY = {*measures_of(RANKING), *measures_of(BEYOND)}


@pytest.fixture(scope="module")
def split() -> Split:
    return planted_split(Config(test=0.4), share=0.4)


def model_of(split: Split, seed: int = 0, **settings: Any) -> Model:
    """Return a model with weights that rank at random."""
    model = start(split, Config(k=3, seed=seed, **settings))
    return model.with_tables({name: 40 * table for name, table in model.tables.items()})


@pytest.fixture(scope="module")
def metrics(split: Split) -> Metrics:
    return evaluate(model_of(split, **SCORES), split, CONFIG)


@pytest.fixture(scope="module")
def rated(split: Split) -> Metrics:
    """Metrics of a model that predicts ratings."""
    return evaluate(model_of(split, 1), split, CONFIG, ranking=True)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    def save(name: str, found: Metrics | FoldMetrics) -> Path:
        (tmp_path / name).mkdir()
        found.write(tmp_path / name / "metrics.json")
        return tmp_path / name

    return save


def test_scores_have_no_errors(metrics: Metrics, rated: Metrics) -> None:
    assert {name for name in metrics.measures if "@" not in name} == ONLY
    assert {name for name in metrics.measures if "@" in name} == {
        f"{name}@20" for name in measures_of(RANKING)
    }
    assert not metrics.has_errors
    assert rated.has_errors
    assert (metrics.rmse_clipped, metrics.rmse_raw, metrics.breakdown) == (None, None, None)
    assert (metrics.groups, set(metrics.baselines)) == ({}, {"popular", "biases"})
    protocol = metrics.protocol
    assert (protocol.predicts, protocol.feedback, protocol.cutoffs) == (
        "scores",
        "explicit",
        [5, 20],
    )
    assert rated.protocol.predicts == "ratings"
    assert "clip" not in protocol.settings
    for name, baseline in metrics.baselines.items():
        assert baseline.measures == {
            one: value for one, value in rated.baselines[name].measures.items()
            if one in metrics.measures and one != "diversity"  # which is by the model's factors
        } | {"diversity": baseline.measures["diversity"]}  # fmt: skip


def test_the_verdict_compares_rankings_with_popularity(metrics: Metrics) -> None:
    found, popular = metrics.verdict, metrics.baselines["popular"]
    assert found
    assert popular.ndcg_interval
    low, high = popular.ndcg_interval
    assert low < 0 < high
    assert (found.better, found.published) == ({"popular": None}, "")
    assert found.text == (
        "The rankings of the model are about as good as a ranking by popularity: NDCG differs by"
        f" {low:+.4f} to {high:+.4f} (95% interval). Try the settings of mfcli init --for ranking,"
        " or search with mfcli tune --for ranking."
    )
    good = verdict.BaselineMetrics({}, {}, ndcg_interval=(0.1, 0.2))
    judged = verdict.verdict_of("test", {}, {"popular": good, "biases": good}, "")
    assert judged.text == (
        "The rankings of the model are better than a ranking by popularity: NDCG is 0.1000 to"
        " 0.2000 higher (95% interval)."
    )
    same = verdict.BaselineMetrics({}, {}, ndcg_interval=(0.0, 0.0))
    assert verdict.verdict_of("test", {}, {"popular": same}, "").text == (
        "The rankings of the model are the same as a ranking by popularity."
    )
    unknown = verdict.verdict_of("test", {}, {"popular": verdict.BaselineMetrics({}, {})}, "")
    assert unknown.better == {"popular": None}
    assert unknown.text.startswith("There are no confidence intervals")


def test_metrics_without_errors_are_read(metrics: Metrics, saved: Callable[..., Path]) -> None:
    folder = saved("a", metrics)
    assert read_metrics(folder) == metrics
    value = json.loads((folder / "metrics.json").read_text())
    assert value["protocol"]["settings"]["at"] == [5, 20]
    assert value["protocol"]["settings"]["protocol"] == "unrated"
    del value["digest"], value["measures"]["ndcg"]
    (folder / "metrics.json").write_text(sealed_text(value))
    with pytest.raises(ArtifactError, match=r"has no measures\.rmse and no measures\.ndcg"):
        read_metrics(folder)


def test_metrics_of_older_versions_are_read(rated: Metrics, saved: Callable[..., Path]) -> None:
    """They have one cutoff, and neither protocols nor a breakdown of rankings."""
    folder = saved("a", rated)
    value = json.loads((folder / "metrics.json").read_text())
    del value["digest"], value["ranking_breakdown"]
    del value["protocol"]["predicts"], value["protocol"]["feedback"]
    del value["protocol"]["settings"]["protocol"]
    value["protocol"]["settings"]["at"] = 5
    (folder / "metrics.json").write_text(sealed_text(value))
    found = read_metrics(folder)
    assert isinstance(found, Metrics)
    assert found.protocol.cutoffs == [5]
    assert compare({"old": found, "new": rated}).same_protocol


def test_scores_are_compared_by_rankings(metrics: Metrics, rated: Metrics) -> None:
    found = compare({"a": metrics, "b": rated})
    assert set(found.measures) == ONLY | {f"{name}@20" for name in measures_of(RANKING)}
    assert found.same_protocol
    for name in ("ndcg", "recall@20", "novelty"):
        difference = found.difference(name, "b")
        assert difference
        expected = interval(np.subtract(rated.draws[name], metrics.draws[name]))
        assert difference.interval == pytest.approx(expected, abs=1e-6)
    labels = [row.label for rows in comparison_rows(found).values() for row in rows]
    assert {"NDCG", "NDCG@20", "long tail", "difference in NDCG"} <= set(labels)
    assert "RMSE" not in labels


def test_a_run_without_rankings_is_not_compared(
    split: Split, metrics: Metrics, saved: Callable[..., Path]
) -> None:
    plain = evaluate(model_of(split, 1), split, CONFIG)
    with pytest.raises(ArtifactError, match="b: has no rankings to compare with those of a; eval"):
        compare({"a": metrics, "b": plain})


def test_cutoffs_of_one_run_alone_are_not_compared(split: Split, metrics: Metrics) -> None:
    one = evaluate(model_of(split, 1), split, replace(CONFIG, at=5), ranking=True)
    assert set(compare({"a": metrics, "b": one}).measures) == ONLY
    other = evaluate(model_of(split, 1), split, replace(CONFIG, at=20), ranking=True)
    with pytest.raises(ArtifactError, match="b: was measured with at 20, but a with 5"):
        compare({"a": metrics, "b": other})


def test_protocols_are_compared_only_with_themselves(split: Split, metrics: Metrics) -> None:
    times = np.arange(len(split.test))
    timed = replace(split, test=replace(split.test, timestamp=times))
    last = evaluate(model_of(split, **SCORES), timed, replace(CONFIG, protocol="leave-last-out"))
    assert last.protocol.candidates == (
        "all items that the user has not rated before; relevant: the last one only"
    )
    assert "relevant" not in last.protocol.settings
    with pytest.raises(ArtifactError, match="with protocol leave-last-out, but a with unrated"):
        compare({"a": metrics, "b": last})


def test_every_held_out_event_is_relevant(split: Split) -> None:
    """Also for a model that was fitted to the strengths as ratings; strengths have no errors."""
    parts = {
        name: replace(part, feedback="implicit", rating=np.ones_like(part.rating))
        for name, part in split.parts.items()
    }
    events = replace(split, train=parts["train"], test=parts["test"])
    found = evaluate(model_of(split, 1), events, CONFIG)
    everything = evaluate(model_of(split, 1), split, replace(CONFIG, relevant=-9), ranking=True)
    assert (found.protocol.feedback, found.has_errors) == ("implicit", False)
    assert "relevant" not in found.protocol.settings
    assert found.protocol.relevant_share == 1
    for name in ("ndcg", "recall@20", "novelty"):
        assert found.measures[name] == everything.measures[name]


def test_events_are_not_measured_as_ratings(split: Split) -> None:
    events = replace(split.test, feedback="implicit")
    with pytest.raises(DataError, match="is implicit feedback, but the split is explicit; read"):
        evaluate(model_of(split, **SCORES), split, CONFIG, on=events)


def test_training_ratings_cannot_be_ranked(split: Split) -> None:
    with pytest.raises(UsageError, match="rankings exclude the training ratings"):
        evaluate(model_of(split, **SCORES), split, CONFIG, on="train")


def test_folds_without_errors(metrics: Metrics, saved: Callable[..., Path]) -> None:
    folds = FoldMetrics.of([metrics, metrics])
    assert not folds.has_errors
    assert folds.measures["ndcg"] == metrics.measures["ndcg"]
    assert folds.verdict
    assert folds.verdict.text.startswith(
        "The rankings are better than a ranking by popularity in 0"
    )
    folder = saved("a", folds)
    assert read_metrics(folder) == folds
    assert compare({"a": folds, "b": folds}).measures["ndcg"] == [folds.measures["ndcg"]] * 2


def test_cross_validation_of_rankings(split: Split) -> None:
    parts = [split, replace(split, train=split.train)]
    config = Config(k=2, epochs=1, at=(5, 3), relevant=3.5, resamples=0)
    found = cross_validate(parts, config, measures=["recall@3", "coverage"])
    assert set(found.measures) == {"recall@3", "coverage"}
    with pytest.raises(UsageError, match=r"has ndcg@7, which is not measured; .* at=\(5, 3, 7\)"):
        cross_validate(parts, config, measures="ndcg@7")
    for name in ("rmse@3", "ndcg@x", "coverage@3"):
        with pytest.raises(UsageError, match="must be a function"):
            cross_validate(parts, config, measures=name)


def test_cross_validation_of_rankings_has_no_errors(split: Split) -> None:
    config = Config(k=2, epochs=1, resamples=0)
    train, test = (replace(part, feedback="implicit") for part in (split.train, split.test))
    events = replace(split, train=train, test=test)
    for given, part in ((replace(config, **SCORES), split), (config, events)):
        with pytest.raises(UsageError, match="measures has mae, but only rankings are measured of"):
            cross_validate([part, part], given, measures=["ndcg", "mae"])


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are drawn; they are not saved."""
    drawn: list[Any] = []
    monkeypatch.setattr(canvas, "_save", lambda figure, out, dpi: drawn.append(figure))
    return drawn


def test_the_picture_of_rankings(metrics: Metrics, figures: list[Any]) -> None:
    titles = plot_metrics(metrics, Path("p.png"))
    assert titles == [
        "Accuracy",
        "Beyond accuracy",
        "NDCG by user activity",
        "Recall by item popularity",
        "Accuracy by cutoff",
    ]
    accuracy, _, users, items, *_ = figures[0].axes
    heights = [bar.get_height() for bar in accuracy.containers[0]]
    assert heights == [metrics.measures[name] for name in measures_of(RANKING)]
    assert metrics.ranking_breakdown
    for axes, rows in (
        (users, metrics.ranking_breakdown.user_activity),
        (items, metrics.ranking_breakdown.item_popularity),
    ):
        drawn = axes.containers[0].lines[0].get_ydata().tolist()
        assert drawn == [row.value for row in rows]
    ndcg = f"NDCG@5 {metrics.measures['ndcg']:.4f} on "
    assert figures[0].get_suptitle().startswith(ndcg)


def test_rankings_of_several_models_side_by_side(
    metrics: Metrics, rated: Metrics, figures: list[Any]
) -> None:
    panels = plot_comparison({"a": metrics, "b": rated}, Path("p.png"))
    assert panels == ["NDCG", "Recall by item popularity", "NDCG by user activity", "Recall"]
    (figure,) = figures
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [f"{n} ({m.measures['ndcg']:.4f})" for n, m in (("a", metrics), ("b", rated))]


@pytest.fixture
def folder(split: Split, run: Run) -> Path:
    """A split, and a model of scores."""
    write_split(Path("split"), split)
    split = read_split(Path("split"))
    history = History.of([Epoch(1, 1.0, 1.0, 1.0, 1.0, 0.1)])
    Fit(model_of(split, **SCORES), history).write(Path("scores"))
    Fit(model_of(split), history).write(Path("ratings"))
    return Path()


def test_the_command_leads_with_rankings(run: Run, folder: Path) -> None:
    """It needs no --ranking, and takes the options of rankings."""
    done = run("evaluate", "--model", "scores", "--at", "5,20", "--resamples", 20, "-q")
    assert done.code == 0
    first, *_ = done.out.splitlines()
    assert first.startswith("scores/metrics.json: ")
    assert " test ratings, rankings of 5 items for " in first
    for text in ("NDCG", "model @20", "most popular @5", "Gini index", "novelty (bits)"):
        assert text in done.out
    assert "RMSE" not in done.out
    shown = run("show", "scores/metrics.json").out
    assert "NDCG of most popular" in shown
    assert "RMSE" not in shown
    wrong = run("evaluate", "--model", "ratings", "--at", "5")
    assert (wrong.code, "--at is not used without --ranking" in wrong.err) == (2, True)
    wrong = run("evaluate", "--model", "scores", "--at", "5,x")
    assert (wrong.code, "--at must be a whole number or a list of them" in wrong.err) == (2, True)
    for option in ("--clip", "--no-clip"):
        wrong = run("evaluate", "--model", "scores", option)
        assert (wrong.code, wrong.err) == (
            2, "error: --clip is not used for a model that predicts scores; omit it\n",
        )  # fmt: skip
    wrong = run("evaluate", "--model", "scores", "--fold-in-fraction", "0.5")
    assert (wrong.code, "is not used with --protocol unrated" in wrong.err) == (2, True)
    wrong = run("evaluate", "--model", "scores", "--protocol", "strong-generalization")
    assert (wrong.code, "split with --strategy cold-user" in wrong.err) == (1, True)


def test_several_folds_are_shown(metrics: Metrics, saved: Callable[..., Path]) -> None:
    facts = show.facts_of(show.find(saved("a", FoldMetrics.of([metrics, metrics])))[0])
    assert set(facts["baselines"]) == {"popular"}
