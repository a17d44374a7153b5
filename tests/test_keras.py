"""The Keras engine, which is the reference, and the files that Keras must open."""

from __future__ import annotations

import dataclasses
import functools
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_files import keras_twin, layout, plain
from planted import planted_split

from mfcli.config import Config
from mfcli.model import Model, Network
from mfcli.splits import Split, read_split
from mfcli.training import Plan, fit, make_plan
from mfcli.training.factory import make_engine
from mfcli.training.loop import start
from mfcli.training.sgd.blocks import make_blocks

LOAD_WITHOUT_MFCLI = """
import sys
sys.modules["mfcli"] = None  # importing it would fail
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1])
pairs = np.load(sys.argv[2])
ratings = model.predict([pairs["user"], pairs["item"]], verbose=0)
np.save(sys.argv[3], ratings)
"""


def test_a_process_without_mfcli_predicts_the_same(tmp_path: Path) -> None:
    config = Config(k=5, reg=1e-3)
    model = start(planted_split(config), config)
    model.save(tmp_path / "model")
    rng = np.random.default_rng(0)
    user = rng.integers(0, len(model.users), 500).astype(np.int32)
    item = rng.integers(0, len(model.items), 500).astype(np.int32)
    np.savez(tmp_path / "pairs.npz", user=user, item=item)
    paths = [tmp_path / name for name in ("model/model.keras", "pairs.npz", "ratings.npy")]
    subprocess.run([sys.executable, "-c", LOAD_WITHOUT_MFCLI, *map(str, paths)], check=True)
    ratings = np.load(paths[2])
    assert ratings.shape == (500, 1)
    np.testing.assert_allclose(ratings[:, 0], model.predict_rows(user, item), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("k", "reg"), [(1, 0.0), (10, 0.02)])
def test_the_file_is_the_one_keras_writes(
    tmp_path: Path, keras_module: Any, k: int, reg: float
) -> None:
    config = Config(k=k, reg=reg)
    model = start(planted_split(config), config)
    model.save(tmp_path / "model")
    keras_twin(model).save(tmp_path / "keras.keras")
    configs = []
    for path in (tmp_path / "model" / "model.keras", tmp_path / "keras.keras"):
        with zipfile.ZipFile(path) as archive:
            configs.append(json.loads(archive.read("config.json")))
            assert set(archive.namelist()) == {"metadata.json", "config.json", "model.weights.h5"}
            assert set(json.loads(archive.read("metadata.json"))) == {
                "keras_version",
                "date_saved",
            }
    assert plain(configs[0]) == plain(configs[1])
    assert layout(tmp_path / "model" / "model.keras") == layout(tmp_path / "keras.keras")


def test_the_summary_is_that_of_keras(keras_module: Any) -> None:
    config = Config(k=7)
    model = start(planted_split(config), config)
    network = keras_twin(model)
    found = [
        (layer.name, type(layer).__name__, layer.output.shape, layer.count_params())
        for layer in network.layers
    ]
    layers = Network(len(model.users), len(model.items), 7).layers
    assert found == [(layer.name, layer.kind, layer.shape, layer.parameters) for layer in layers]


def test_validation_is_keras_evaluate(keras_module: Any) -> None:
    config = Config(k=6, reg=0.01)
    split = planted_split(config)
    model = start(split, config)
    network = keras_module.build(model)
    network.compile(loss="mse", metrics=["mse"])
    test = split.test
    expected = network.evaluate([test.user, test.item], test.rating, verbose=0)
    for name in ("fast", "keras"):
        plan = Plan(name, 1, "")
        engine = make_engine(plan, [model], split.train, test, 1)
        np.testing.assert_allclose(engine.validate(), expected, rtol=1e-5)


def dense_twin(
    model: Model, split: Split, config: Config
) -> tuple[dict[str, np.ndarray], list[float], list[float]]:
    """Train with dense NumPy updates in double precision."""
    tables = {name: table.astype(np.float64) for name, table in model.tables.items()}
    speed = {name: np.zeros_like(table) for name, table in tables.items()}
    losses, errors = [], []
    blocks = make_blocks(split.train, config.blocks, config.batch_size)
    for epoch in range(1, config.epochs + 1):
        loss = mse = 0.0
        for batch in blocks.serial(config.seed, epoch):
            u, i, r = batch["user"], batch["item"], batch["rating"]
            p, q = tables["user_factors"][u], tables["item_factors"][i]
            e = model.mu + tables["user_biases"][u] + tables["item_biases"][i]
            e = e + (p * q).sum(1) - r
            regs, own = config.table_regs, config.rating_regs
            penalty = sum(regs[name] * (table**2).sum() for name, table in tables.items())
            rows = {name: u if name.startswith("user") else i for name in tables}
            for name, table in tables.items():
                penalty += own[name] * (table[rows[name]] ** 2).sum() / len(batch)
            loss += len(batch) * (np.mean(e**2) + penalty)
            mse += float((e**2).sum())
            gradients = {name: 2 * regs[name] * table for name, table in tables.items()}
            for name, table in tables.items():
                touched = 2 / len(batch) * own[name] * table[rows[name]]
                np.add.at(gradients[name], rows[name], touched)
            scaled = 2 / len(batch) * e
            np.add.at(gradients["user_factors"], u, scaled[:, None] * q)
            np.add.at(gradients["item_factors"], i, scaled[:, None] * p)
            np.add.at(gradients["user_biases"], u, scaled)
            np.add.at(gradients["item_biases"], i, scaled)
            for name, gradient in gradients.items():
                speed[name] = config.momentum * speed[name] - config.lr * gradient
                ahead = config.momentum * speed[name] - config.lr * gradient
                tables[name] = tables[name] + (ahead if config.nesterov else speed[name])
        losses.append(loss / len(split.train))
        errors.append(mse / len(split.train))
    return tables, losses, errors


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"reg": 0.01},
        {"momentum": 0.0},
        {"nesterov": True, "reg": 0.001},
        {"batch_size": 17},
        {"reg": 0.1, "reg_user": 0.02, "reg_item_bias": 0.3, "reg_scope": "rating"},
    ],
)
@pytest.mark.parametrize("engine", ["keras", "fast"])
@pytest.mark.parametrize("blocks", [1, 3])
def test_engines_make_the_updates_of_sgd_with_momentum(
    keras_module: Any, engine: str, blocks: int, changes: dict[str, Any]
) -> None:
    config = Config(k=3, epochs=2, lr=0.02, engine=engine, blocks=blocks, **changes)
    split = planted_split(config)
    fitted = fit(split, config)
    tables, losses, errors = dense_twin(start(split, config), split, config)
    for name, table in fitted.model.tables.items():
        np.testing.assert_allclose(table, tables[name], atol=1e-5)
    np.testing.assert_allclose(fitted.history.lists["loss"], losses, rtol=1e-5)
    np.testing.assert_allclose(fitted.history.lists["mse"], errors, rtol=1e-5)


def test_a_planted_model_is_found(keras_module: Any) -> None:
    config = Config(k=3, epochs=16, lr=0.1, batch_size=8, engine="keras")
    split = planted_split(config, users=30, items=20, share=0.9)
    fitted = fit(split, config)
    rmse = np.sqrt(fitted.history.lists["val_mse"])
    spread = float(split.test.rating.std())
    assert rmse[-1] < 0.05 * spread
    assert rmse[0] > 0.5 * spread


def test_real_ratings_are_learned_and_reproduced(real_split: Path, keras_module: Any) -> None:
    split = read_split(real_split)
    config = Config(epochs=2, batch_size=512, engine="keras")
    runs = [fit(split, config) for _ in range(2)]
    first, second = (run.history.lists for run in runs)
    for name in ("loss", "mse", "val_loss", "val_mse"):
        assert first[name] == second[name]
    for name, table in runs[0].model.tables.items():
        assert table.tobytes() == runs[1].model.tables[name].tobytes()
    assert first["mse"][1] < first["mse"][0] < 1.1
    assert first["val_mse"][1] < 0.92


@pytest.mark.parametrize(
    "changes",
    [
        {"k": 4},
        {"reg": 0.01},
        {"reg_user": 0.01},
        {"reg_item": 0.01},
        {"reg_user_bias": 0.01},
        {"reg_item_bias": 0.01},
        {"reg": 0.01, "reg_scope": "rating"},
        {"lr": 0.01},
        {"momentum": 0.5},
        {"batch_size": 32},
        {"nesterov": True},
        {"optimizer": "adam", "lr": 0.01},
        {"optimizer": "adam", "lr": 0.01, "momentum": 0.5},
        {"seed": 1},
        {"epochs": 3},
        {"blocks": 2},
    ],
)
@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_each_setting_changes_the_result(
    keras_module: Any, engine: str, changes: dict[str, Any]
) -> None:
    base: dict[str, Any] = {"k": 3, "epochs": 2, "engine": engine}
    if changes == {"optimizer": "adam", "lr": 0.01, "momentum": 0.5}:
        base |= {"optimizer": "adam", "lr": 0.01}
    assert abs(last_error(Config(**base)) - last_error(Config(**(base | changes)))) > 1e-6


def last_error(config: Config) -> float:
    split = planted_split(Config())
    return trained_error(dataclasses.replace(config, engine=make_plan(split.train, config).engine))


@functools.cache  # settings are compared with the same training; auto is often Keras, too
def trained_error(config: Config) -> float:
    return fit(planted_split(Config()), config).history.lists["val_mse"][-1]
