"""Metrics of models beside baselines: definitions, protocol, files."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from planted import make_ratings, planted_split

from mfcli.config import Config
from mfcli.data import Vocabulary
from mfcli.errors import ArtifactError, DataError, UsageError
from mfcli.evaluation import FoldMetrics, Metrics, evaluate
from mfcli.evaluation.baselines import Baseline
from mfcli.evaluation.bootstrap import interval
from mfcli.evaluation.errors import Errors
from mfcli.model import Model
from mfcli.splits import Split
from mfcli.training.loop import start

RAW = Config(clip=False, resamples=50)


@pytest.fixture(scope="module")
def sparse() -> Split:
    """A split whose test ratings are cold in part."""
    return planted_split(Config(test=0.4), share=0.06, users=80)


@pytest.fixture(scope="module")
def model(sparse: Split) -> Model:
    return start(sparse, Config(k=4))


def test_errors_are_the_definitions() -> None:
    predicted = np.array([1, 2, 3, 4.5], np.float32)
    rating = np.array([1, 3, 3, 4], np.float32)
    errors = Errors.of(predicted, rating, np.array([0, 0, 2, 2]))
    assert errors.mse == pytest.approx((0 + 1 + 0 + 0.25) / 4)
    assert errors.rmse == pytest.approx(math.sqrt(1.25 / 4))
    assert errors.mae == pytest.approx(1.5 / 4)
    assert errors.r2 == pytest.approx(1 - 1.25 / (1.75**2 + 2 * 0.25**2 + 1.25**2))
    assert errors.user_rmse == pytest.approx((math.sqrt(1 / 2) + math.sqrt(0.25 / 2)) / 2)
    assert Errors.of(rating[:1], rating[:1], np.array([0])).r2 is None


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


def test_no_damping_leaves_unseen_rows_without_bias(sparse: Split) -> None:
    fitted = Baseline.fit(sparse.train, 0.0)
    assert not fitted.item_biases[sparse.train.items.counts == 0].any()


def test_all_three_kinds_are_measured(sparse: Split, model: Model) -> None:
    metrics, test = evaluate(model, sparse, RAW), sparse.test
    fitted = Baseline.fit(sparse.train, RAW.damping).predict(test.user, test.item)
    constant = np.full(len(test), sparse.train.mean, np.float32)
    for kind, predicted in (
        (metrics.model, model.predict_rows(test.user, test.item)),
        (metrics.biases, fitted),
        (metrics.mean, constant),
    ):
        expected = Errors.of(predicted, test.rating, test.user)
        assert vars(kind.errors) == pytest.approx(vars(expected), abs=1e-6)


def test_groups_are_complete(sparse: Split, model: Model) -> None:
    metrics = evaluate(model, sparse, RAW)
    groups = metrics.groups
    assert sum(group["ratings"] for group in groups.values()) == len(sparse.test)
    assert groups["unseen_item"]["ratings"] + groups["unseen_user"]["ratings"] > 0
    assert len(sparse.test) - groups["warm"]["ratings"] == sparse.unseen(sparse.test)
    total = sum(g["ratings"] * g["rmse"] ** 2 for g in groups.values() if g["ratings"])
    assert total / len(sparse.test) == pytest.approx(metrics.model.errors.mse)


def test_clipping_is_to_the_scale(sparse: Split, model: Model) -> None:
    wild = model.with_tables({"user_biases": model.user_biases + 100})
    clipped, raw = (evaluate(wild, sparse, replace(RAW, clip=clip)) for clip in (True, False))
    top = np.full(len(sparse.test), wild.scale.max, np.float32)
    expected = Errors.of(top, sparse.test.rating, sparse.test.user)
    assert vars(clipped.model.errors) == pytest.approx(vars(expected))
    assert clipped.model.errors.rmse == pytest.approx(clipped.rmse_clipped)
    assert clipped.rmse_clipped == raw.rmse_clipped
    assert raw.model.errors.rmse == pytest.approx(raw.rmse_raw)
    assert raw.rmse_raw == clipped.rmse_raw > 90


def test_gains_are_shares_of_the_baselines_rmse(sparse: Split, model: Model) -> None:
    metrics = evaluate(model, sparse, Config(resamples=200))
    plain = metrics.as_dict()
    assert plain["rmse"] == metrics.model.errors.rmse
    for name, other in (("mean", metrics.mean), ("biases", metrics.biases)):
        found = plain["baselines"][name]
        assert found["gain"] == 1 - metrics.model.errors.rmse / other.errors.rmse
        draws = 1 - metrics.model.draws["rmse"] / other.draws["rmse"]  # paired: on the same users
        assert found["intervals"]["gain"] == interval(draws)
        assert found["intervals"]["gain"][0] < found["gain"] < found["intervals"]["gain"][1]


def test_threads_and_seeds(sparse: Split, model: Model) -> None:
    one = evaluate(model, sparse, RAW, threads=1, ranking=True).as_dict()
    assert one == evaluate(model, sparse, RAW, threads=3, ranking=True).as_dict()
    other = evaluate(model, sparse, replace(RAW, seed=1), ranking=True).as_dict()
    assert other["rmse"] == one["rmse"]
    assert other["intervals"]["rmse"] != one["intervals"]["rmse"]
    assert other["ranking"]["model"]["intervals"] != one["ranking"]["model"]["intervals"]


def test_no_resamples_are_no_intervals(sparse: Split, model: Model) -> None:
    plain = evaluate(model, sparse, Config(resamples=0)).as_dict()
    assert plain["intervals"]["rmse"] is plain["baselines"]["mean"]["intervals"]["gain"] is None


def test_ids_are_matched_and_not_rows(sparse: Split, model: Model) -> None:
    test = sparse.test
    order = np.random.default_rng(0).permutation(len(test.users))
    users = Vocabulary(test.users.ids.take(pa.array(order)), test.users.counts[order])
    shuffled = replace(test, user=np.argsort(order)[test.user].astype(np.int32), users=users)
    same = evaluate(model, sparse, RAW).model.errors
    assert vars(evaluate(model, sparse, RAW, on=shuffled).model.errors) == pytest.approx(vars(same))


def test_the_file_says_what_was_measured(sparse: Split, model: Model, tmp_path: Path) -> None:
    metrics = evaluate(model, sparse, Config(damping=2.5, resamples=30), ranking=True)
    metrics.write(tmp_path / "metrics.json")
    text = (tmp_path / "metrics.json").read_text()
    written = json.loads(text)
    draws, _ = written.pop("draws"), written.pop("digest")
    assert written == json.loads(json.dumps(metrics.as_dict()))
    assert {len(values) for values in draws.values()} == {30}
    np.testing.assert_allclose(draws["ndcg"], metrics.draws["ndcg"], rtol=1e-6)
    assert text.count("\n") < 700  # a line each for lists of numbers
    protocol = written["protocol"]
    assert protocol["damping"] == 2.5
    assert protocol["ratings"] == len(sparse.test)
    assert protocol["users"] == len(np.unique(sparse.test.user))
    assert protocol["strategy"] == sparse.strategy
    assert protocol["ranking"]["relevant"] == 4
    assert protocol["intervals"]["resamples"] == 30


def test_what_cannot_be_measured(sparse: Split, model: Model) -> None:
    with pytest.raises(DataError, match="other ratings: holds no ratings"):
        evaluate(model, sparse, on=sparse.test.take(np.arange(0)))
    with pytest.raises(ArtifactError, match="the split has no valid ratings"):
        evaluate(model, sparse, on="valid")
    with pytest.raises(UsageError, match="measure it on test or valid"):
        evaluate(model, sparse, on="train", ranking=True)
    with pytest.raises(DataError, match="is at least 99; lower --relevant"):
        evaluate(model, sparse, Config(relevant=99), ranking=True)


def test_one_user_has_no_interval(sparse: Split, model: Model) -> None:
    of_one = sparse.test.take(sparse.test.user == sparse.test.user[0])
    plain = evaluate(model, sparse, RAW, on=of_one).as_dict()
    assert plain["protocol"]["users"] == 1
    assert plain["intervals"]["rmse"] is None


def test_the_mean_over_folds_has_an_interval(sparse: Split, model: Model) -> None:
    folds = [evaluate(model, sparse, replace(RAW, seed=seed)) for seed in range(3)]
    plain = FoldMetrics(folds).as_dict()
    draws = np.mean([fold.draws["mae"] for fold in folds], axis=0)
    assert plain["intervals"]["mae"] == interval(draws)
    assert plain["mean"]["user_rmse"] == pytest.approx(folds[0].model.errors.user_rmse)
    assert "ndcg" not in plain["mean"]


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 200 samples of users from one population, 95% intervals miss its RMSE in about 10."""
    rng, missed = np.random.default_rng(5), 0
    for _ in range(200):
        user = np.repeat(np.arange(150), rng.integers(1, 12, 150))
        spread = rng.gamma(4, 0.25, 150)  # users differ: E[spread^2] = 1.25
        rating = spread[user] * rng.normal(size=len(user))
        ratings = make_ratings(user, user * 0, rating, users=150, items=1)
        parts = Split(ratings, ratings, None, ratings.scale(), {})
        nothing = start(parts, Config(k=1))
        nothing = replace(nothing, mu=0.0, users=ratings.users, items=ratings.items)
        zero = {name: table * 0 for name, table in nothing.tables.items()}
        metrics: Metrics = evaluate(nothing.with_tables(zero), parts, replace(RAW, resamples=200))
        low, high = metrics.as_dict()["intervals"]["rmse"]
        missed += not low < math.sqrt(1.25) < high
    assert 3 <= missed <= 25
