"""Export as NumPy arrays."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from mfcli.exports.text_ids import refuse_trailing_zero
from mfcli.model import Model
from mfcli.storage import write_arrays


def write_npz(path: Path, model: Model) -> None:
    """Write the tables, the ids of their rows, mu and the rating scale as one `.npz` file.

    The scale is [min, max, step], where step is NaN if ratings have no steps. `predicts` is
    "ratings", or "scores", which are not on the scale.

    Raises
    ------
    ArtifactError
        If NumPy cannot represent an id.
    """
    for ids in (model.users.ids, model.items.ids):
        refuse_trailing_zero(ids, "NumPy")
    low, high, step = model.scale
    arrays = {
        **model.tables,
        "mu": np.float64(model.mu),
        # Text becomes an array of fixed width, which needs no pickle to be read.
        "users": np.array(model.users.ids.to_pylist()),
        "items": np.array(model.items.ids.to_pylist()),
        "scale": np.array([low, high, math.nan if step is None else step]),
        "predicts": np.array(model.predicts),
    }
    write_arrays(path, arrays)
