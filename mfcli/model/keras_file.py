"""The file `model.keras`, written and read without TensorFlow.

A .keras file is a zip archive of `config.json` (the layers), `model.weights.h5` (the tables) and
`metadata.json` (https://keras.io/guides/serialization_and_saving).
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

from mfcli.errors import ArtifactError
from mfcli.model.factorization import TABLES
from mfcli.model.network import Layer, Network
from mfcli.storage import MappedFile, Section, exists, mapped, parse_json, to_section
from mfcli.types import Floats

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
_SLACK = 1 << 20  # most bytes of an HDF5 file beside its tables, and of a JSON file
_EPOCH = (1980, 1, 1, 0, 0, 0)  # time stamp of the zip members; metadata.json has the real one
_REMEDY = "train again"


def write_keras_file(path: Path, network: Network, tables: Mapping[str, Floats]) -> None:
    """Write a Keras 3 model file.

    Parameters
    ----------
    path : Path
    network : Network
    tables : mapping of float32 arrays
        The four `TABLES`, with `network.users` and `network.items` rows. For a network that takes
        ids, a row of zeros for unknown ids is added in front.
    """
    if network.ids:
        tables = {name: np.concatenate([np.zeros_like(t[:1]), t]) for name, t in tables.items()}
    weights = _weights(tables, _groups(network.layers))
    # Keras does not compress either, and random weights hardly shrink.
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(_METADATA, _EPOCH), json.dumps(_metadata()))
        archive.writestr(zipfile.ZipInfo(_CONFIG, _EPOCH), json.dumps(network.keras_config()))
        archive.writestr(zipfile.ZipInfo(_WEIGHTS, _EPOCH), weights)


def read_keras_file(
    source: Path | MappedFile, n_users: int, n_items: int, k: int
) -> dict[str, Floats]:
    """Read the tables of a file of `write_keras_file`, without a row for unknown ids.

    Nothing in the file is executed, and the amount of data read is bounded by the sizes given.

    Returns
    -------
    dict of float32 arrays
        The four `TABLES`.

    Raises
    ------
    ArtifactError
        If the file is missing or damaged, or holds other tables.
    """
    # The sizes come from the record, so a file cannot make the reader allocate more.
    shapes = Network(n_users, n_items, k).shapes
    file = _mapped(source)
    with _reading(file.path):
        # The declared size is checked before anything is read: a small zip can expand to gigabytes.
        limit = sum(4 * rows * width for rows, width in shapes.values()) + _SLACK
        weights = _read_member(file, _WEIGHTS, limit)
        with h5py.File(io.BytesIO(weights), "r") as opened:
            tables = {name: _read_table(opened, name, shapes[name]) for name in TABLES}
    return {name: t[:, 0] if name.endswith("biases") else t for name, t in tables.items()}


class Outline(NamedTuple):
    """What a model file holds, without its tables.

    Attributes
    ----------
    users, items, k : int
        Sizes of the tables.
    mu : float
    keras : str
        Version of Keras for which the file was written.
    saved : str
        Local date and time at which the file was written.
    """

    users: int
    items: int
    k: int
    mu: float
    keras: str
    saved: str


class _Metadata(Section):
    """The fields of `metadata.json`."""

    keras_version: str
    date_saved: str


class _Layer(Section):
    name: str
    config: dict[str, Any]


class _Layers(Section):
    layers: tuple[_Layer, ...]


class _Config(Section):
    """The fields of `config.json` that are used."""

    config: _Layers


class _Rescaling(Section):
    offset: float


def read_outline(path: Path) -> Outline:
    """Read the description of a file of `write_keras_file`.

    Raises
    ------
    ArtifactError
        If the file is missing or damaged, or holds another kind of model.
    """
    file = _mapped(path)
    with _reading(path):
        parts = {name: _read_member(file, name, _SLACK) for name in (_METADATA, _CONFIG)}
        # Keras stores the weights without compression, so they are no larger than the file.
        weights = _read_member(file, _WEIGHTS, len(file.content))
        with h5py.File(io.BytesIO(weights), "r") as opened:
            shapes = {name: _dataset(opened, name).shape for name in TABLES}
    values = {name: parse_json(path, part, remedy=_REMEDY) for name, part in parts.items()}
    metadata = to_section(path, values[_METADATA], _Metadata, remedy=_REMEDY)
    (users, k), (items, _), *_ = shapes.values()
    mu = _offset(path, to_section(path, values[_CONFIG], _Config, remedy=_REMEDY))
    return Outline(users, items, k, mu, metadata.keras_version, metadata.date_saved)


def _offset(path: Path, config: _Config) -> float:
    """Return what the last layer adds."""
    for layer in config.config.layers:
        if layer.name == "rating":
            return to_section(path, layer.config, _Rescaling, remedy=_REMEDY).offset
    raise ArtifactError("has no layer 'rating'", place=path, remedy=_REMEDY)


def _mapped(source: Path | MappedFile) -> MappedFile:
    if isinstance(source, Path) and not exists(source):
        raise ArtifactError("is missing", place=source, remedy=_REMEDY)
    return mapped(source, _REMEDY)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise an `ArtifactError` for the errors that damaged files cause."""
    try:
        yield
    except _DAMAGES as error:
        # HDF5 reports errors over several lines; the first one says what is wrong.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArtifactError(f"is damaged ({reason})", place=path, remedy=_REMEDY) from error


def _read_member(file: MappedFile, name: str, limit: int) -> bytes:
    with zipfile.ZipFile(file.stream()) as archive:
        size = archive.getinfo(name).file_size
        if size > limit:
            raise ValueError(f"{name} has {size} bytes, more than the {limit} expected")
        return archive.read(name)


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """Find a table in the file. Links are not followed, and no other file is opened."""
    group: Any = file
    for part in ("layers", _group("embedding", TABLES.index(name)), "vars", "0"):
        # A soft or external link could make HDF5 open any file of the user.
        if not isinstance(group, h5py.Group) or not isinstance(
            group.get(part, getlink=True), h5py.HardLink
        ):
            raise ValueError(f"{name} is missing or a link")
        group = group[part]
    if not isinstance(group, h5py.Dataset) or group.external or group.is_virtual:
        raise ValueError(f"{name} is not a table")
    if len(group.shape or ()) != 2 or group.dtype != np.float32:
        raise ValueError(f"{name} must be a float32 matrix, got {group.dtype} {group.shape}")
    return group


def _read_table(file: h5py.File, name: str, shape: tuple[int, int]) -> Floats:
    dataset = _dataset(file, name)
    if dataset.shape != shape:
        raise ValueError(f"{name} must be float32 {shape}, got {dataset.dtype} {dataset.shape}")
    table: Floats = dataset[()]
    bad = int(np.count_nonzero(~np.isfinite(table)))
    if bad:
        raise ValueError(f"{name} holds {bad:,} of {table.size:,} numbers that are not finite")
    return table


def _weights(tables: Mapping[str, Floats], groups: Mapping[str, str]) -> memoryview:
    """Build an HDF5 file in memory, because HDF5 does not report a full disk reliably."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        # Keras writes this group for the variables of the model itself, which has none.
        file.create_group("vars").attrs["name"] = "mfcli"
        for name, group in groups.items():
            variables = file.create_group(f"layers/{group}/vars")
            variables.attrs["name"] = name
            if name in tables:
                table = tables[name]
                variables.create_dataset("0", data=table.reshape(len(table), -1))
    return content.getbuffer()


def _groups(layers: list[Layer]) -> dict[str, str]:
    """Name the group of each layer's variables as Keras does: its class, then a number."""
    seen: Counter[str] = Counter()
    groups = {}
    for layer in layers:
        # "InputLayer" becomes "input_layer"
        kind = re.sub(r"(?<!^)(?=[A-Z])", "_", layer.kind).lower()
        groups[layer.name] = _group(kind, seen[kind])
        seen[kind] += 1
    return groups


def _group(kind: str, n: int) -> str:
    return f"{kind}_{n}" if n else kind


def _metadata() -> dict[str, str]:
    return {
        "keras_version": importlib.metadata.version("keras"),
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
    }
