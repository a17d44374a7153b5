"""Export as vectors whose inner products are ratings.

With two more dimensions, a rating is an inner product, which vector databases and libraries for
nearest neighbors can search:

    mu + b_u + b_i + p_u . q_i  =  [p_u, b_u + mu, 1] . [q_i, 1, b_i]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mfcli.data import to_arrow
from mfcli.model import Model
from mfcli.types import Floats


def rating_vectors(model: Model) -> tuple[Floats, Floats]:
    """Return vectors of users and items in k + 2 dimensions, whose inner products are ratings.

    Returns
    -------
    users, items : float32 arrays, shapes (n_users + 1, k + 2) and (n_items + 1, k + 2)
        [p_u, b_u + mu, 1] and [q_i, 1, b_i]. The last row of each is for an unknown user or item,
        with zero factors and bias.
    """
    # [p_u, b_u + mu, 1] . [q_i, 1, b_i] = p_u . q_i + b_u + mu + b_i
    k = model.k
    users = np.zeros((len(model.users) + 1, k + 2), np.float32)
    items = np.zeros((len(model.items) + 1, k + 2), np.float32)
    users[:-1, :k], items[:-1, :k] = model.user_factors, model.item_factors
    # Added in float64, so that the sum is rounded only once.
    users[:-1, k] = model.user_biases.astype(np.float64) + model.mu
    users[-1, k] = model.mu
    items[:-1, k + 1] = model.item_biases
    users[:, k + 1] = items[:, k] = 1
    return users, items


def write_vectors(folder: Path, model: Model) -> None:
    """Write `users.parquet` and `items.parquet` with the columns id and vector."""
    users, items = rating_vectors(model)
    sides = {"users": (model.users.ids, users), "items": (model.items.ids, items)}
    for name, (ids, rows) in sides.items():
        numbers = to_arrow(rows[:-1].ravel())
        lists = pa.FixedSizeListArray.from_arrays(numbers, rows.shape[1])
        table = pa.table({"id": ids, "vector": lists})
        # A dictionary saves nothing: hardly any two weights are equal.
        pq.write_table(table, folder / f"{name}.parquet", use_dictionary=False)
