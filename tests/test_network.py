"""The description of the Keras network; tests/test_keras.py compares it with Keras's own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from keras_files import keras_twin, plain
from planted import planted_split

from mfcli.config import Config
from mfcli.model import ROW_PENALTY_LAYER, TABLES, Model, Network
from mfcli.training.loop import start


@pytest.fixture(scope="module")
def model() -> Model:
    config = Config(k=4, reg=0.01, reg_user=0.3)
    return start(planted_split(config), config)


@pytest.fixture
def keras(keras_module: Any) -> Any:
    return keras_module.keras


def test_the_layers_hold_all_parameters(model: Model) -> None:
    layers = model.network().layers
    assert sum(layer.parameters for layer in layers) == sum(t.size for t in model.tables.values())
    more = model.network(raw_ids=True).layers
    assert sum(layer.parameters for layer in more) == sum(
        layer.parameters for layer in layers
    ) + 2 * (model.k + 1)


def test_inputs_come_before_the_layers_that_use_them(model: Model) -> None:
    for raw_ids in (False, True):
        seen: set[str] = set()
        for layer in model.network(raw_ids=raw_ids).layers:
            assert seen.issuperset(layer.inputs)
            seen.add(layer.name)


def test_keras_builds_the_network_from_its_description(model: Model, keras: Any) -> None:
    network = keras.saving.deserialize_keras_object(model.network().keras_config())
    twin = keras_twin(model)
    built, expected = (
        json.loads(json.dumps(keras.saving.serialize_keras_object(one))) for one in (network, twin)
    )
    assert plain(built) == plain(expected)
    for name in TABLES:
        network.get_layer(name).set_weights(twin.get_layer(name).get_weights())
    user, item = np.arange(40, dtype=np.int32)[:, None], np.arange(40, dtype=np.int32)[:, None]
    given = [user, item]
    assert (network.predict(given, verbose=0) == twin.predict(given, verbose=0)).all()


def test_a_penalty_per_rating_takes_another_layer(model: Model, keras: Any) -> None:
    class Penalized(keras.layers.Embedding):  # type: ignore[name-defined,misc]
        def __init__(self, reg: float, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            self.reg = reg

    network = replace(model.network(), regs={}, row_regs={"user_factors": 0.5, "item_biases": 0.0})
    kinds = {layer.name: layer.kind for layer in network.layers}
    assert kinds["user_factors"] == ROW_PENALTY_LAYER
    assert kinds["item_biases"] == kinds["item_factors"] == "Embedding"
    built = keras.saving.deserialize_keras_object(
        network.keras_config(), custom_objects={ROW_PENALTY_LAYER: Penalized}
    )
    layer = built.get_layer("user_factors")
    assert type(layer) is Penalized
    assert layer.reg == 0.5
    assert layer.embeddings.shape == (60, 4)


def test_the_summary_needs_sizes_only() -> None:
    layers = {layer.name: layer for layer in Network(60, 40, 7).layers}
    assert layers["user_factors"].shape == (None, 1, 7)
    assert layers["user_factors"].parameters == 60 * 7
    assert layers["rating"].shape == (None, 1)
