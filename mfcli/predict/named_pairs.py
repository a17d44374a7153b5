"""Predictions for all pairs of some users and items."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mfcli.data import Vocabulary, find_rows, to_arrow, to_texts
from mfcli.predict.pair_counts import PairCounts
from mfcli.predict.predictor import Predictor
from mfcli.types import Rows


def predict_named(
    predict: Predictor, users: list[str], items: list[str], *, strict: bool = False
) -> tuple[pa.Table, PairCounts]:
    """Predict the ratings of all pairs of some users and items.

    Parameters
    ----------
    predict : Predictor
    users, items : list of str
    strict : bool
        Whether unknown ids are an error.

    Returns
    -------
    table : Arrow table
        Columns user, item and those of the predictor, user by user. Ids have the type of the
        model's ids if all of the column are known, otherwise they are text.
    counts : PairCounts

    Raises
    ------
    UnknownIdError
        If `strict`, for the first unknown id.
    """
    model, counts = predict.model, PairCounts()
    # Each pair once.
    users, items = list(dict.fromkeys(users)), list(dict.fromkeys(items))
    user, item = to_texts(users), to_texts(items)
    if strict:
        find_rows(model.users, user, "user")
        find_rows(model.items, item, "item")
    # (u1, i1), (u1, i2), ..., (u2, i1), ...
    first = np.repeat(np.arange(len(users), dtype=np.int32), len(items))
    second = np.tile(np.arange(len(items), dtype=np.int32), len(users))
    user, item = user.take(to_arrow(first)), item.take(to_arrow(second))
    predicted = predict(user, item)
    counts.add(model, predicted.user, predicted.item)
    columns = {
        "user": _known_ids(model.users, predicted.user, user),
        "item": _known_ids(model.items, predicted.item, item),
        **predicted.columns,
    }
    return pa.table(columns), counts


def _known_ids(vocabulary: Vocabulary, rows: Rows, ids: pa.Array) -> pa.Array:
    # An Arrow column has one type, and an unknown id may not be an integer.
    return ids if (rows < 0).any() else vocabulary.ids.take(to_arrow(rows))
