"""`model.keras`, written and read without TensorFlow.

A .keras file is a zip of `config.json` (the layers), `model.weights.h5` (the tables) and
`metadata.json` (https://keras.io/guides/serialization_and_saving). The configuration written here
is the one that `keras.Model.save` writes for the model of `engines/keras.py`, without the keys that
some versions do not know, so any Keras 3 opens it.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import io
import json
import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.errors import ArtifactError
from mfcli.storage import check_fields

TABLES = ("user_factors", "item_factors", "user_biases", "item_biases")
"""Names of the Embedding layers, in the order of the model's layers."""

_DAMAGES = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    KeyError,
    TypeError,
    ValueError,
    RuntimeError,
    EOFError,
)
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_SLACK = 1 << 20  # bytes an HDF5 file may have beside its tables, and a description at most
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the zip's own times say nothing; metadata.json has the date


def write_keras_file(
    path: Path,
    tables: Mapping[str, NDArray[np.float32]],
    mu: float,
    regs: Mapping[str, float],
    ids: Mapping[str, pa.Array] | None = None,
) -> None:
    """Write a Keras 3 model file, of a model that takes rows of users and items, or their ids.

    Parameters
    ----------
    path : Path
    tables : mapping of float32 arrays
        The four `TABLES`: factors of shape (n, k) and biases of shape (n,).
    mu : float
        Added by the last layer.
    regs : mapping of float
        Penalty of the embeddings' L2 regularizers.
    ids : mapping of Arrow arrays of int64 or string, optional
        The raw ids of the rows of "user" and "item", for the model to look up. A row of zeros is
        put before each table, for ids that are not there.
    """
    if ids:
        tables = {name: np.concatenate([np.zeros_like(t[:1]), t]) for name, t in tables.items()}
    shapes = {name: _matrix(table).shape for name, table in tables.items()}
    config = model_config(shapes, mu, regs, ids)
    weights = _weights(tables, _groups(config["config"]["layers"]))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(_METADATA, _EPOCH), json.dumps(_metadata()))
        archive.writestr(zipfile.ZipInfo(_CONFIG, _EPOCH), json.dumps(config))
        archive.writestr(zipfile.ZipInfo(_WEIGHTS, _EPOCH), weights)


def read_keras_file(
    path: Path, n_users: int, n_items: int, k: int
) -> dict[str, NDArray[np.float32]]:
    """Read the tables of a file of `write_keras_file`.

    Nothing in the file is executed, and no more is read than tables of these sizes need.

    Returns
    -------
    dict of float32 arrays
        The four `TABLES`.

    Raises
    ------
    ArtifactError
        If the file is missing or damaged, or holds other tables.
    """
    shapes = {
        "user_factors": (n_users, k),
        "item_factors": (n_items, k),
        "user_biases": (n_users, 1),
        "item_biases": (n_items, 1),
    }
    with _reading(path):
        limit = sum(4 * n * width for n, width in shapes.values()) + _SLACK
        with h5py.File(io.BytesIO(_read_member(path, _WEIGHTS, limit)), "r") as file:
            tables = {name: _read_table(file, name, shapes[name]) for name in TABLES}
    return {name: t[:, 0] if name.endswith("biases") else t for name, t in tables.items()}


class Outline(NamedTuple):
    """What a model file is, without its tables.

    Attributes
    ----------
    users, items, k : int
        Sizes of the tables.
    mu : float
    keras : str
        Version of Keras that wrote the file.
    saved : str
        Date and time, in the zone of the machine it was written on.
    """

    users: int
    items: int
    k: int
    mu: float
    keras: str
    saved: str


def read_outline(path: Path) -> Outline:
    """Read what a file of `write_keras_file` says of itself.

    Raises
    ------
    ArtifactError
        If the file is missing or damaged, or holds no such model.
    """
    with _reading(path):
        config = json.loads(_read_member(path, _CONFIG, _SLACK))
        metadata = json.loads(_read_member(path, _METADATA, _SLACK))
        weights = _read_member(path, _WEIGHTS, path.stat().st_size)  # Keras stores them unpacked
        with h5py.File(io.BytesIO(weights), "r") as file:
            shapes = {name: _dataset(file, name).shape for name in TABLES}
    check_fields(path, metadata, {"keras_version": str, "date_saved": str}, "train again")
    check_fields(path, config, {"config": {"layers": [{"name": str, "config": {}}]}}, "train again")
    (users, k), (items, _), *_ = shapes.values()
    settings = {layer["name"]: layer["config"] for layer in config["config"]["layers"]}
    check_fields(path, settings, {"rating": {"offset": float}}, "train again")
    mu = float(settings["rating"]["offset"])
    return Outline(users, items, k, mu, metadata["keras_version"], metadata["date_saved"])


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tell damage in one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: is missing; train again") from error
    except _DAMAGES as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArtifactError(f"{path}: is damaged ({reason}); train again") from error


def _read_member(path: Path, name: str, limit: int) -> bytes:
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(name).file_size
        if size > limit:
            raise ValueError(f"{name} has {size} bytes, more than the {limit} expected")
        return archive.read(name)


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """Find a table in the file; no link is followed and no other file opened."""
    group: Any = file
    for part in ("layers", _group("embedding", TABLES.index(name)), "vars", "0"):
        if not isinstance(group, h5py.Group) or not isinstance(
            group.get(part, getlink=True), h5py.HardLink
        ):
            raise ValueError(f"{name} is missing or a link")
        group = group[part]
    if not isinstance(group, h5py.Dataset) or group.external or group.is_virtual:
        raise ValueError(f"{name} is no table")
    if len(group.shape or ()) != 2 or group.dtype != np.float32:
        raise ValueError(f"{name} must be a float32 matrix, got {group.dtype} {group.shape}")
    return group


def _read_table(file: h5py.File, name: str, shape: tuple[int, int]) -> NDArray[np.float32]:
    dataset = _dataset(file, name)
    if dataset.shape != shape:
        raise ValueError(f"{name} must be float32 {shape}, got {dataset.dtype} {dataset.shape}")
    table: NDArray[np.float32] = dataset[()]
    bad = int(np.count_nonzero(~np.isfinite(table)))
    if bad:
        raise ValueError(f"{name} holds {bad:,} of {table.size:,} numbers that are not finite")
    return table


def _matrix(table: NDArray[np.float32]) -> NDArray[np.float32]:
    return table.reshape(len(table), -1)


def _weights(tables: Mapping[str, NDArray[np.float32]], groups: Mapping[str, str]) -> memoryview:
    """Lay out an HDF5 file in memory; on a full disk HDF5 would not fail in an orderly way."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_group("vars").attrs["name"] = "mfcli"
        for name, group in groups.items():
            variables = file.create_group(f"layers/{group}/vars")
            variables.attrs["name"] = name
            if name in tables:
                variables.create_dataset("0", data=_matrix(tables[name]))
    return content.getbuffer()


def _groups(layers: list[dict[str, Any]]) -> dict[str, str]:
    """Name the group of each layer's variables as Keras does: its class, numbered within it."""
    seen: Counter[str] = Counter()
    groups = {}
    for layer in layers:
        kind = re.sub(r"(?<!^)(?=[A-Z])", "_", layer["class_name"]).lower()
        groups[layer["name"]] = _group(kind, seen[kind])
        seen[kind] += 1
    return groups


def _group(kind: str, n: int) -> str:
    return f"{kind}_{n}" if n else kind


def _metadata() -> dict[str, str]:
    return {
        "keras_version": importlib.metadata.version("keras"),
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
    }


def model_config(
    shapes: Mapping[str, tuple[int, ...]],
    mu: float,
    regs: Mapping[str, float],
    ids: Mapping[str, pa.Array] | None = None,
) -> dict[str, Any]:
    """Describe the model as Keras's `serialize_keras_object` does.

    Parameters
    ----------
    shapes : mapping of (rows, width)
        Of the four `TABLES`.
    mu : float
    regs : mapping of float
    ids : mapping of Arrow arrays, optional
        As for `write_keras_file`.
    """
    k = shapes["user_factors"][1]
    factors, biases = [None, 1, k], [None, 1, 1]
    rows = {side: _rows(side, ids) for side in ("user", "item")}
    layers = [
        *(_input(side, str(ids[side].type) if ids else "int32") for side in rows),
        *(_lookup(side, ids[side]) for side in rows if ids),
        _embedding("user_factors", shapes, regs, rows),
        _embedding("item_factors", shapes, regs, rows),
        _layer(
            "Dot",
            "dot",
            {"axes": 2, "normalize": False},
            [factors, factors],
            [[_tensor("user_factors", factors), _tensor("item_factors", factors)]],
        ),
        _embedding("user_biases", shapes, regs, rows),
        _embedding("item_biases", shapes, regs, rows),
        _layer(
            "Add",
            "add",
            {},
            [biases, biases, biases],
            [[_tensor(name, biases) for name in ("dot", "user_biases", "item_biases")]],
        ),
        _layer(
            "Flatten", "flatten", {"data_format": "channels_last"}, biases, [_tensor("add", biases)]
        ),
        _layer(
            "Rescaling",
            "rating",
            {"scale": 1.0, "offset": mu},
            [None, 1],
            [_tensor("flatten", [None, 1])],
        ),
    ]
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": "mfcli",
            "trainable": True,
            "layers": layers,
            "input_layers": [["user", 0, 0], ["item", 0, 0]],
            "output_layers": ["rating", 0, 0],
        },
        "registered_name": "Functional",
        "build_config": {"input_shape": None},
        "compile_config": {},
    }


def _rows(side: str, ids: Mapping[str, pa.Array] | None) -> dict[str, Any]:
    """Describe the tensor of rows: the input, or what the ids are looked up to."""
    return _tensor(f"{side}_row", [None, 1], "int64") if ids else _tensor(side, [None, 1], "int32")


def _input(name: str, dtype: str) -> dict[str, Any]:
    config = {
        "batch_shape": [None, 1],
        "dtype": dtype,
        "sparse": False,
        "ragged": False,
        "name": name,
    }
    return {**_object("keras.layers", "InputLayer", config), "name": name, "inbound_nodes": []}


def _lookup(side: str, ids: pa.Array) -> dict[str, Any]:
    """Describe the layer that finds the rows of ids, counted from 1; any other id has row 0.

    Without an `oov_token` no id is mistaken for one.
    """
    dtype = str(ids.type)
    kind, own = {
        "int64": ("IntegerLookup", {"vocabulary_dtype": "int64"}),
        "string": ("StringLookup", {"encoding": "utf-8"}),
    }[dtype]
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
    return _layer(kind, f"{side}_row", settings | own, None, [_tensor(side, [None, 1], dtype)])


def _embedding(
    name: str,
    shapes: Mapping[str, tuple[int, ...]],
    regs: Mapping[str, float],
    rows: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    count, width = shapes[name]
    uniform = {"seed": None, "minval": -0.05, "maxval": 0.05}
    settings = {
        "input_dim": count,
        "output_dim": width,
        "embeddings_initializer": _object("keras.initializers", "RandomUniform", uniform),
        "embeddings_regularizer": _object("keras.regularizers", "L2", {"l2": regs[name]}),
        "activity_regularizer": None,
        "embeddings_constraint": None,
        "mask_zero": False,
    }
    return _layer("Embedding", name, settings, [None, 1], [rows[name.partition("_")[0]]])


def _layer(
    kind: str, name: str, settings: dict[str, Any], input_shape: list[Any] | None, args: list[Any]
) -> dict[str, Any]:
    policy = _object("keras", "DTypePolicy", {"name": "float32"})
    return {
        **_object(
            "keras.layers", kind, {"name": name, "trainable": True, "dtype": policy, **settings}
        ),
        "build_config": {"input_shape": input_shape} if input_shape else {},
        "name": name,
        "inbound_nodes": [{"args": args, "kwargs": {}}],
    }


def _object(module: str, class_name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": None,
    }


def _tensor(layer: str, shape: list[Any], dtype: str = "float32") -> dict[str, Any]:
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": shape, "dtype": dtype, "keras_history": [layer, 0, 0]},
    }
