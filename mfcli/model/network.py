"""The Keras network of the factorization, described once.

The description serves to write `model.keras`, to print a summary and to build the network in Keras:

    config = Network(users=943, items=1682, k=10, mu=3.5).keras_config()
    model = keras.saving.deserialize_keras_object(config)

TensorFlow and Keras are not imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from mfcli.model.factorization import TABLES

ROW_PENALTY_LAYER = "PenalizedEmbedding"
"""Class name of an Embedding layer with a penalty per rating; see `Network.row_regs`."""


class Layer(NamedTuple):
    """A layer of the network.

    Attributes
    ----------
    name : str
    kind : str
        Its class in `keras.layers`, or `ROW_PENALTY_LAYER`.
    shape : tuple
        Of its output; the first entry is None, for the batch.
    parameters : int
        Number of weights.
    inputs : tuple of str
        Names of the layers whose outputs it takes.
    settings : mapping
        What its `get_config` returns beside `name`, `trainable` and `dtype`.
    dtype : str
        Of its output.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    parameters: int = 0
    inputs: tuple[str, ...] = ()
    settings: Mapping[str, Any] = {}
    dtype: str = "float32"


@dataclass(frozen=True)
class Network:
    """A network that takes rows, or ids, of users and items and returns ratings.

    All inputs and outputs have the shape (n, 1).

    Attributes
    ----------
    users, items : int
        Rows of the tables.
    k : int
    mu : float
        Added by the last layer.
    regs : mapping of float
        Penalty of each table's L2 regularizer, by its name in `TABLES`; 0 where it is missing.
    row_regs : mapping of float
        L2 penalty on the rows that a batch uses, averaged over its ratings. Keras has no such
        layer, so tables with a penalty above 0 become layers of the class `ROW_PENALTY_LAYER`, with
        the setting `reg`; pass it to `deserialize_keras_object` in `custom_objects`.
    ids : mapping of Arrow arrays of int64 or string
        If it has entries "user" and "item", the network takes raw ids. Row 0 of each table is then
        for unknown ids, and the tables have one row more than `users` and `items`.
    """

    users: int
    items: int
    k: int
    mu: float = 0.0
    regs: Mapping[str, float] = field(default_factory=dict)
    row_regs: Mapping[str, float] = field(default_factory=dict)
    ids: Mapping[str, pa.Array] = field(default_factory=dict)

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Shapes of the weights of the four Embedding layers, by the names in `TABLES`."""
        # Keras looks unknown ids up as 0, so row 0 is theirs.
        unknown = 1 if self.ids else 0
        rows = {"user": self.users + unknown, "item": self.items + unknown}
        return {
            name: (rows[_side(name)], self.k if name.endswith("factors") else 1) for name in TABLES
        }

    @property
    def layers(self) -> list[Layer]:
        """The layers in the order in which Keras lists them."""
        rating = {"scale": 1.0, "offset": self.mu}
        return [
            self._input("user"),
            self._input("item"),
            *(_lookup(side, ids) for side, ids in self.ids.items()),
            self._embedding("user_factors"),
            self._embedding("item_factors"),
            Layer(
                "dot",
                "Dot",
                (None, 1, 1),
                inputs=("user_factors", "item_factors"),
                settings={"axes": 2, "normalize": False},
            ),
            self._embedding("user_biases"),
            self._embedding("item_biases"),
            Layer("add", "Add", (None, 1, 1), inputs=("dot", "user_biases", "item_biases")),
            Layer(
                "flatten",
                "Flatten",
                (None, 1),
                inputs=("add",),
                settings={"data_format": "channels_last"},
            ),
            Layer("rating", "Rescaling", (None, 1), inputs=("flatten",), settings=rating),
        ]

    def keras_config(self) -> dict[str, Any]:
        """Describe the network as `keras.saving.serialize_keras_object` does.

        Keys that only some versions of Keras 3 know are left out, so all of them accept it.
        """
        layers = {layer.name: layer for layer in self.layers}  # made once: ids can be many
        return {
            "module": "keras.src.models.functional",
            "class_name": "Functional",
            "config": {
                "name": "mfcli",
                "trainable": True,
                "layers": [_layer_config(layer, layers) for layer in layers.values()],
                # A tensor of Keras is (layer, call of the layer, output of the call); all are the
                # first.
                "input_layers": [["user", 0, 0], ["item", 0, 0]],
                "output_layers": ["rating", 0, 0],
            },
            "registered_name": "Functional",
            "build_config": {"input_shape": None},
            "compile_config": {},
        }

    def _input(self, side: str) -> Layer:
        dtype = str(self.ids[side].type) if self.ids else "int32"
        return Layer(side, "InputLayer", (None, 1), dtype=dtype)

    def _embedding(self, table: str) -> Layer:
        rows, width = self.shapes[table]
        penalty = {"l2": self.regs.get(table, 0.0)}
        settings = {
            "input_dim": rows,
            "output_dim": width,
            "embeddings_initializer": _object("keras.initializers", "RandomUniform", _UNIFORM),
            "embeddings_regularizer": _object("keras.regularizers", "L2", penalty),
            "activity_regularizer": None,
            "embeddings_constraint": None,
            "mask_zero": False,
        }
        kind = "Embedding"
        if reg := self.row_regs.get(table):
            kind, settings = ROW_PENALTY_LAYER, settings | {"reg": reg}
        inputs = (f"{_side(table)}_row" if self.ids else _side(table),)
        return Layer(table, kind, (None, 1, width), rows * width, inputs, settings)


_UNIFORM = {"seed": None, "minval": -0.05, "maxval": 0.05}  # Keras's default for an Embedding


def _side(table: str) -> str:
    """Return the side of a table: "user" or "item"."""
    return table.partition("_")[0]


def _lookup(side: str, ids: pa.Array) -> Layer:
    """Describe the layer that finds the rows of ids, counted from 1; unknown ids have row 0.

    There is no `oov_token`, because an id could be equal to it.
    """
    kind, own = {
        "int64": ("IntegerLookup", {"vocabulary_dtype": "int64"}),
        "string": ("StringLookup", {"encoding": "utf-8"}),
    }[str(ids.type)]
    settings = {
        "invert": False,
        "max_tokens": None,
        "num_oov_indices": 1,
        "oov_token": None,
        "mask_token": None,
        "output_mode": "int",
        "sparse": False,
        "pad_to_max_tokens": False,
        "idf_weights": None,
        "vocabulary": ids.to_pylist(),
        "vocabulary_size": len(ids) + 1,
    }
    return Layer(
        f"{side}_row", kind, (None, 1), inputs=(side,), settings=settings | own, dtype="int64"
    )


def _layer_config(layer: Layer, layers: Mapping[str, Layer]) -> dict[str, Any]:
    if layer.kind == "InputLayer":
        return _input_config(layer)
    inputs = [layers[name] for name in layer.inputs]
    tensors = [_tensor(source) for source in inputs]
    shapes = [list(source.shape) for source in inputs]
    settings = {
        "name": layer.name,
        "trainable": True,
        "dtype": _object("keras", "DTypePolicy", {"name": "float32"}),
        **layer.settings,
    }
    # Keras saves no input shape for lookup layers.
    built = {} if layer.kind.endswith("Lookup") else {"input_shape": _one_or_all(shapes)}
    return {
        **_layer_object(layer.kind, settings),
        "build_config": built,
        "name": layer.name,
        "inbound_nodes": [{"args": [_one_or_all(tensors)], "kwargs": {}}],
    }


def _input_config(layer: Layer) -> dict[str, Any]:
    config = {
        "batch_shape": list(layer.shape),
        "dtype": layer.dtype,
        "sparse": False,
        "ragged": False,
        "name": layer.name,
    }
    return {**_layer_object(layer.kind, config), "name": layer.name, "inbound_nodes": []}


def _layer_object(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    if kind == ROW_PENALTY_LAYER:
        # Classes outside of Keras have no module; `custom_objects` finds them by this name.
        return {**_object(None, kind, config), "registered_name": kind}
    return _object("keras.layers", kind, config)


def _object(module: str | None, class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "module": module,
        "class_name": class_name,
        "config": dict(config),
        "registered_name": None,
    }


def _tensor(layer: Layer) -> dict[str, Any]:
    return {
        "class_name": "__keras_tensor__",
        "config": {
            "shape": list(layer.shape),
            "dtype": layer.dtype,
            "keras_history": [layer.name, 0, 0],
        },
    }


def _one_or_all(values: list[Any]) -> Any:
    """Return the only value, or the list of several."""
    return values[0] if len(values) == 1 else values
