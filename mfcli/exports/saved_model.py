"""Export as a SavedModel for TensorFlow Serving, made of plain TensorFlow operations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mfcli.model import Model
from mfcli.storage import stderr_held

os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # TensorFlow imports Keras, too
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with stderr_held():  # TensorFlow prints a page about processors and graphics cards
    import tensorflow as tf


def write_saved_model(folder: Path, model: Model, *, raw_ids: bool) -> None:
    """Write a SavedModel with the signature `serving_default`.

    Its inputs are `user` and `item`, both of shape (n,): int32 rows, or raw ids (int64 or string).
    Its output is `rating`, or `score` if the model predicts scores, float32 of shape (n,). Ids
    outside the vocabulary and rows outside the tables contribute nothing, as in
    `Factorization.predict_rows`.

    Parameters
    ----------
    folder : Path
    model : Model
    raw_ids : bool

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    served = _Served(model, raw_ids)
    signature = tf.function(
        served.rate,
        input_signature=[
            tf.TensorSpec([None], served.users.dtype, "user"),
            tf.TensorSpec([None], served.items.dtype, "item"),
        ],
    )
    try:
        tf.saved_model.save(served, str(folder), signatures={"serving_default": signature})
    except tf.errors.OpError as error:
        raise OSError(error.message) from error


class _Served(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """The tables, each with a row 0 of zeros for unknown users or items."""

    def __init__(self, model: Model, raw_ids: bool) -> None:
        super().__init__()
        self.mu, self.output = model.mu, model.predicts.removesuffix("s")
        self.users = _Ids(model.users.ids) if raw_ids else _Rows(len(model.users))
        self.items = _Ids(model.items.ids) if raw_ids else _Rows(len(model.items))
        self.tables = {
            # Variables, not constants: a constant would be part of the graph, which has at most 2
            # GB.
            name: tf.Variable(np.concatenate([np.zeros_like(t[:1]), t]), trainable=False, name=name)
            for name, t in model.tables.items()
        }

    def rate(self, user: Any, item: Any) -> dict[str, Any]:
        u, i = self.users.rows(user), self.items.rows(item)
        p = tf.gather(self.tables["user_factors"], u)  # (n, k)
        q = tf.gather(self.tables["item_factors"], i)
        # mu + b_u + b_i + p_u . q_i, with mu last, as in the Keras network
        rating = tf.reduce_sum(p * q, axis=1)
        rating += tf.gather(self.tables["user_biases"], u)
        rating += tf.gather(self.tables["item_biases"], i)
        return {self.output: rating + self.mu}


class _Ids(tf.Module):  # type: ignore[misc]
    """Looks up the rows of raw ids, counted from 1; unknown ids have row 0."""

    def __init__(self, ids: pa.Array) -> None:
        super().__init__()
        self.dtype = tf.as_dtype(str(ids.type))
        keys = tf.constant(ids.to_pylist(), self.dtype)
        numbers = tf.range(1, len(ids) + 1, dtype=tf.int64)
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(keys, numbers), default_value=0
        )

    def rows(self, ids: Any) -> Any:
        return self.table.lookup(ids)


class _Rows(tf.Module):  # type: ignore[misc]
    """Counts rows from 1; rows outside the table become row 0."""

    dtype = tf.int32

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def rows(self, rows: Any) -> Any:
        # A row outside of a table would be an error in `gather`, or zeros, depending on the device.
        return tf.where((rows >= 0) & (rows < self.count), rows + 1, 0)
