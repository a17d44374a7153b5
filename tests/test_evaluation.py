"""Errors and baselines, against obvious twins and scikit-learn's definitions."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.errors import DataError
from mfcli.evaluation import Baseline, Errors, evaluate
from mfcli.model import Model
from mfcli.ratings import Ratings
from mfcli.split import Split
from mfcli.training import start


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
    errors = Errors.of(predicted, rating)
    assert errors.mse == pytest.approx((0 + 1 + 0 + 0.25) / 4)
    assert errors.rmse == pytest.approx(math.sqrt(1.25 / 4))
    assert errors.mae == pytest.approx(1.5 / 4)
    assert errors.r2 == pytest.approx(1 - 1.25 / (1.75**2 + 2 * 0.25**2 + 1.25**2))
    assert Errors.of(rating[:1], rating[:1]).r2 is None


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
    expected = mu + user_biases[u] + item_biases[i]
    assert fitted.predict(sparse.test)[0] == pytest.approx(expected, abs=1e-5)


def test_no_damping_leaves_unseen_rows_without_bias(sparse: Split) -> None:
    fitted = Baseline.fit(sparse.train, 0.0)
    assert not fitted.item_biases[sparse.train.items.counts == 0].any()


def test_groups_are_complete(sparse: Split, model: Model) -> None:
    metrics = evaluate(model, sparse.test, sparse.train, clip=False, damping=5, on="test")
    groups = metrics.groups
    assert sum(group["ratings"] for group in groups.values()) == len(sparse.test)
    assert groups["unseen_item"]["ratings"] + groups["unseen_user"]["ratings"] > 0
    assert len(sparse.test) - groups["warm"]["ratings"] == sparse.unseen(sparse.test)
    total = sum(g["ratings"] * g["rmse"] ** 2 for g in groups.values() if g["ratings"])
    assert total / len(sparse.test) == pytest.approx(metrics.model.mse)


def test_clipping_is_to_the_scale(sparse: Split, model: Model) -> None:
    wild = model.with_tables({"user_biases": model.user_biases + 100})
    clipped = evaluate(wild, sparse.test, sparse.train, clip=True, damping=5, on="test")
    raw = evaluate(wild, sparse.test, sparse.train, clip=False, damping=5, on="test")
    top = np.full(len(sparse.test), wild.scale.max, np.float32)
    assert clipped.model == Errors.of(top, sparse.test.rating)
    assert clipped.model.rmse == clipped.rmse_clipped == raw.rmse_clipped
    assert raw.model.rmse == raw.rmse_raw == clipped.rmse_raw > 90


def test_gains_are_shares_of_the_baselines_rmse(sparse: Split, model: Model) -> None:
    metrics = evaluate(model, sparse.test, sparse.train, clip=True, damping=5, on="test")
    plain = metrics.as_dict()
    assert plain["rmse"] == metrics.model.rmse
    for name, errors in (("mean", metrics.mean), ("biases", metrics.biases)):
        assert plain["baselines"][name]["gain"] == 1 - metrics.model.rmse / errors.rmse


def test_the_file_says_what_was_measured(sparse: Split, model: Model, tmp_path: Path) -> None:
    metrics = evaluate(model, sparse.test, sparse.train, clip=True, damping=2.5, on="test")
    metrics.write(tmp_path / "metrics.json")
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written == json.loads(json.dumps(metrics.as_dict()))
    assert written["format"] == 1
    assert written["protocol"]["damping"] == 2.5
    assert written["protocol"]["ratings"] == len(sparse.test)


def test_no_ratings_are_an_error(sparse: Split, model: Model) -> None:
    none: Ratings = sparse.test.take(np.arange(0))
    with pytest.raises(DataError, match="holds no ratings"):
        evaluate(model, none, sparse.train, clip=True, damping=5, on="x.csv")
