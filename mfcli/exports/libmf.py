"""Export as a model of LIBMF, whose factorization has no biases (see `mfcli.exports.vectors`)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from mfcli.data import csv_bytes, to_arrow
from mfcli.exports.decimals import DIGITS, nine_digits
from mfcli.exports.vectors import rating_vectors
from mfcli.model import Model
from mfcli.types import Floats

_SQUARED_LOSS = 0  # P_L2_MFR, LIBMF's number for real-valued factorization with squared loss
_STYLE = pacsv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")


def write_libmf(folder: Path, model: Model) -> None:
    """Write `model.txt` as LIBMF's `mf_save_model` does, and the ids of its rows."""
    users, items = rating_vectors(model)
    head = {
        "f": _SQUARED_LOSS,
        "m": len(users),
        "n": len(items),
        "k": model.k + 2,
        "b": f"{model.mu:.{DIGITS}g}",  # LIBMF predicts the mean for unknown rows
    }
    with pa.OSFile(os.fsencode(folder / "model.txt"), "wb") as file:
        file.write("".join(f"{name} {value}\n" for name, value in head.items()).encode())
        for letter, rows in (("p", users), ("q", items)):
            # Arrow formats millions of lines in seconds; Python would take minutes.
            pacsv.write_csv(_lines(letter, rows), file, _STYLE)
    for name, ids in (("users", model.users.ids), ("items", model.items.ids)):
        numbers = to_arrow(np.arange(len(ids), dtype=np.int32))
        (folder / f"{name}.csv").write_bytes(csv_bytes(pa.table({"row": numbers, "id": ids})))


def _lines(letter: str, rows: Floats) -> pa.Table:
    """Lay out lines such as "p0 T 0.5 1", where T means that the row has values (not NaN)."""
    names = pa.array([f"{letter}{row}" for row in range(len(rows))])
    columns = [names, pa.repeat("T", len(rows)), *map(nine_digits, rows.T)]
    return pa.table(columns, [str(number) for number in range(len(columns))])
