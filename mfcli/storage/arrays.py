"""NumPy arrays in one `.npz` file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays so that `numpy.load` reads them without pickles.

    Unlike `numpy.savez`, this closes the file when the disk is full.
    """
    with zipfile.ZipFile(path, "w") as archive:
        # Members are stored, not compressed: random weights hardly shrink.
        for name, array in arrays.items():
            # The size is not known in advance, and without zip64 it may not exceed 2 GB.
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
