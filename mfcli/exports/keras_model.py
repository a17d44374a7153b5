"""Export of a Keras model that takes rows or raw ids."""

from __future__ import annotations

from pathlib import Path

from mfcli.exports.text_ids import refuse_trailing_zero
from mfcli.model import Model, write_keras_file


def write_keras(path: Path, model: Model, *, raw_ids: bool) -> None:
    """Write `model.keras`; see `mfcli.model.Network`.

    Raises
    ------
    ArtifactError
        If Keras cannot represent an id.
    """
    network = model.network(raw_ids=raw_ids)
    for ids in network.ids.values():
        refuse_trailing_zero(ids, "Keras")  # its lookup layers hold ids in NumPy arrays
    write_keras_file(path, network, model.tables)
