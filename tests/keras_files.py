"""The network built with Keras's own API, and contents of Keras files that tests compare."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from mfcli.data import Vocabulary
from mfcli.model import Model


def plain(value: Any) -> Any:
    """Drop the fields that vary between processes or between versions of Keras."""
    dropped = {"shared_object_id", "optional", "quantization_config", "ragged", "compile_config"}
    dropped |= {"oov_method", "salt"}
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items() if name not in dropped}
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        return plain(value[0])  # some versions put the output layers into another list
    return [plain(entry) for entry in value] if isinstance(value, list) else value


def layout(path: Path) -> dict[str, Any]:
    """Return the shapes of the tables and the attributes of the groups in a Keras file."""
    import h5py

    found: dict[str, Any] = {}

    def note(name: str, thing: Any) -> None:
        shape = getattr(thing, "shape", None)
        found[name] = shape or {key: str(entry) for key, entry in thing.attrs.items()}

    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file:
        h5py.File(file, "r").visititems(note)
    return found


def keras_twin(model: Model, *, raw_ids: bool = False) -> Any:
    """Build the network with Keras's functional API, independently of `Network`.

    Its weights are those of the model, unless it takes raw ids.
    """
    import keras
    from keras import layers

    def rows(side: str, vocabulary: Vocabulary, given: Any) -> Any:
        if not raw_ids:
            return given
        kind = {"int64": layers.IntegerLookup, "string": layers.StringLookup}
        make = kind[str(vocabulary.ids.type)]
        ids = vocabulary.ids.to_pylist()
        return make(vocabulary=ids, oov_token=None, name=f"{side}_row")(given)

    def embedding(name: str) -> Any:
        table = model.tables[name]
        width = table.shape[1] if table.ndim == 2 else 1
        penalty = keras.regularizers.L2(model.config.table_regs[name])
        return layers.Embedding(
            len(table) + raw_ids, width, embeddings_regularizer=penalty, name=name
        )

    sides = {"user": model.users, "item": model.items}
    dtypes = {side: str(known.ids.type) if raw_ids else "int32" for side, known in sides.items()}
    user, item = (keras.Input((1,), dtype=dtype, name=side) for side, dtype in dtypes.items())
    u, i = rows("user", model.users, user), rows("item", model.items, item)
    p, q = embedding("user_factors")(u), embedding("item_factors")(i)
    parts = [layers.Dot(axes=2, name="dot")([p, q])]
    parts += [embedding("user_biases")(u), embedding("item_biases")(i)]
    rating = layers.Flatten(name="flatten")(layers.Add(name="add")(parts))
    rating = layers.Rescaling(1.0, offset=model.mu, name="rating")(rating)
    network = keras.Model([user, item], rating, name="mfcli")
    for name, table in model.tables.items():
        if not raw_ids:
            network.get_layer(name).set_weights([table.reshape(len(table), -1)])
    return network
