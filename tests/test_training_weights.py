"""Weights of training ratings: a column, decay with age, and what training makes of them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from planted import planted_split
from test_checkpoints import assert_same as assert_same_bits, stopped_after
from test_engines import assert_same, name_of

import mfcli
from mfcli.config import Config, seconds_in
from mfcli.data import Ratings
from mfcli.errors import ConfigError, DataError
from mfcli.model import TABLES
from mfcli.splits import Split
from mfcli.training import Fit, fit
from mfcli.training.loop import start
from mfcli.training.weights import training_weights

DAY = 24 * 3600
COMPILED = ("sgd", "als", "gibbs")
OPTIMIZERS = (*COMPILED, "adam")


def with_weights(split: Split, weight: np.ndarray | None) -> Split:
    column = None if weight is None else weight.astype(np.float32)
    return dataclasses.replace(split, train=dataclasses.replace(split.train, weight=column))


def with_times(split: Split) -> Split:
    """Return a split whose training ratings were made over two years."""
    days = np.random.default_rng(2).integers(0, 730, len(split.train))
    train = dataclasses.replace(split.train, timestamp=1_000_000_000 + days * DAY)
    return dataclasses.replace(split, train=train)


def weighted_split(config: Config, **shape: float) -> Split:
    split = with_times(planted_split(config, **shape))
    return with_weights(split, np.random.default_rng(3).lognormal(0, 1, len(split.train)))


# ---------------------------------------------------------------------------
# The weights


def test_a_rating_counts_half_after_every_half_life() -> None:
    split = with_times(planted_split(Config()))
    train, times = split.train, split.train.timestamp
    assert times is not None
    weights = training_weights(train, Config(half_life="100d"))
    expected = [0.5 ** ((int(times.max()) - int(time)) / DAY / 100) for time in times]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert weights is not None
    assert (weights.dtype, weights.max()) == (np.float32, 1)
    np.testing.assert_array_equal(weights, training_weights(train, Config(half_life="2400h")))


def test_decay_multiplies_the_column_of_weights() -> None:
    split = weighted_split(Config())
    column = split.train.weight
    assert column is not None
    without = with_weights(split, None)
    decay = training_weights(without.train, Config(half_life="1y"))
    assert decay is not None
    found = training_weights(split.train, Config(half_life="1y"))
    np.testing.assert_array_equal(found, column * decay)
    assert training_weights(split.train, Config()) is column
    assert training_weights(without.train, Config()) is None


def test_very_old_ratings_keep_a_weight() -> None:
    split = with_times(planted_split(Config()))
    weights = training_weights(split.train, Config(half_life="1s"))
    assert weights is not None
    assert weights.min() == np.float32(2.0**-64)
    for optimizer in COMPILED:
        losses = fit(split, Config(k=2, epochs=1, optimizer=optimizer, half_life="1s")).losses
        assert np.isfinite([*losses.values()]).all()


def test_durations_have_a_unit() -> None:
    durations = {"90s": 90, "1.5h": 5400, "365d": 365 * DAY, "2w": 14 * DAY, "1y": 365.25 * DAY}
    assert {text: seconds_in(text) for text in durations} == durations


@pytest.mark.parametrize(
    "value", ["365", "", "d", "0d", "-1d", "nand", "infd", "3m", "3 days", 365]
)
def test_other_durations_are_refused(value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(half_life=value)
    rule = "half_life must be a duration above 0 such as 365d (units s, h, d, w and y)"
    assert str(caught.value) == f"{rule}, got {value!r}"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_half_life_needs_timestamps(optimizer: str) -> None:
    with pytest.raises(DataError) as caught:
        fit(planted_split(Config()), Config(optimizer=optimizer, half_life="1y"))
    assert str(caught.value) == (
        "the ratings need timestamps with half_life='1y'; omit half_life, or split again with"
        " columns['timestamp']"
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("extreme", [9e-7, 1.1e6, 1e30, 1e-30])
def test_weights_that_float32_sums_would_lose_are_refused(optimizer: str, extreme: float) -> None:
    split = planted_split(Config())
    weight = np.ones(len(split.train))
    weight[5] = extreme
    with pytest.raises(DataError) as caught:
        fit(with_weights(split, weight), Config(optimizer=optimizer))
    message = str(caught.value)
    assert message.startswith("weights of training ratings must be from 1e-06 to 1e+06, got ")
    assert message.endswith("; divide all weights by their mean, or omit ratings that hardly count")


@pytest.mark.parametrize("optimizer", COMPILED)
def test_weights_of_twelve_orders_of_magnitude_train(optimizer: str) -> None:
    split = planted_split(Config())
    weight = np.geomspace(1e-6, 1e6, len(split.train))
    # With the usual rate, the largest weights make descent diverge, which is an error.
    settings: dict[str, Any] = {"lr": 1e-8} if optimizer == "sgd" else {}
    config = Config(k=2, epochs=2, optimizer=optimizer, **settings)
    losses = fit(with_weights(split, weight), config).losses
    assert np.isfinite([*losses.values()]).all()


def test_the_constant_of_a_model_is_the_weighted_mean() -> None:
    split = weighted_split(Config())
    train, config = split.train, Config(half_life="1y")
    weights = training_weights(train, config)
    mean = np.average(train.rating.astype(np.float64), weights=weights)
    assert start(split, config).mu == pytest.approx(float(mean), rel=1e-7)
    assert start(with_weights(split, None), Config()).mu == train.mean


# ---------------------------------------------------------------------------
# Descent


@pytest.mark.parametrize(
    "changes",
    [
        {"momentum": 0.0, "k": 31, "reg": 0.02, "reg_scope": "rating"},
        {"nesterov": True, "reg": 1e-3, "average": 0.6},
        {
            "lr_schedule": "cosine",
            "lr_every": "step",
            "half_life": "300d",
            "blocks": 3,
            "reg": 0.05,
            "reg_scope": "rating",
        },
    ],
    ids=name_of,
)
def test_fast_is_keras_with_weights(changes: dict[str, Any]) -> None:
    config = Config(**({"epochs": 2, "batch_size": 50} | changes))
    split = weighted_split(config)
    fits = [fit(split, dataclasses.replace(config, engine=name)) for name in ("fast", "keras")]
    assert_same(*fits)
    losses = fits[0].losses
    assert losses["loss"] != pytest.approx(losses["mse"], rel=0.01)  # the mse is not weighted


def test_a_step_is_that_of_keras_with_sample_weight(keras_module: Any) -> None:
    config = Config(k=4, epochs=1, batch_size=10_000, engine="fast")
    split = weighted_split(config)
    train, network = split.train, keras_module.build(start(split, config))
    network.compile(optimizer=keras_module.optimizer(config), loss="mse", metrics=["mse"])
    inputs = train.user[:, None], train.item[:, None]
    one_batch = {"batch_size": len(train), "shuffle": False, "verbose": 0}
    fitted = network.fit(inputs, train.rating, sample_weight=train.weight, **one_batch)
    found = fit(split, config)
    for name in TABLES:
        table = network.get_layer(name).get_weights()[0].reshape(found.model.tables[name].shape)
        np.testing.assert_allclose(found.model.tables[name], table, atol=1e-5, rtol=0)
    for name in ("loss", "mse"):
        assert found.losses[name] == pytest.approx(fitted.history[name][0], rel=1e-5)


def test_adam_uses_weights() -> None:
    config = Config(k=2, epochs=1, optimizer="adam", lr=0.01, batch_size=500)
    split = with_times(planted_split(config))
    heavy = fit(with_weights(split, np.full(len(split.train), 10)), config)
    assert heavy.losses["loss"] == pytest.approx(10 * heavy.losses["mse"], rel=1e-5)
    decayed = fit(split, dataclasses.replace(config, half_life="1y"))
    assert decayed.losses["loss"] < 0.8 * decayed.losses["mse"]


def test_members_of_an_ensemble_have_weights() -> None:
    config = Config(k=2, epochs=1, ensemble=2)
    split = planted_split(config)
    losses = fit(with_weights(split, np.full(len(split.train), 10)), config).losses
    assert losses["loss"] == pytest.approx(10 * losses["mse"], rel=1e-5)


@pytest.mark.parametrize("settings", [{}, {"optimizer": "als"}, {"optimizer": "gibbs"}], ids=str)
def test_a_weighted_training_resumes_with_the_same_bits(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    config = Config(**({"k": 3, "epochs": 4, "half_life": "1y", "batch_size": 32} | settings))
    split = weighted_split(config, users=30, items=20)
    whole = fit(split, config, threads=1)
    stopped = stopped_after(split, config, 2, tmp_path / "checkpoint")
    assert_same_bits(whole, fit(split, config, resume=stopped, threads=2))
    with pytest.raises(mfcli.MfcliError, match="half_life"):
        fit(split, dataclasses.replace(config, half_life="2y"), resume=stopped)


# ---------------------------------------------------------------------------
# A weight of 2 is a row that is given twice


def repeated(ratings: Ratings, times: np.ndarray) -> Ratings:
    rows = ratings.take(np.repeat(np.arange(len(ratings)), times))
    return rows.over(rows.users.counting(rows.user), rows.items.counting(rows.item))


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "als", "reg": 2.0, "reg_scope": "table"},
        {"optimizer": "gibbs", "prior": "shared"},
        {"optimizer": "gibbs", "prior": "shared", "noise": "shared"},
    ],
    ids=name_of,
)
def test_a_weight_of_two_is_a_row_given_twice(settings: dict[str, Any]) -> None:
    config = Config(k=3, epochs=6, **settings)
    split = planted_split(config)
    noise = np.random.default_rng(5).normal(0, 0.3, len(split.train)).astype(np.float32)
    train = dataclasses.replace(split.train, rating=split.train.rating + noise)
    split = dataclasses.replace(split, train=train)
    times = np.random.default_rng(4).integers(1, 4, len(train))
    rows = dataclasses.replace(split, train=repeated(train, times))
    plain, weighted, twice = (
        fit(each, config, threads=1) for each in (split, with_weights(split, times), rows)
    )
    found, expected = (predictions(each, split) for each in (weighted, twice))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert np.abs(predictions(plain, split) - expected).max() > 0.02
    assert weighted.losses["mse"] == pytest.approx(twice.losses["mse"], rel=1e-3)


def predictions(fitted: Fit, split: Split) -> np.ndarray:
    return fitted.model.predict_rows(split.test.user, split.test.item)


# ---------------------------------------------------------------------------
# Commands


def test_commands_take_weights_and_a_half_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    split = weighted_split(Config())
    train = split.train
    columns = {"user": train.user, "item": train.item, "rating": train.rating, "w": train.weight}
    pd.DataFrame(columns | {"timestamp": train.timestamp}).to_csv("data.csv", index=False)
    assert run("split", "data.csv", "--weight-col", "w").code == 0
    trained = run("train", "--k", "2", "--epochs", "2", "--half-life", "200d")
    assert trained.code == 0
    record = json.loads(Path("model/model.json").read_text())
    assert record["settings"]["half_life"] == "200d"
    assert "200d (default no decay)" in run("show", "model").out
    refused = run("train", "--half-life", "200")
    assert refused.code == 2
    assert "--half-life must be a duration above 0 such as 365d (units s, h, d" in refused.err
    pd.DataFrame(columns).to_csv("data.csv", index=False)
    run("split", "data.csv")
    refused = run("train", "--half-life", "200d")
    assert (refused.code, refused.err) == (
        1,
        "error: the ratings need timestamps with --half-life 200d; omit --half-life, or split again"
        " with --time-col\n",
    )


def test_folds_keep_weights_and_times() -> None:
    split, config = weighted_split(Config()), Config(k=2, epochs=1, optimizer="als")
    plain = dataclasses.replace(split.train, weight=None)
    decayed = dataclasses.replace(config, half_life="90d")
    rmse = [
        mfcli.cross_validate(ratings, chosen, measures=["rmse"], folds=2).measures["rmse"]
        for ratings, chosen in ((plain, config), (split.train, config), (plain, decayed))
    ]
    assert len(set(rmse)) == 3
