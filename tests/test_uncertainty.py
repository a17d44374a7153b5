"""Measures of predicted distributions: coverage of intervals, and log score."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from conftest import Run
from planted import make_ratings

from mfcli.config import Config
from mfcli.errors import UsageError
from mfcli.evaluation import (
    UNCERTAINTY,
    FoldMetrics,
    Metrics,
    accumulation,
    compare,
    comparison_rows,
    cross_validate,
    evaluate,
    measures_of,
    read_metrics,
)
from mfcli.evaluation.uncertainty import UNCERTAINTY_FORMULAS
from mfcli.model import Model, Posterior
from mfcli.splits import Split, split as split_ratings, write_split
from mfcli.training import fit

CONFIG = Config(k=2, epochs=12, optimizer="gibbs", keep_samples=8, resamples=100)
NAMES = {"log_score", "log_score_gain", "interval_coverage"}


@pytest.fixture(scope="module")
def split() -> Split:
    """Ratings of users whose noise differs, some without training ratings."""
    rng = np.random.default_rng(3)
    user, item = np.nonzero(rng.random((80, 40)) < 0.6)
    noise = np.where(user % 2, 0.3, 1.2)
    rating = np.clip(np.round(3 + 0.2 * (user % 5) + rng.normal(0, noise)), 1, 5)
    made = split_ratings(make_ratings(user, item, rating, users=80, items=40), CONFIG)
    train = made.train.take((made.train.user > 3) & (made.train.item != 6))
    users, items = train.users.counting(train.user), train.items.counting(train.item)
    return replace(made, train=replace(train, users=users, items=items))


@pytest.fixture(scope="module")
def model(split: Split) -> Model:
    return fit(split, CONFIG).model


@pytest.fixture(scope="module")
def metrics(split: Split, model: Model) -> Metrics:
    return evaluate(model, split, CONFIG)


def distributions(model: Model, split: Split) -> list[tuple[float, NormalDist]]:
    """Return each test rating with its predicted distribution."""
    test = split.test
    found = Posterior(model).ratings(test.user, test.item)
    pairs = zip(test.rating.tolist(), found.mean.tolist(), found.sd.tolist(), strict=True)
    return [(rating, NormalDist(mean, sd)) for rating, mean, sd in pairs]


def test_coverage_and_log_score_are_those_of_a_slow_twin(
    split: Split, model: Model, metrics: Metrics
) -> None:
    pairs = distributions(model, split)
    covered = [one.inv_cdf(0.05) <= rating <= one.inv_cdf(0.95) for rating, one in pairs]
    densities = [math.log(one.pdf(rating)) for rating, one in pairs]
    raw = evaluate(model, split, replace(CONFIG, clip=False)).measures
    assert raw["interval_coverage"] == pytest.approx(np.mean(covered))
    for found in (raw, metrics.measures):  # predictions are clipped, densities are not
        assert found["log_score"] == pytest.approx(np.mean(densities), abs=1e-5)


def test_the_baseline_is_the_best_constant_variance(
    split: Split, model: Model, metrics: Metrics
) -> None:
    pairs = distributions(model, split)

    def score(variance: float) -> float:
        same = [(rating, NormalDist(one.mean, math.sqrt(variance))) for rating, one in pairs]
        return float(np.mean([math.log(one.pdf(rating)) for rating, one in same]))

    best = float(np.mean([(rating - one.mean) ** 2 for rating, one in pairs]))
    constant = metrics.constant_log_score
    assert constant == pytest.approx(score(best), abs=1e-5)
    assert max(score(0.99 * best), score(1.01 * best)) < score(best)
    own = metrics.measures["log_score"]
    assert own
    assert metrics.measures["log_score_gain"] == pytest.approx(own - score(best), abs=1e-5)


def test_distributions_gain_where_the_noise_of_users_differs(metrics: Metrics) -> None:
    low, _ = metrics.intervals["log_score_gain"] or (0.0, 0.0)
    assert low > 0


def test_groups_have_their_own_coverage(split: Split, model: Model, metrics: Metrics) -> None:
    assert all(metrics.groups[name].ratings for name in ("warm", "unseen_user", "unseen_item"))
    groups = [group for group in metrics.groups.values() if group.ratings]
    total = sum(group.ratings for group in groups)
    for name in ("coverage", "log_score"):
        measure = {"coverage": "interval_coverage"}.get(name, name)
        parts = [group.ratings * getattr(group, name) for group in groups]
        assert sum(parts) / total == pytest.approx(metrics.measures[measure])
    test = split.test
    new = (test.user <= 3) & (test.item != 6)
    low, high = Posterior(model).ratings(test.user[new], test.item[new]).interval(0.9)
    assert metrics.groups["unseen_user"].width == pytest.approx(float(np.mean(high - low)))


def test_nothing_depends_on_threads_or_pieces(
    split: Split, model: Model, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = evaluate(model, split, CONFIG, threads=2)
    assert again == metrics
    monkeypatch.setattr(accumulation, "_CHUNK", 50)
    some = evaluate(model, split, CONFIG, threads=2)
    assert some == evaluate(model, split, CONFIG, threads=1)
    assert some.measures["log_score"] == pytest.approx(metrics.measures["log_score"])


def test_every_measure_has_a_formula() -> None:
    assert set(measures_of(UNCERTAINTY)) == set(UNCERTAINTY_FORMULAS) == NAMES


@pytest.mark.parametrize("samples", [0, 1])
def test_models_without_samples_have_no_such_measures(
    split: Split, tmp_path: Path, samples: int
) -> None:
    plain = fit(split, replace(CONFIG, keep_samples=samples)).model
    found = evaluate(plain, split, CONFIG)
    assert not {*found.measures} & NAMES
    assert found.protocol.samples is None
    found.write(tmp_path / "metrics.json")
    text = (tmp_path / "metrics.json").read_text()
    assert "log_score" not in text
    assert '"width"' not in text


def test_without_resamples_there_are_no_intervals(split: Split, model: Model) -> None:
    found = evaluate(model, split, replace(CONFIG, resamples=0))
    assert found.intervals["log_score_gain"] is None
    assert found.measures["log_score_gain"]


def test_a_perfect_prediction_has_no_best_constant(split: Split, model: Model) -> None:
    """The variance of constant width would be 0, and its density infinite."""
    predicted = model.predict_rows(split.test.user, split.test.item)
    found = evaluate(model, split, CONFIG, on=replace(split.test, rating=predicted))
    assert found.measures["log_score"]
    assert found.measures["log_score_gain"] is None
    assert found.constant_log_score is None


def test_metrics_are_read_as_they_were_written(metrics: Metrics, tmp_path: Path) -> None:
    metrics.write(tmp_path / "metrics.json")
    found = read_metrics(tmp_path / "metrics.json")
    assert isinstance(found, Metrics)
    assert found == metrics
    assert (found.protocol.samples, found.protocol.interval_level) == (8, 0.9)


def test_runs_are_compared_by_their_log_scores(
    split: Split, model: Model, metrics: Metrics
) -> None:
    other = fit(split, replace(CONFIG, epochs=4, keep_samples=2)).model
    found = compare({"long": metrics, "short": evaluate(other, split, CONFIG)})
    difference = found.difference("log_score", "short")
    assert difference
    assert difference.interval
    labels = [row.label for row in comparison_rows(found)["Differences from long"]]
    assert "difference in log score" in labels
    plain = fit(split, replace(CONFIG, keep_samples=0)).model
    found = compare({"samples": metrics, "none": evaluate(plain, split, CONFIG)})
    assert found.measures["log_score"][1] is None
    ranked = replace(CONFIG, epochs=2, keep_samples=0, optimizer="als", unrated_weight=0.1)
    scores = evaluate(fit(split, ranked).model, split, CONFIG)
    found = compare({"samples": evaluate(model, split, CONFIG, ranking=True), "scores": scores})
    assert not {*found.measures} & NAMES


def test_folds_are_averaged(split: Split) -> None:
    config = replace(CONFIG, epochs=4, keep_samples=2)
    found = cross_validate(split.train, config, folds=2, measures=["log_score", "rmse"])
    assert [*found.values] == ["log_score", "rmse"]
    folds = found.metrics
    assert isinstance(folds, FoldMetrics)
    scores = [fold.measures["log_score"] for fold in folds.folds]
    assert folds.measures["log_score"] == pytest.approx(np.mean(np.array(scores, float)))
    assert folds.intervals["log_score_gain"]


@pytest.mark.parametrize("samples", [0, 1])
def test_folds_without_samples_are_refused_before_training(split: Split, samples: int) -> None:
    expected = "has log_score, which is measured only of models with samples; use optimizer='gibbs'"
    with pytest.raises(UsageError, match=expected):
        config = replace(CONFIG, keep_samples=samples)
        cross_validate(split.train, config, folds=2, measures=["log_score"])


@pytest.fixture
def trained(run: Run, split: Split, model: Model, tmp_path: Path) -> Run:
    write_split(tmp_path / "split", split)
    model.save(tmp_path / "model")
    return run


def test_the_command_shows_intervals_and_densities(
    trained: Run, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    for width in (60, 80):
        monkeypatch.setenv("COLUMNS", str(width))
        code, out, _ = trained("evaluate", "--resamples", 100, "--any-split")
        assert code == 0
        assert max(map(len, out.splitlines())) <= width
    assert "Predicted distributions: 90% intervals, 8 samples" in out
    assert "│ log score         │ " in out
    assert "RMSE and intervals for known and unseen users and items" in out
    row = next(line for line in out.splitlines() if "│ log score gain" in line)
    assert f"{metrics.measures['log_score_gain']:.4f}" in row
    code, out, _ = trained("show", "metrics.json")
    assert f"{metrics.measures['interval_coverage']:.4f}" in out
    assert f"{metrics.groups['unseen_user'].coverage:.2%}" in out
    shown = json.loads(trained("show", "metrics.json", "--json").out)
    assert "coverage" in json.dumps(shown)


def test_the_command_shows_folds(run: Run, real_csv: Path) -> None:
    lines = real_csv.read_text().splitlines()[:3000]
    Path("data.csv").write_text("\n".join(lines) + "\n")
    run("split", "data.csv", "--strategy", "k-fold", "--folds", 2)
    run("train", "--optimizer", "gibbs", "--k", 1, "--epochs", 3, "--keep-samples", 2)
    code, out, _ = run("evaluate", "--resamples", 10)
    assert code == 0
    assert "Predicted distributions: 90% intervals" in out
    assert out.count("fold 2") == 2


@pytest.mark.parametrize(("unit", "values"), [(1e-13, 6), (1e13, 6), (1, 2)])
def test_extreme_ratings_have_finite_scores(unit: float, values: int) -> None:
    rng = np.random.default_rng(3)
    user, item = np.nonzero(rng.random((20, 15)) < 0.6)
    rating = unit * rng.integers(1, values, len(user))
    made = split_ratings(make_ratings(user, item, rating, users=20, items=15), CONFIG)
    found = evaluate(fit(made, replace(CONFIG, epochs=4, keep_samples=2)).model, made, CONFIG)
    assert math.isfinite(found.measures["log_score"] or math.nan)
