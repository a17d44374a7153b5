"""The penalty that the loss of a model has beside its mean squared error."""

from __future__ import annotations

import numpy as np

from mfcli.data import Ratings
from mfcli.model import Model


def penalty(model: Model, held_out: Ratings) -> float:
    """Return what is added to the mean squared error of held-out ratings."""
    total = 0.0
    for name, table in model.tables.items():
        of_row = np.square(table.reshape(len(table), -1), dtype=np.float64).sum(axis=1)
        rows = held_out.user if name.startswith("user") else held_out.item
        total += model.config.table_regs[name] * float(of_row.sum())
        total += model.config.rating_regs[name] * float(of_row[rows].mean())
    return total
