"""Alternating least squares: rows solve their normal equations, and the objective never grows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import make_ratings, planted_split
from row_records import records_by_row
from test_checkpoints import assert_same, stopped_after

from mfcli.aligned import aligned, as_aligned, lanes_of
from mfcli.config import Config
from mfcli.data import Scale
from mfcli.errors import ConfigError, DataError
from mfcli.model import Model, pair_targets, pair_weights, row_penalties
from mfcli.splits import Split, assembled
from mfcli.training import Diverged, fit
from mfcli.training.als.row_solutions import solve_rows
from mfcli.training.loop import start
from mfcli.training.normal_equations import products, ratings_by_row
from mfcli.training.normal_equations.rated_pairs import RatedPairs
from mfcli.training.normal_equations.ratings_by_row import sort_ratings
from mfcli.training.normal_equations.side_rows import SideRows

ALS = Config(k=3, epochs=4, optimizer="als", reg=0.02)
SCORES = replace(ALS, target="rated", unrated_weight=0.1, unrated_rating=0.2)


@pytest.mark.parametrize(
    ("k", "weighted", "biased"),
    [(1, True, True), (15, False, True), (16, True, False), (33, False, False)],
)
def test_rows_solve_their_normal_equations(k: int, weighted: bool, biased: bool) -> None:
    rng = np.random.default_rng(k)
    n, m, d = 5, 300, k + biased
    width = lanes_of(d)
    pairs = rng.random((n, m)) < np.array([[0.6], [1], *[[0.02]] * 3])
    pairs[3] = False  # a user without ratings
    user, item = (a.astype(np.int32) for a in np.nonzero(pairs))
    target = rng.normal(3, 1, len(user)).astype(np.float32)
    weights = (rng.uniform(0.2, 3, len(user)) if weighted else np.ones(len(user))).astype("f4")
    theirs, biases, mu = rng.normal(size=(m, d)), rng.normal(size=m) * biased, 2.9
    z = theirs.copy()
    if biased:
        z[:, 0] = 1
    some = rng.normal(size=(d, d))
    extra, more = some @ some.T, rng.normal(size=d)  # of unrated pairs
    penalties = rng.uniform(0.1, 2, (n, 2))
    pad = ((0, 0), (0, width - d))
    unrated = np.pad(np.vstack([extra, np.zeros((width - d, d)), more]), pad)
    given = np.pad(z, pad), mu + biases, unrated, penalties
    records = records_by_row(user, item, target, n, weights if weighted else None)
    rows, sums = aligned((n, width)), np.zeros((n, 2))
    solve = solve_rows(width, weighted=weighted, biased=biased)
    for first, last in ((0, 2), (2, n)):  # any division of the rows gives the same
        solve(first, last, records, *map(as_aligned, given), rows, sums)
    assert not rows[3].any()
    assert not rows[:, d:].any()
    for u in {*range(n)} - {3}:
        own, c = z[item[user == u]], weights[user == u]
        t = target[user == u] - mu - biases[item[user == u]]
        penalty = np.diag([penalties[u, 0], *[penalties[u, 1]] * (d - 1)])
        x = np.linalg.solve(penalty + extra + own.T @ (c[:, None] * own), more + own.T @ (c * t))
        np.testing.assert_allclose(rows[u, :d], x, rtol=1e-3, atol=1e-4)
        squares = (c * (t - own @ x) ** 2).sum()
        least = squares + x @ extra @ x - 2 * x @ more + x @ penalty @ x
        assert sums[u] == pytest.approx([squares, least], rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("biased", [True, False])
def test_unrated_pairs_add_the_same_sums_to_every_row(biased: bool) -> None:
    rng = np.random.default_rng(0)
    rows, roots = rng.normal(size=(30, 4)).astype(np.float32), rng.uniform(0.5, 2, 30)
    user, item = np.array([0, 1, 1]), np.array([0, 2, 29])
    ratings = make_ratings(user, item, np.ones(3), users=2, items=30)
    by_item = sort_ratings(RatedPairs(ratings), 4, 1).items
    side = SideRows(by_item, rows, rows[:, 0] if biased else None)
    found = side.unrated(side.packed(roots, 0.5), 0.3, 2.0)
    z = np.pad(rows, ((0, 0), (1, 0)), constant_values=1) if biased else rows
    c, d = roots**2 * np.isin(np.arange(30), item), z.shape[1]
    residuals = 2.0 - 0.5 - (rows[:, 0] if biased else 0)
    np.testing.assert_allclose(found[:d, :d], 0.3 * z.T @ (c[:, None] * z), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[-1, :d], 0.3 * z.T @ (c * residuals), rtol=1e-5, atol=1e-6)


def twin(split: Split, config: Config) -> dict[str, np.ndarray]:
    """Return the tables after training, computed with all pairs in float64."""
    model, train = start(split, config), split.train
    weights = pair_weights(train, split.scale, config)
    shape = len(train.users), len(train.items)
    target, weight = np.full(shape, config.unrated_rating), np.full(shape, config.unrated_weight)
    rated_users, rated_items = train.users.counts > 0, train.items.counts > 0
    weight[~rated_users] = weight[:, ~rated_items] = 0
    # A rated pair counts twice: as every pair does, and with its own target and weight.
    own = pair_targets(train.rating, config), 1.0 if weights is None else weights
    pair = train.user, train.item
    sums = weight[pair] * target[pair] + own[1] * own[0]
    weight[pair] += own[1]
    target[pair] = sums / weight[pair]
    counts = {"user": train.users.counts, "item": train.items.counts}
    others = {"user": rated_items.sum(), "item": rated_users.sum()}
    tables = {name: table.astype(np.float64) for name, table in model.tables.items()}
    if not config.biases:
        tables |= {"user_biases": np.zeros(shape[0]), "item_biases": np.zeros(shape[1])}
    for _ in range(config.epochs):
        for side, other, c, t in (
            ("item", "user", weight.T, target.T),
            ("user", "item", weight, target),
        ):
            z, bias = tables[f"{other}_factors"], tables[f"{other}_biases"]
            if config.biases:
                z = np.column_stack([np.ones(len(z)), z])
            penalties = row_penalties(counts[side], int(others[side]), config, side)
            for row in np.flatnonzero(counts[side]):
                d = np.full(z.shape[1], penalties[row, 1])
                if config.biases:
                    d[0] = penalties[row, 0]
                p = np.diag(d) + z.T @ (c[row][:, None] * z)
                x = np.linalg.solve(p, z.T @ (c[row] * (t[row] - model.mu - bias)))
                tables[f"{side}_factors"][row] = x[config.biases :]
                if config.biases:
                    tables[f"{side}_biases"][row] = x[0]
    return tables


def products_of(tables: dict[str, np.ndarray]) -> np.ndarray:
    biases = tables["user_biases"][:, None] + tables["item_biases"]
    return biases + tables["user_factors"] @ tables["item_factors"].T


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"reg_scope": "table", "reg": 0.5, "reg_item_bias": 2.0},
        {"unrated_weight": 0.05, "unrated_rating": 1.0, "rating_weight": "squared"},
        {"target": "rated", "unrated_weight": 0.1, "biases": False, "rating_weight": "linear"},
        {
            "target": "rated",
            "unrated_weight": 0.1,
            "rating_weight": "log",
            "alpha": 2.0,
            "reg_exponent": 0.7,
        },
    ],
    ids=str,
)
def test_training_is_that_of_its_twin(settings: dict[str, Any]) -> None:
    config = replace(ALS, **settings)
    split = planted_split(config, users=20, items=30)
    keep = (split.train.user != 0) & (split.train.item != 0)  # rows without ratings
    split = assembled({"train": split.train.take(keep), "test": split.test}, split.scale, {})
    model, expected = fit(split, config).model, twin(split, config)
    assert model.mu == (config.unrated_rating if config.unrated_weight else split.train.mean)
    np.testing.assert_allclose(products_of(model.tables), products_of(expected), atol=2e-3)
    assert not model.user_factors[0].any()


@pytest.mark.parametrize("config", [ALS, SCORES, replace(SCORES, biases=False)], ids=repr)
def test_the_objective_never_grows(config: Config) -> None:
    losses = fit(planted_split(config), replace(config, epochs=8)).history.lists["loss"]
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(losses))
    assert losses[-1] < 0.99 * losses[0]


def test_the_loss_is_the_objective() -> None:
    config = replace(SCORES, rating_weight="linear")
    split = planted_split(config)
    fitted = fit(split, config)
    model, train = fitted.model, split.train
    predicted = model.mu + products_of(model.tables)
    weights = pair_weights(train, split.scale, config)
    assert weights is not None
    errors = weights * (1 - predicted[train.user, train.item]) ** 2
    unrated = config.unrated_weight * (config.unrated_rating - predicted) ** 2
    penalty = 0.0
    for side, other in (("user", train.items), ("item", train.users)):
        counts = (train.users if side == "user" else train.items).counts
        regs = row_penalties(counts, len(other), config, side)
        penalty += (regs[:, 0] * model.tables[f"{side}_biases"] ** 2).sum()
        penalty += (regs[:, 1:] * model.tables[f"{side}_factors"] ** 2).sum()
    total = weights.sum()
    lists = fitted.history.lists
    assert lists["mse"][-1] == pytest.approx(errors.sum() / total, rel=1e-4)
    expected = (errors.sum() + unrated.sum() + penalty) / total
    assert lists["loss"][-1] == pytest.approx(expected, rel=1e-4)
    assert lists["val_loss"][-1] - lists["val_mse"][-1] == pytest.approx(
        lists["loss"][-1] - lists["mse"][-1]
    )


@pytest.mark.parametrize("ensemble", [1, 2])
@pytest.mark.parametrize("optimizer", ["als", "gibbs"])
def test_held_out_pairs_have_the_targets_of_training(optimizer: str, ensemble: int) -> None:
    config = replace(SCORES, optimizer=optimizer, ensemble=ensemble)
    split = planted_split(config)
    fitted, test = fit(split, config), split.test
    errors = fitted.model.predict_rows(test.user, test.item) - 1
    assert fitted.losses["val_mse"] == pytest.approx((errors**2).mean(), rel=1e-4)


@pytest.mark.parametrize(
    "settings", [{}, {"ensemble": 2}, {"biases": False, "rating_weight": "squared"}], ids=str
)
def test_a_resumed_training_and_any_threads_give_the_same_bits(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ratings_by_row, "_TASK", 64)  # several tasks for few ratings
    monkeypatch.setattr(products, "_ROWS", 16)
    config = replace(SCORES, **settings)
    split = planted_split(config)
    whole = fit(split, config, threads=1)
    assert_same(whole, fit(split, config, threads=3))
    checkpoint = stopped_after(split, config, 2, tmp_path / "run")
    assert_same(whole, fit(split, config, resume=checkpoint, threads=2))


def test_gibbs_sampling_knows_unrated_pairs() -> None:
    """Items that few users rated get scores near that of unrated pairs."""
    split = planted_split(Config(), share=0.2)
    config = Config(k=3, epochs=30, optimizer="gibbs", unrated_weight=0.1, noise="shared")
    model = fit(split, config).model
    scores = (model.mu + products_of(model.tables)).mean(axis=0)
    assert model.predicts == "scores"
    # The weighted mean over the pairs of each item; unrated pairs count 0.
    sums = np.bincount(split.train.item, split.train.rating, minlength=len(scores))
    means = sums / (split.train.items.counts + 0.1 * len(split.train.users))
    assert np.corrcoef(means, scores)[0, 1] > 0.9
    assert scores.mean() == pytest.approx(means.mean(), abs=0.2)


def test_weights_by_rating_grow_with_it() -> None:
    rating = np.array([0.5, 2.5, 5.0], np.float32)
    ratings = make_ratings(np.arange(3), np.arange(3), rating, users=3, items=3)
    scale = Scale(0.5, 5.0, 0.5)
    expected = {
        "linear": [0.1, 0.5, 1],
        "squared": [0.01, 0.25, 1],
        "confidence": [2, 6, 11],
        "log": 1 + 2 * np.log1p(rating),
    }
    for kind, weights in expected.items():
        config = replace(SCORES, rating_weight=kind, alpha=2.0)
        np.testing.assert_allclose(pair_weights(ratings, scale, config), weights, rtol=1e-5)
    assert pair_weights(ratings, scale, SCORES) is None
    given = replace(ratings, weight=np.array([1, 2, 3], np.float32))
    np.testing.assert_allclose(pair_weights(given, scale, SCORES), [1, 2, 3])
    config = replace(SCORES, rating_weight="linear")
    np.testing.assert_allclose(pair_weights(given, scale, config), [0.1, 1, 3], rtol=1e-5)


def test_weights_stay_above_zero() -> None:
    """Also for ratings of new users below the scale, and for ratings that float32 rounds."""
    config = replace(SCORES, rating_weight="linear")
    below = make_ratings(np.arange(2), np.arange(2), np.array([-7, 5]), users=2, items=2)
    np.testing.assert_allclose(pair_weights(below, Scale(1, 5, 1), config), [0.2, 1])
    large = replace(below, rating=np.array([2e7, 2e7 + 10], np.float32))
    weights = pair_weights(large, Scale(2e7, 2e7 + 10, None), config)
    np.testing.assert_allclose(weights, [1 / 11, 1])


@pytest.mark.parametrize("kind", ["confidence", "log"])
@pytest.mark.parametrize("optimizer", ["als", "gibbs"])
def test_invalid_weights_are_refused(optimizer: str, kind: str) -> None:
    config = replace(SCORES, optimizer=optimizer, rating_weight=kind, alpha=10.0)
    split = planted_split(config)
    negative = replace(split, train=replace(split.train, rating=split.train.rating - 6))
    with pytest.raises(DataError, match=r"^ratings must not be negative with .*, got -.*linear'"):
        fit(negative, config)
    weight = np.full_like(split.train.rating, 3e38)
    heavy = replace(split, train=replace(split.train, weight=weight))
    with pytest.raises(DataError, match=r"^weights of training ratings .*, got 3e\+38; div"):
        fit(heavy, config)
    with pytest.raises(DataError, match=r"^rating .*: weights of rated pairs must be above 0 and"):
        pair_weights(heavy.train, split.scale, config)


@pytest.mark.parametrize("optimizer", ["als", "gibbs"])
def test_a_column_of_weights_counts_ratings_several_times(optimizer: str) -> None:
    """With large weights, the ratings of some items are fitted more closely."""
    config = replace(ALS, optimizer=optimizer, epochs=12)
    split = planted_split(config)
    heavy = split.train.item % 2 == 0
    weight = np.where(heavy, 100, 0.01).astype(np.float32)
    weighted = replace(split, train=replace(split.train, weight=weight))
    errors = []
    for parts in (split, weighted):
        train = parts.train
        error = fit(parts, config).model.predict_rows(train.user, train.item) - train.rating
        errors.append([np.sqrt(np.mean(error[some] ** 2)) for some in (heavy, ~heavy)])
    # The error of light ratings, relative to that of heavy ones
    assert errors[1][1] / errors[1][0] > 1.3 * errors[0][1] / errors[0][0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"optimizer": "als", "reg": 0.0},
            "reg must be above 0 with optimizer='als', got 0.0; try",
        ),
        (
            {"optimizer": "als", "reg_user": 0.0},
            "reg_user must be above 0 with optimizer='als', got 0.0; try reg_user=0.1",
        ),
        ({"optimizer": "als", "target": "rated"}, "unrated_weight must be above 0 with target="),
        ({"unrated_weight": 0.1}, "unrated_weight is not used with optimizer='sgd'; omit it"),
        ({"optimizer": "als", "unrated_rating": 1.0}, "unrated_rating is not used with unrated_w"),
        ({"optimizer": "gibbs", "biases": False}, "biases is not used with optimizer='gibbs'"),
        ({"optimizer": "als", "engine": "keras"}, "engine must be fast or auto with optimizer="),
    ],
)
def test_contradictions_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**settings)
    assert str(caught.value).startswith(message)


def test_penalties_that_vanish_stop_training() -> None:
    config = replace(ALS, reg=1e-300)  # 0 in float32
    with pytest.raises(Diverged, match=r"^training diverged at epoch 1 \(als\).*larger reg"):
        fit(planted_split(config), config)


def test_models_say_what_they_predict(tmp_path: Path) -> None:
    split = planted_split(Config())
    for config, predicts in ((ALS, "ratings"), (SCORES, "scores")):
        fit(split, replace(config, epochs=1)).write(tmp_path / predicts)
        assert Model.load(tmp_path / predicts).predicts == predicts
        assert f'"predicts": "{predicts}"' in (tmp_path / predicts / "model/model.json").read_text()
