"""Metrics of models and baselines: definitions, protocol and files."""

import json
import math
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from error_measures import errors_of, user_sums
from planted import make_ratings, planted_split

from mfcli.config import Config
from mfcli.data import Scale, Source, Vocabulary, ratings
from mfcli.errors import ArtifactError, DataError, LimitError, UsageError
from mfcli.evaluation import (
    BEYOND,
    MEASURES,
    RANKING,
    RATING_ERROR,
    UNCERTAINTY,
    FoldMetrics,
    Measure,
    accumulation,
    evaluate,
    measures_of,
    read_metrics,
)
from mfcli.evaluation.accumulation import accumulate
from mfcli.evaluation.baselines import Baseline
from mfcli.evaluation.bootstrap import Bootstrap, interval
from mfcli.evaluation.rating_errors import FORMULAS, measured_errors
from mfcli.model import Model
from mfcli.rankings import EXPOSURE_FORMULAS, SUM_FORMULAS, USER_FORMULAS
from mfcli.splits import Split, assembled
from mfcli.storage import resources
from mfcli.training.loop import start

RAW = Config(clip=False, resamples=50)


@pytest.fixture(scope="module")
def sparse() -> Split:
    """A split with some test ratings of users or items that are not in train."""
    return planted_split(Config(test=0.4), share=0.06, users=80)


@pytest.fixture(scope="module")
def model(sparse: Split) -> Model:
    return start(sparse, Config(k=4))


def test_errors_are_the_definitions() -> None:
    predicted = np.array([1, 2, 3, 4.5], np.float32)
    rating = np.array([1, 3, 3, 4], np.float32)
    errors = errors_of(predicted, rating, np.array([0, 0, 2, 2]))
    assert errors["mse"] == pytest.approx((0 + 1 + 0 + 0.25) / 4)
    assert errors["rmse"] == pytest.approx(math.sqrt(1.25 / 4))
    assert errors["mae"] == pytest.approx(1.5 / 4)
    assert errors["r2"] == pytest.approx(1 - 1.25 / (1.75**2 + 2 * 0.25**2 + 1.25**2))
    assert errors["user_rmse"] == pytest.approx((math.sqrt(1 / 2) + math.sqrt(0.25 / 2)) / 2)
    assert errors_of(rating[:1], rating[:1], np.array([0]))["r2"] is None


def test_damped_biases_are_the_definition(sparse: Split) -> None:
    train, damping = sparse.train, 3.0
    mu = float(np.mean(train.rating, dtype=np.float64))
    item_biases, user_biases = {}, {}
    for i in range(len(train.items)):
        residuals = [r - mu for r, j in zip(train.rating, train.item, strict=True) if j == i]
        item_biases[i] = sum(residuals) / (len(residuals) + damping)
    for u in range(len(train.users)):
        rows = np.flatnonzero(train.user == u)
        residuals = [train.rating[n] - mu - item_biases[train.item[n]] for n in rows]
        user_biases[u] = sum(residuals) / (len(residuals) + damping)
    fitted = Baseline.fit(train, damping)
    np.testing.assert_allclose(fitted.item_biases, list(item_biases.values()), atol=1e-6)
    np.testing.assert_allclose(fitted.user_biases, list(user_biases.values()), atol=1e-6)
    u, i = int(sparse.test.user[0]), int(sparse.test.item[0])
    predicted = fitted.predict(sparse.test.user, sparse.test.item)
    assert predicted[0] == pytest.approx(mu + user_biases[u] + item_biases[i], abs=1e-5)
    nobody = np.array([-1], np.int32)
    assert fitted.predict(nobody, nobody)[0] == pytest.approx(mu)


def test_without_damping_unseen_rows_have_no_bias(sparse: Split) -> None:
    fitted = Baseline.fit(sparse.train, 0.0)
    assert not fitted.item_biases[sparse.train.items.counts == 0].any()


def test_model_and_baselines_are_measured(sparse: Split, model: Model) -> None:
    metrics, test = evaluate(model, sparse, RAW), sparse.test
    fitted = Baseline.fit(sparse.train, RAW.damping).predict(test.user, test.item)
    constant = np.full(len(test), sparse.train.mean, np.float32)
    for measures, predicted in (
        (metrics.measures, model.predict_rows(test.user, test.item)),
        (metrics.baselines["biases"].measures, fitted),
        (metrics.baselines["mean"].measures, constant),
    ):
        expected = errors_of(predicted, test.rating, test.user)
        assert measures == pytest.approx(expected, abs=1e-6)


def test_a_file_may_have_the_name_of_a_part(sparse: Split, model: Model) -> None:
    source = Source("train", 1, 0, "", "", {}, 0, 0, {})
    metrics = evaluate(model, sparse, RAW, on=replace(sparse.test, source=source), ranking=True)
    assert metrics.protocol.on == "train"
    assert metrics.measures["ndcg"] is not None


def test_groups_are_complete(sparse: Split, model: Model) -> None:
    metrics = evaluate(model, sparse, RAW)
    groups = metrics.groups
    assert sum(group.ratings for group in groups.values()) == len(sparse.test)
    assert groups["unseen_item"].ratings + groups["unseen_user"].ratings > 0
    assert len(sparse.test) - groups["warm"].ratings == sparse.unseen(sparse.test)
    total = sum(g.ratings * g.rmse**2 for g in groups.values() if g.rmse is not None)
    assert total / len(sparse.test) == pytest.approx(metrics.measures["mse"])


def test_clipping_is_to_the_scale(sparse: Split, model: Model) -> None:
    wild = model.with_tables({"user_biases": model.user_biases + 100})
    clipped, raw = (evaluate(wild, sparse, replace(RAW, clip=clip)) for clip in (True, False))
    top = np.full(len(sparse.test), wild.scale.max, np.float32)
    expected = errors_of(top, sparse.test.rating, sparse.test.user)
    assert clipped.measures == pytest.approx(expected)
    assert clipped.measures["rmse"] == pytest.approx(clipped.rmse_clipped)
    assert clipped.rmse_clipped == raw.rmse_clipped
    assert raw.measures["rmse"] == pytest.approx(raw.rmse_raw)
    assert raw.rmse_raw == clipped.rmse_raw > 90


def test_gains_are_fractions_of_the_rmse_of_the_baseline(sparse: Split, model: Model) -> None:
    config = Config(resamples=200)
    metrics = evaluate(model, sparse, config)
    plain, own = metrics.as_dict(), metrics.measures["rmse"]
    assert plain["measures"]["rmse"] == own
    assert own
    baseline = Baseline.fit(sparse.train, config.damping)
    sums = accumulate(
        model, sparse, sparse.test, baseline, config.clip, 1, lambda done, total: None
    )
    measured = sums.measured(Bootstrap(200, config.seed))
    for name in ("mean", "biases"):
        found = metrics.baselines[name]
        rmse = found.measures["rmse"]
        assert rmse
        assert plain["baselines"][name]["gain"] == found.gain == 1 - own / rmse
        draws = 1 - measured["model"].draws["rmse"] / measured[name].draws["rmse"]  # paired
        assert found.gain_interval == interval(draws)
        assert found.gain_interval
        assert found.gain_interval[0] < found.gain < found.gain_interval[1]


def test_threads_and_seeds(sparse: Split, model: Model) -> None:
    config = replace(RAW, relevant=2)  # so that some items are hits
    one = evaluate(model, sparse, config, threads=1, ranking=True).as_dict()
    assert one == evaluate(model, sparse, config, threads=3, ranking=True).as_dict()
    other = evaluate(model, sparse, replace(config, seed=1), ranking=True).as_dict()
    assert other["measures"] == one["measures"]
    assert other["intervals"]["rmse"] != one["intervals"]["rmse"]
    assert any(other["intervals"].get(m) != one["intervals"].get(m) for m in measures_of(RANKING))


@pytest.mark.parametrize("room", [300, 2000, 9000])
@pytest.mark.parametrize("protocol", ["unrated", "leave-last-out"])
def test_metrics_do_not_depend_on_memory(
    sparse: Split, model: Model, monkeypatch: pytest.MonkeyPatch, protocol: str, room: int
) -> None:
    """Sums of lanes, of users and of ranges of users go through temporary space."""
    monkeypatch.setattr(accumulation, "_CHUNK", 7)  # so that there are several lanes
    monkeypatch.setattr(ratings, "_PIECE", 11)
    test = sparse.test
    on = replace(test, timestamp=np.arange(len(test))[::-1] // 3)
    config = Config(resamples=20, relevant=2, protocol=protocol, at=(5, 2))
    whole = evaluate(model, sparse, config, on=on, ranking=True)
    spaces: list[int] = []
    with resources(room=room, on_space=lambda need, folder: spaces.append(need)):
        assert evaluate(model, sparse, config, on=on, ranking=True, threads=2) == whole
    assert spaces


def test_memory_does_not_grow_with_the_ratings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accumulation, "_CHUNK", 1 << 12)
    monkeypatch.setattr(ratings, "_PIECE", 1 << 12)
    few, many = (peak_of_evaluation(n) for n in (40_000, 400_000))
    # One byte for each rating would be far more.
    assert many - few < 100_000


def peak_of_evaluation(count: int) -> int:
    """Return the most memory that the evaluation of generated ratings takes beyond them."""
    rng = np.random.default_rng(0)
    parts = [
        make_ratings(
            rng.integers(0, 30, count),
            rng.integers(0, 20, count),
            rng.integers(1, 6, count),
            users=30,
            items=20,
        )
        for _ in range(2)
    ]
    parts = [replace(part, timestamp=rng.integers(0, 10**9, count)) for part in parts]
    split = assembled(dict(zip(("train", "test"), parts, strict=True)), Scale(1, 5, 1), {})
    model = start(split, Config(k=2))
    tracemalloc.start()
    evaluate(model, split, Config(resamples=20), threads=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_sums_that_do_not_fit_in_memory_are_refused(sparse: Split, model: Model) -> None:
    with (
        resources(memory="1MB"),
        pytest.raises(
            LimitError, match=r"measuring errors needs about .*, or use at least memory="
        ),
    ):
        evaluate(model, sparse)


def test_pieces_are_added_up(sparse: Split, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluate(model, sparse, RAW)
    monkeypatch.setattr(accumulation, "_CHUNK", 7)
    pieces = [evaluate(model, sparse, RAW, threads=threads) for threads in (1, 3)]
    assert pieces[0] == pieces[1]
    assert pieces[0].measures == pytest.approx(whole.measures)
    assert pieces[0].rmse_raw == pytest.approx(whole.rmse_raw)
    for one, two in zip(
        pieces[0].breakdown.user_activity, whole.breakdown.user_activity, strict=True
    ):
        assert (one.low, one.ratings) == (two.low, two.ratings)
        assert one.rmse == pytest.approx(two.rmse)


def test_without_resamples_there_are_no_intervals(sparse: Split, model: Model) -> None:
    plain = evaluate(model, sparse, Config(resamples=0)).as_dict()
    assert plain["intervals"]["rmse"] is plain["baselines"]["mean"]["gain_interval"] is None
    assert "seed" not in plain["protocol"]["settings"]


def test_ids_are_matched_instead_of_rows(sparse: Split, model: Model) -> None:
    test = sparse.test
    order = np.random.default_rng(0).permutation(len(test.users))
    users = Vocabulary(test.users.ids.take(pa.array(order)), test.users.counts[order])
    shuffled = replace(test, user=np.argsort(order)[test.user].astype(np.int32), users=users)
    same = evaluate(model, sparse, RAW).measures
    assert evaluate(model, sparse, RAW, on=shuffled).measures == pytest.approx(same)


def test_the_file_records_what_was_measured(sparse: Split, model: Model, tmp_path: Path) -> None:
    metrics = evaluate(model, sparse, Config(damping=2.5, resamples=30), ranking=True)
    metrics.write(tmp_path / "metrics.json")
    text = (tmp_path / "metrics.json").read_text()
    written = json.loads(text)
    draws, _ = written.pop("draws"), written.pop("digest")
    assert written == json.loads(json.dumps(metrics.as_dict()))
    assert {len(values) for values in draws.values()} == {30}
    np.testing.assert_allclose(draws["ndcg"], metrics.draws["ndcg"], rtol=1e-6)
    assert read_metrics(tmp_path) == metrics
    assert text.count("\n") < 700  # a line each for lists of numbers
    protocol = written["protocol"]
    assert protocol["settings"]["damping"] == 2.5
    assert protocol["ratings"] == len(sparse.test)
    assert protocol["users"] == len(np.unique(sparse.test.user))
    assert protocol["strategy"] == sparse.strategy
    assert protocol["settings"]["relevant"] == 4
    assert protocol["settings"]["resamples"] == 30


def test_impossible_requests_are_refused(sparse: Split, model: Model) -> None:
    with pytest.raises(DataError, match="other ratings: contains no ratings"):
        evaluate(model, sparse, on=sparse.test.take(np.arange(0)))
    with pytest.raises(
        ArtifactError, match=r"has no validation ratings; split again with valid=0.1"
    ):
        evaluate(model, sparse, on="valid")
    with pytest.raises(UsageError, match="on must be one of train, test, valid, or other ratings"):
        evaluate(model, sparse, on="dev")
    with pytest.raises(UsageError, match="exclude the training ratings; use test or valid"):
        evaluate(model, sparse, on="train", ranking=True)
    with pytest.raises(DataError, match="is at least 99; lower relevant, or omit ranking"):
        evaluate(model, sparse, Config(relevant=99), ranking=True)


def test_one_user_has_no_interval(sparse: Split, model: Model) -> None:
    of_one = sparse.test.take(sparse.test.user == sparse.test.user[0])
    plain = evaluate(model, sparse, RAW, on=of_one).as_dict()
    assert plain["protocol"]["users"] == 1
    assert plain["intervals"]["rmse"] is None


def test_the_mean_over_folds_has_an_interval(sparse: Split, model: Model) -> None:
    folds = [evaluate(model, sparse, replace(RAW, seed=seed)) for seed in range(3)]
    over = FoldMetrics.of(folds)
    draws = np.mean([fold.draws["mae"] for fold in folds], axis=0)
    assert over.intervals["mae"] == interval(draws)
    assert over.measures["user_rmse"] == pytest.approx(folds[0].measures["user_rmse"])
    assert "ndcg" not in over.measures
    baseline = over.baselines["mean"]
    assert baseline.measures["mae"] == pytest.approx(folds[0].baselines["mean"].measures["mae"])
    assert baseline.standard_deviations["mae"] == pytest.approx(0)


def test_folds_of_different_trainings_have_no_mean(sparse: Split) -> None:
    one, two = (evaluate(start(sparse, Config(k=k)), sparse, RAW) for k in (2, 3))
    with pytest.raises(ArtifactError, match="fold 2 was trained with k 3, fold 1 with 2; train"):
        FoldMetrics.of([one, two])


def test_records_hold_the_settings_that_were_used(sparse: Split, model: Model) -> None:
    """The settings of other stages, and settings that only rankings use, are left out."""
    config = replace(RAW, test=0.3, valid=0.2, at=7, relevant=2.5)
    plain = evaluate(model, sparse, config).as_dict()
    used = {"clip": False, "damping": 5.0, "resamples": 50, "seed": 0}
    assert plain["protocol"]["settings"] == used
    ranked = evaluate(model, sparse, config, ranking=True).as_dict()["protocol"]
    assert ranked["settings"] == used | {"at": 7, "relevant": 2.5, "protocol": "unrated"}
    assert plain["training"] == Config(k=4).used("training")
    assert not {"test", "valid", "clip", "damping"} & set(plain["training"])
    assert plain["protocol"]["strategy"]["test"] == 0.4
    assert plain["protocol"]["split"] == sparse.hash


def test_every_measure_has_one_formula(sparse: Split, model: Model) -> None:
    assert set(measures_of(RATING_ERROR)) == set(FORMULAS)
    assert set(measures_of(RANKING)) == set(USER_FORMULAS)
    assert sorted(measures_of(BEYOND)) == sorted([*SUM_FORMULAS, *EXPOSURE_FORMULAS])
    metrics = evaluate(model, sparse, RAW, ranking=True)
    assert set(metrics.measures) == set(MEASURES) - set(measures_of(UNCERTAINTY))
    assert set(metrics.intervals) == set(metrics.measures) - {"coverage", "gini"}


def test_a_new_measure_needs_an_entry_and_a_formula(
    sparse: Split, model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(MEASURES, "twice", Measure("twice", "2x", RATING_ERROR, "lower"))
    monkeypatch.setitem(FORMULAS, "twice", lambda sums: 2 * FORMULAS["rmse"](sums))
    metrics = evaluate(model, sparse, RAW)
    metrics.write(tmp_path / "metrics.json")
    found = read_metrics(tmp_path)
    rmse, ends = found.measures["rmse"], found.intervals["rmse"]
    assert rmse
    assert ends
    assert found.measures["twice"] == 2 * rmse
    assert found.intervals["twice"] == pytest.approx([2 * end for end in ends])


def test_measures_are_shown_and_compared_by_the_table() -> None:
    assert MEASURES["rmse"].text(0.87654) == "0.8765"
    assert MEASURES["rmse"].text(None) == "-"
    assert MEASURES["rmse"].best([2, None, 1]) == 1
    assert MEASURES["ndcg"].best([2, None, 1]) == 2
    assert MEASURES["ndcg"].best([2, None]) is None
    assert MEASURES["coverage"].best([2, 1]) is None


def test_intervals_contain_the_truth_as_often_as_they_promise() -> None:
    """For 200 samples of users from one population, 95% intervals miss its RMSE about 10 times."""
    rng, missed = np.random.default_rng(5), 0
    for _ in range(200):
        user = np.repeat(np.arange(150), rng.integers(1, 12, 150))
        spread = rng.gamma(4, 0.25, 150)  # users differ: E[spread^2] = 1.25
        rating = spread[user] * rng.normal(size=len(user))
        sums = user_sums(-rating, rating, user)  # of a model that predicts 0
        measured = measured_errors(sums, {"": ""}, Bootstrap(200, 0))[""]
        low, high = interval(measured.draws["rmse"]) or (0.0, 0.0)
        missed += not low < math.sqrt(1.25) < high
    assert 3 <= missed <= 25
