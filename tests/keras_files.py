"""What is inside a Keras file, in a form to be compared."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """Leave out what names objects of one process, and what not all versions of Keras write."""
    dropped = {"shared_object_id", "optional", "quantization_config", "ragged", "compile_config"}
    dropped |= {"oov_method", "salt"}
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items() if name not in dropped}
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        return plain(value[0])  # the output layers, in a list of their own or not
    return [plain(entry) for entry in value] if isinstance(value, list) else value


def layout(path: Path) -> dict[str, Any]:
    """List the groups, names and table shapes of a Keras file's weights."""
    import h5py

    found: dict[str, Any] = {}

    def note(name: str, thing: Any) -> None:
        shape = getattr(thing, "shape", None)
        found[name] = shape or {key: str(entry) for key, entry in thing.attrs.items()}

    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file:
        h5py.File(file, "r").visititems(note)
    return found
