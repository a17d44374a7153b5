"""The fast engine makes the updates of Keras, with the same bits for any number of threads."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.errors import ConfigError
from mfcli.model import TABLES
from mfcli.splits import Split, read_split
from mfcli.training import Fit, fit
from mfcli.training.loop import start
from mfcli.training.sgd.blocks import make_blocks
from mfcli.training.sgd.engine import FastEngine


@pytest.fixture(scope="module")
def real(real_split: Path) -> Split:
    return read_split(real_split)


def part(split: Split, ratings: int) -> Split:
    """Keep some of the training ratings."""
    rows = np.random.default_rng(0).choice(len(split.train), ratings, replace=False)
    train = split.train.take(np.sort(rows))
    users, items = train.users.counting(train.user), train.items.counting(train.item)
    return dataclasses.replace(
        split,
        train=train.over(users, items),
        test=split.test.over(users, items),
        valid=split.valid.over(users, items) if split.valid else None,
    )


def test_the_order_of_rows_in_memory_stays_inside_the_engine() -> None:
    config = Config(k=5)
    split = planted_split(config)
    first = start(split, config)
    one, four = (
        FastEngine(first, make_blocks(split.train, groups, 8), split.test, 1) for groups in (1, 4)
    )
    for name in TABLES:
        assert (four.model().tables[name] == first.tables[name]).all()
    assert four.validate() == one.validate()
    # Checkpoints contain the rows in the order of users and items.
    state, expected = four.state(), one.state()
    assert all((np.asarray(state[name]) == rows.copy()).all() for name, rows in expected.items())
    four.restore({name: rows.copy() + 1 for name, rows in expected.items()})
    state = four.state()
    assert all((state[name].copy() == rows.copy() + 1).all() for name, rows in expected.items())


def assert_same(fast: Fit, keras: Fit) -> None:
    for name in TABLES:
        np.testing.assert_allclose(
            fast.model.tables[name], keras.model.tables[name], atol=1e-5, rtol=0, err_msg=name
        )
    for name in ("loss", "mse", "val_loss", "val_mse"):
        np.testing.assert_allclose(
            fast.history.lists[name], keras.history.lists[name], rtol=1e-5, err_msg=name
        )


WHOLE: list[dict[str, Any]] = [
    {"batch_size": 128},
    {"reg": 1e-5},
    {"reg": 1e-3, "nesterov": True},
    {"k": 64, "blocks": 4, "reg": 1e-4},
    {"reg": 0.05, "reg_scope": "rating"},
]
PART: list[dict[str, Any]] = [
    {"momentum": 0.0},
    {"momentum": 0.0, "reg": 0.01},
    {"momentum": 0.5, "nesterov": True},
    {"momentum": 0.99, "lr": 0.01},
    {"lr_schedule": "exponential", "warmup": 1, "reg": 0.05},
    {"momentum_schedule": "cosine", "momentum_end": 0.5, "reg": 0.01},
    {"lr_schedule": "cosine", "momentum_schedule": "step", "nesterov": True, "reg": 0.02},
    {"lr_schedule": "step", "momentum_schedule": "exponential", "reg": 0.05, "reg_scope": "rating"},
    {"lr_schedule": "cosine", "lr_every": "step", "warmup": 1, "blocks": 3},
    {"lr_schedule": "step", "lr_every": "step", "reg": 0.05, "reg_scope": "rating"},
    {
        "lr_schedule": "exponential",
        "lr_every": "step",
        "momentum_schedule": "cosine",
        "nesterov": True,
    },
    {"average": 0.7, "reg": 0.01},
    {"reg": 0.05},
    {"k": 1},
    {"k": 6, "reg": 1e-3},
    {"k": 7},
    {"k": 14},
    {"k": 15, "nesterov": True},
    {"k": 31, "reg": 1e-3, "lr": 0.03},
    {"k": 100, "lr": 0.03},
    {"k": 512, "lr": 0.02, "batch_size": 1024},
    {"batch_size": 1, "lr": 0.01},
    {"batch_size": 17},
    {"batch_size": 100_000},
    {"blocks": 2},
    {"blocks": 3, "reg": 1e-3},
    {"blocks": 8, "nesterov": True},
    {"blocks": 8, "batch_size": 64, "reg": 1e-4, "nesterov": True},
    {"reg": 0.05, "reg_scope": "rating", "nesterov": True, "blocks": 3},
    {"reg": 0.1, "reg_user_bias": 0.0, "reg_item": 0.3, "reg_scope": "rating"},
    {"reg_item_bias": 0.2, "reg_user": 0.03, "reg_scope": "rating", "momentum": 0.0, "k": 31},
    {"reg": 0.05, "reg_scope": "rating", "k": 64, "lr": 0.03},
]


def name_of(changes: dict[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in changes.items())


@pytest.mark.parametrize("changes", WHOLE, ids=name_of)
def test_fast_is_keras_on_real_ratings(real: Split, changes: dict[str, Any]) -> None:
    config = Config(**({"epochs": 2, "batch_size": 512} | changes))
    fits = [fit(real, dataclasses.replace(config, engine=name)) for name in ("fast", "keras")]
    assert_same(*fits)


@pytest.mark.parametrize("changes", PART, ids=name_of)
def test_fast_is_keras_with_every_setting(real: Split, changes: dict[str, Any]) -> None:
    # Keras takes milliseconds for each step, so small batches have fewer ratings.
    ratings = {1: 300, 17: 3_000}.get(changes.get("batch_size", 0), 12_000)
    config = Config(**({"epochs": 2, "batch_size": 200} | changes))
    some = part(real, ratings)
    fits = [fit(some, dataclasses.replace(config, engine=name)) for name in ("fast", "keras")]
    assert_same(*fits)


@pytest.mark.parametrize("changes", [{}, {"reg": 1e-4}, {"nesterov": True, "reg": 1e-4}])
def test_same_bits_with_any_number_of_threads(real: Split, changes: dict[str, Any]) -> None:
    config = Config(epochs=3, blocks=8, batch_size=32, **changes)
    one, two, sixteen = (fit(real, config, threads=n) for n in (1, 2, 16))
    for other in (two, sixteen):
        for name in ("loss", "mse", "val_loss", "val_mse"):
            assert one.history.lists[name] == other.history.lists[name]
        for name in TABLES:
            assert one.model.tables[name].tobytes() == other.model.tables[name].tobytes()


def test_rows_without_ratings_stay_zero(real: Split) -> None:
    model = fit(real, Config(epochs=2, reg=1e-3, nesterov=True)).model
    for name, table in model.tables.items():
        counts = (model.users if name.startswith("user") else model.items).counts
        assert not table[counts == 0].any()
    assert (model.items.counts == 0).any()


def test_a_planted_model_is_found_in_blocks() -> None:
    config = Config(k=3, epochs=100, lr=0.05, batch_size=16, blocks=4)
    split = planted_split(config, users=200, items=150, share=0.4)
    rmse = np.sqrt(fit(split, config).history.lists["val_mse"])
    assert rmse[-1] < 0.02 * float(split.test.rating.std()) < rmse[0]


def test_nesterov_momentum_without_a_closed_form_is_refused() -> None:
    split = planted_split(Config())
    config = Config(lr=0.5, reg=1.0, nesterov=True, epochs=1)
    with pytest.raises(ConfigError, match=r"slightly, or use engine='keras'"):
        fit(split, config)


def test_both_engines_are_validated_by_rankings() -> None:
    split = planted_split(Config(valid=0.2))
    config = Config(k=4, epochs=2, metric="ndcg", relevant=3.5)
    fast, keras = (
        fit(split, dataclasses.replace(config, engine=engine)) for engine in ("fast", "keras")
    )
    assert_same(fast, keras)
    assert fast.losses["val_ndcg"] == pytest.approx(keras.losses["val_ndcg"])
    assert 0 < fast.losses["val_ndcg"] < 1
