"""The reference engine: Keras itself. The only file that imports TensorFlow."""

from __future__ import annotations

import math
import os
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.storage import stderr_held

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with stderr_held():  # TensorFlow greets with a page about processors and graphics cards
    import keras
    import tensorflow as tf

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.model import TABLES, Model
from mfcli.training.engines import Losses, Progress, take_over
from mfcli.training.penalties import penalty
from mfcli.training.schedules import pace, step_rates
from mfcli.training.sgd.blocks import Blocks
from mfcli.training.sgd.kernels import Records

_REPORT = 32  # steps between two reports of progress


class KerasEngine:
    """Trains with `keras.Model.fit`.

    Parameters
    ----------
    start : Model
        Its tables are copied into the Keras model.
    blocks : Blocks
        Of the training ratings; their batches come in the order of their steps.
    held_out : Ratings
        To validate on.
    """

    def __init__(self, start: Model, blocks: Blocks, held_out: Ratings) -> None:
        tf.config.experimental.enable_op_determinism()
        self._start, self._blocks, self._held_out = start, blocks, held_out
        self._keras = build(start)
        self._keras.compile(optimizer=optimizer(start.config), loss="mse", metrics=["mse"])

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        self._keep_pace(epoch)
        fitted = self._keras.fit(
            _Batches(list(self._blocks.serial(self._start.config.seed, epoch))),
            shuffle=False,
            verbose=0,
            callbacks=[_Reporter(on_progress, self._blocks), *self._rates(epoch)],
        )
        return Losses(fitted.history["loss"][0], fitted.history["mse"][0])

    def _keep_pace(self, epoch: int) -> None:
        """Give the optimizer the rate and the momentum of an epoch."""
        optimizer = self._keras.optimizer
        optimizer.learning_rate, momentum = pace(self._start.config, epoch)
        name = "beta_1" if self._start.config.optimizer == "adam" else "momentum"
        if getattr(optimizer, name) != momentum:  # a constant of the compiled step
            setattr(optimizer, name, momentum)
            self._keras.make_train_function(force=True)

    def _rates(self, epoch: int) -> list[Any]:
        """Return what gives the optimizer the rate of each step, where they differ."""
        if self._start.config.lr_every == "epoch":
            return []
        return [_Rates(step_rates(self._start.config, epoch, len(self._blocks.sizes)))]

    def validate(self) -> Losses:
        model = self.model()
        predicted = model.predict_rows(self._held_out.user, self._held_out.item)
        mse = float(np.mean(np.square(predicted - self._held_out.rating), dtype=np.float64))
        return Losses(mse + penalty(model, self._held_out), mse)

    def state(self) -> dict[str, NDArray[Any]]:
        return {name: np.asarray(variable) for name, variable in self._variables().items()}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        own = {name: array.copy() for name, array in self.state().items()}
        take_over(own, state)
        for name, variable in self._variables().items():
            variable.assign(own[name])

    def _variables(self) -> dict[str, Any]:
        """Return the weights and what the optimizer keeps: velocities, steps done, ..."""
        self._keras.optimizer.build(self._keras.trainable_variables)
        variables = [*self._keras.variables, *self._keras.optimizer.variables]
        return {f"{number:03}": variable for number, variable in enumerate(variables)}

    def model(self) -> Model:
        tables = {name: self._keras.get_layer(name).get_weights()[0] for name in TABLES}
        return self._start.with_tables(
            {n: t[:, 0] if n.endswith("biases") else t for n, t in tables.items()}
        )


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of any sizes, as Keras takes them."""

    def __init__(self, batches: list[Records]) -> None:
        super().__init__()
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, step: int) -> Any:
        batch = self._batches[step]
        return (batch["user"][:, None], batch["item"][:, None]), batch["rating"]


def build(model: Model) -> Any:
    """Build the Keras model with the functional API, holding the weights of `model`.

    It takes rows of users and items, both int32 of shape (n, 1), and gives ratings (n, 1).
    """
    user = keras.Input((1,), dtype="int32", name="user")
    item = keras.Input((1,), dtype="int32", name="item")
    p = _embedding(model, "user_factors")(user)  # (n, 1, k)
    q = _embedding(model, "item_factors")(item)
    interaction = keras.layers.Dot(axes=2, name="dot")([p, q])  # (n, 1, 1)
    biases = [_embedding(model, "user_biases")(user), _embedding(model, "item_biases")(item)]
    rating = keras.layers.Add(name="add")([interaction, *biases])
    rating = keras.layers.Flatten(name="flatten")(rating)
    rating = keras.layers.Rescaling(1.0, offset=model.mu, name="rating")(rating)
    network = keras.Model([user, item], rating, name="mfcli")
    for name, table in model.tables.items():
        network.get_layer(name).set_weights([table.reshape(len(table), -1)])
    return network


def _embedding(model: Model, name: str) -> Any:
    rows, *width = model.tables[name].shape
    of_rating = model.config.rating_regs[name]
    kind = partial(_Penalised, of_rating) if of_rating else keras.layers.Embedding
    return kind(
        rows,
        *(width or [1]),
        embeddings_regularizer=keras.regularizers.L2(model.config.table_regs[name]),
        name=name,
    )


class _Penalised(keras.layers.Embedding):  # type: ignore[misc]
    """Penalises the rows that a batch takes out of it, in the mean over its ratings.

    Keras's own `activity_regularizer` is divided by the size of the batch or not, as the version
    has it.
    """

    def __init__(self, reg: float, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._reg = reg

    def call(self, inputs: Any) -> Any:
        rows = super().call(inputs)
        squares = keras.ops.mean(keras.ops.square(rows), axis=0)
        self.add_loss(self._reg * keras.ops.sum(squares))
        return rows


def optimizer(config: Config) -> Any:
    """Return the Keras optimizer that a config names."""
    if config.optimizer == "adam":
        return keras.optimizers.Adam(config.lr, beta_1=config.momentum)
    return keras.optimizers.SGD(config.lr, momentum=config.momentum, nesterov=config.nesterov)


class _Rates(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the learning rate before each step."""

    def __init__(self, rates: NDArray[np.float64]) -> None:
        super().__init__()
        self._rates = rates

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = float(self._rates[batch])


class _Reporter(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells how many ratings of an epoch are done."""

    def __init__(self, on_progress: Progress, blocks: Blocks) -> None:
        super().__init__()
        self._on_progress, self._blocks = on_progress, blocks

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if logs and not math.isfinite(logs["loss"]):
            self.model.stop_training = True  # nothing comes after that
        if batch % _REPORT == _REPORT - 1:
            done = int(self._blocks.sizes[: batch + 1].sum())
            self._on_progress(done, self._blocks.ratings)
