"""Export as a table of users and a table of items, in CSV or Parquet files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mfcli.data import csv_bytes, to_arrow
from mfcli.exports.decimals import nine_digits
from mfcli.model import Model
from mfcli.types import Floats


def write_csv(folder: Path, model: Model) -> None:
    """Write `users.csv` and `items.csv`."""
    for name, table in _tables(model, nine_digits).items():
        (folder / f"{name}.csv").write_bytes(csv_bytes(table))


def write_parquet(folder: Path, model: Model) -> None:
    """Write `users.parquet` and `items.parquet`."""
    for name, table in _tables(model, _unchanged).items():
        # A dictionary saves nothing: hardly any two weights are equal.
        pq.write_table(table, folder / f"{name}.parquet", use_dictionary=False)


def _tables(model: Model, column: Callable[[Floats], pa.Array]) -> dict[str, pa.Table]:
    """Return tables with the columns id, count, bias, factor_1, factor_2, ...

    Parameters
    ----------
    model : Model
    column : callable
        Converts weights to a column.
    """
    sides = {
        "users": (model.users, model.user_biases, model.user_factors),
        "items": (model.items, model.item_biases, model.item_factors),
    }
    return {
        name: pa.table(
            {
                "id": vocabulary.ids,
                "count": to_arrow(vocabulary.counts),
                "bias": column(biases),
                **{f"factor_{number}": column(c) for number, c in enumerate(factors.T, 1)},
            }
        )
        for name, (vocabulary, biases, factors) in sides.items()
    }


def _unchanged(values: Floats) -> pa.Array:
    return to_arrow(values)
