"""The verdict on a model, and published results on known data sets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.evaluation import FoldMetrics, evaluate, read_metrics
from mfcli.evaluation.baseline_metrics import BaselineMetrics
from mfcli.evaluation.bootstrap import Interval
from mfcli.evaluation.published import Counts, published_text
from mfcli.evaluation.verdict import Verdict, fold_verdict, verdict_of
from mfcli.splits import Split
from mfcli.training.loop import start

CONFIG = Config(resamples=100)


@pytest.fixture(scope="module")
def split() -> Split:
    return planted_split(Config(test=0.4), share=0.4)


def judged(
    biases: Interval | None,
    popular: Interval | None = None,
    *,
    mean: Interval = (0.1, 0.3),
    optimizer: str = "gibbs",
    on: str = "test",
) -> Verdict:
    """Judge a model, given the intervals of its gains."""
    baselines = {
        "mean": BaselineMetrics({}, {}, gain=0.2, gain_interval=biases and mean),
        "biases": BaselineMetrics({}, {}, gain=0.0, gain_interval=biases),
    }
    if popular:
        baselines["popular"] = BaselineMetrics({}, {}, ndcg_interval=popular)
    return verdict_of(on, {"optimizer": optimizer}, baselines, "Published.")


BETTER, WORSE, UNCLEAR = (0.041, 0.053), (-0.052, -0.039), (-0.009, 0.006)
BEATS = "The model beats damped biases and the training mean: its RMSE is 4.1% to 5.3% lower than"
INIT = " Try the settings of mfcli init."


@pytest.mark.parametrize(
    ("biases", "popular", "optimizer", "text"),
    [
        (BETTER, None, "sgd", f"{BEATS} with damped biases (95% interval)."),
        (
            WORSE,
            None,
            "sgd",
            "The model is worse than damped biases: its RMSE is 3.9% to 5.2% higher (95% interval)."
            + INIT,
        ),
        (
            UNCLEAR,
            None,
            "gibbs",
            "The model is about as good as damped biases: its RMSE differs by -0.6% to +0.9%"
            " (95% interval). Try more epochs, or search for settings with mfcli tune.",
        ),
        (
            BETTER,
            (0.01, 0.02),
            "gibbs",
            f"{BEATS} with damped biases (95% interval). Its rankings are better than a ranking by"
            " popularity: NDCG is 0.0100 to 0.0200 higher.",
        ),
        (
            BETTER,
            (-0.02, -0.01),
            "gibbs",
            f"{BEATS} with damped biases (95% interval). Its rankings are worse than a ranking by"
            " popularity: NDCG is 0.0100 to 0.0200 lower. For better rankings, try the settings of"
            " mfcli init --for ranking.",
        ),
        (
            BETTER,
            (-0.02, 0.01),
            "adam",
            f"{BEATS} with damped biases (95% interval). Its rankings are about as good as a"
            " ranking by popularity: NDCG differs by -0.0200 to +0.0100. For better rankings, try"
            " the settings of mfcli init --for ranking.",
        ),
        (
            None,
            None,
            "sgd",
            "There are no confidence intervals, so the comparison with the baselines says little.",
        ),
    ],
)
def test_the_text(
    biases: Interval | None, popular: Interval | None, optimizer: str, text: str
) -> None:
    assert judged(biases, popular, optimizer=optimizer).text == text


def test_an_interval_that_includes_0_is_not_decided() -> None:
    assert judged(BETTER, (-0.02, -0.01)).better == {"mean": True, "biases": True, "popular": False}
    assert judged(UNCLEAR, (-0.02, 0.01)).better == {"mean": True, "biases": None, "popular": None}
    assert judged((0.0, 0.1)).better["biases"] is None
    assert judged(None).better == {"mean": None, "biases": None}


def test_a_model_that_is_worse_than_the_training_mean_is_not_praised() -> None:
    verdict = judged(BETTER, mean=(-0.0124, -0.0008), optimizer="sgd")
    assert verdict.text == (
        "The model beats damped biases: its RMSE is 4.1% to 5.3% lower than with damped biases"
        " (95% interval). But it is worse than the training mean: its RMSE is 0.1% to 1.2% higher."
        + INIT
    )
    worse = judged(WORSE, mean=WORSE)
    assert "It is also worse than the training mean: its RMSE is 3.9% to 5.2%" in worse.text


def test_training_ratings_are_no_evidence() -> None:
    verdict = judged(BETTER, on="train")
    assert verdict.text == "The model was trained on these ratings; evaluate it on others."
    assert verdict.published == ""
    assert judged(BETTER).published == "Published."


def test_folds_are_counted() -> None:
    folds = [judged(BETTER, (0.01, 0.02)), judged(UNCLEAR, (-0.02, -0.01)), judged(BETTER, WORSE)]
    verdict = fold_verdict(folds, {"optimizer": "gibbs"})
    assert verdict.text == (
        "The model is better than damped biases in 2 of 3 folds and worse in 0; its rankings are"
        " better than a ranking by popularity in 1 of 3 folds and worse in 2 (95% intervals exclude"
        " 0). Try more epochs, or search for settings with mfcli tune."
    )
    assert verdict.better == {"mean": True, "biases": None, "popular": None}
    assert verdict.published == "Published."
    assert fold_verdict(folds[::2], {}).better["biases"] is True


def test_metrics_have_the_verdict(split: Split, tmp_path: Path) -> None:
    metrics = evaluate(start(split, Config(k=2)), split, CONFIG, ranking=True)
    popular = metrics.baselines["popular"]
    own, other = metrics.measures["ndcg"], popular.measures["ndcg"]
    assert own is not None
    assert other is not None
    assert popular.ndcg_difference == own - other
    assert popular.ndcg_interval
    assert np.mean(popular.ndcg_interval) == pytest.approx(own - other, abs=0.02)
    verdict = metrics.verdict
    assert verdict
    # The weights are random, so the model is about as good as the training mean.
    assert verdict.better["biases"] is False
    assert verdict.text.startswith("The model is worse than damped biases: its RMSE is ")
    assert metrics.as_dict()["verdict"] == {
        "better": verdict.better,
        "text": verdict.text,
        "published": "",
    }
    metrics.write(tmp_path / "metrics.json")
    assert read_metrics(tmp_path / "metrics.json").verdict == verdict
    over = FoldMetrics.of([metrics, metrics])
    assert over.verdict
    assert "in 0 of 2 folds and worse in 2" in over.verdict.text


def test_without_resamples_nothing_is_decided(split: Split) -> None:
    metrics = evaluate(start(split, Config(k=2)), split, replace(CONFIG, resamples=0), ranking=True)
    for one in (metrics, FoldMetrics.of([metrics, metrics])):
        assert one.verdict
        assert set(one.verdict.better.values()) == {None}
        assert one.verdict.text.startswith("There are no confidence intervals")


def test_files_without_a_verdict_are_read(split: Split, tmp_path: Path) -> None:
    from mfcli.storage.records import sealed_text

    metrics = evaluate(start(split, Config(k=2)), split, replace(CONFIG, resamples=5))
    path = tmp_path / "metrics.json"
    metrics.write(path)
    value = json.loads(path.read_text())
    for name in ("digest", "verdict"):
        del value[name]
    path.write_text(sealed_text(value))
    found = read_metrics(path)
    assert found.verdict is None
    assert FoldMetrics.of([metrics, found]).verdict is None  # type: ignore[list-item]  # not folds


ML_1M = Counts(1_000_209, 6_040, 3_706)


@pytest.mark.parametrize(
    ("counts", "strategy", "text"),
    [
        (
            ML_1M,
            {"name": "random", "test": 0.1, "seed": 3},
            "Published test RMSEs on MovieLens 1M, random 90/10 splits: 0.832 (GC-MC, R. van den"
            " Berg et al., 2017) to 0.8227 (GLocal-K, S. C. Han et al., CIKM 2021).",
        ),
        (
            ML_1M,
            {"name": "k-fold", "folds": 5},
            "Published test RMSEs on MovieLens 1M, five folds: 0.852 (biased MF, MyMediaLite) to"
            " 0.843 (tuned SVD, gorse).",
        ),
        (
            ML_1M,
            {"name": "temporal", "test": 0.1},
            "Published test RMSEs on MovieLens 1M, random 90/10 splits: 0.832 (GC-MC, R. van den"
            " Berg et al., 2017) to 0.8227 (GLocal-K, S. C. Han et al., CIKM 2021). This split is"
            " another one.",
        ),
        (Counts(100_000, 943, 1_681), {"name": "given"}, ""),
        (Counts(100_836, 610, 9_724), {"name": "random", "test": 0.2}, ""),
    ],
)
def test_published_results(counts: Counts, strategy: dict[str, object], text: str) -> None:
    assert published_text(counts, strategy) == text


def test_known_data_sets() -> None:
    for counts, name, figures in (
        (Counts(100_000, 943, 1_682), "MovieLens 100K, split u1", ("0.910", "0.8889")),
        (Counts(136_891, 2_999, 3_000), "Douban, split of F. Monti et al.", ("0.734", "0.7208")),
    ):
        text = published_text(counts, {"name": "given"})
        assert text.startswith(f"Published test RMSEs on {name}")
        assert all(figure in text for figure in figures)
    text = published_text(Counts(10_000_054, 69_878, 10_677), {"name": "random", "test": 0.1})
    assert "0.777 (GC-MC" in text
    assert "0.7485 (Bayesian timeSVD++ flipped, S. Rendle et al., 2019)." in text
