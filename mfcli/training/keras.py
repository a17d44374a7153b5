"""The reference engine: Keras itself."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from mfcli.storage import stderr_held

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with stderr_held():  # TensorFlow prints a page about the hardware when it is imported
    import keras
    import tensorflow as tf

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.model import ROW_PENALTY_LAYER, TABLES, Model, Network
from mfcli.training.engine import Losses, State, copy_state
from mfcli.training.held_out import held_out_losses
from mfcli.training.schedules import rates, step_rates
from mfcli.training.sgd.blocks import Blocks
from mfcli.training.sgd.rows import WEIGHTED, Records
from mfcli.types import Doubles, Progress

_INTERVAL = 32  # steps between two reports of progress
_MOMENTUM = {"sgd": "momentum", "adam": "beta_1"}  # what the optimizers of Keras call it


class KerasEngine:
    """Trains with `keras.Model.fit`.

    Parameters
    ----------
    start : Model
        Its tables are copied into the Keras model.
    blocks : Blocks
        The training ratings; their batches are used in the order of their steps.
    held_out : Ratings, optional
        To validate on.
    """

    def __init__(self, start: Model, blocks: Blocks, held_out: Ratings | None) -> None:
        # Otherwise sums over a batch may be added in any order, and two runs may differ.
        tf.config.experimental.enable_op_determinism()
        self._start, self._blocks, self._held_out = start, blocks, held_out
        self._network = build(start)
        self._network.compile(optimizer=optimizer(start.config), loss="mse", metrics=["mse"])
        _make_variables(self._network)

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        self._set_rates(epoch)
        fitted = self._network.fit(
            _Batches(list(self._blocks.serial(self._start.config.seed, epoch))),
            # `serial` has shuffled the ratings already.
            shuffle=False,
            verbose=0,
            callbacks=[_Reporter(on_progress, self._blocks), *self._step_rates(epoch)],
        )
        return Losses(fitted.history["loss"][0], fitted.history["mse"][0])

    def validate(self) -> Losses | None:
        if self._held_out is None:
            return None
        return held_out_losses(self.model(), self._held_out)

    def model(self) -> Model:
        # An Embedding layer has a matrix, (n, 1) for biases; a model has vectors of biases.
        tables = {name: self._network.get_layer(name).get_weights()[0] for name in TABLES}
        return self._start.with_tables(
            {n: t[:, 0] if n.endswith("biases") else t for n, t in tables.items()}
        )

    def state(self) -> State:
        return {name: np.asarray(variable) for name, variable in self._variables().items()}

    def sides(self) -> dict[str, str]:
        # Paths name the table, as in "user_factors/embeddings", also for velocities.
        sides = {"user_": "users", "item_": "items"}
        return {
            name: side
            for name, variable in self._variables().items()
            for part, side in sides.items()
            if part in variable.path
        }

    def restore(self, state: State) -> None:
        # Check names and shapes before any variable changes.
        arrays = {name: array.copy() for name, array in self.state().items()}
        copy_state(state, arrays)
        for name, variable in self._variables().items():
            variable.assign(arrays[name])

    def _variables(self) -> dict[str, Any]:
        """Return the weights and the variables of the optimizer: velocities, step count, ..."""
        variables = [*self._network.variables, *self._network.optimizer.variables]
        # The names of variables in Keras are not unique; their order is fixed.
        return {f"{number:03}": variable for number, variable in enumerate(variables)}

    def _set_rates(self, epoch: int) -> None:
        """Set the learning rate and the momentum of an epoch."""
        optimizer = self._network.optimizer
        optimizer.learning_rate, momentum = rates(self._start.config, epoch)
        name = _MOMENTUM[self._start.config.optimizer]
        if getattr(optimizer, name) != momentum:  # a constant of the compiled step
            setattr(optimizer, name, momentum)
            self._network.make_train_function(force=True)

    def _step_rates(self, epoch: int) -> list[Any]:
        """Return a callback that sets the learning rate of each step, if steps differ."""
        if self._start.config.lr_every == "epoch":
            return []
        return [_StepRates(step_rates(self._start.config, epoch, len(self._blocks.sizes)))]


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of different sizes, in the form that Keras reads."""

    def __init__(self, batches: list[Records]) -> None:
        super().__init__()
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, step: int) -> Any:
        # Keras takes ids of shape (B, 1) for the inputs of the network.
        batch = self._batches[step]
        inputs = batch["user"][:, None], batch["item"][:, None]
        if batch.dtype == WEIGHTED:  # the third is `sample_weight`
            return inputs, batch["rating"], batch["weight"]
        return inputs, batch["rating"]


def build(model: Model) -> Any:
    """Build the Keras network of a model, with its weights and its penalties."""
    network = Network(
        len(model.users),
        len(model.items),
        model.k,
        model.mu,
        regs=model.config.table_regs,
        row_regs=model.config.rating_regs,
    )
    built = keras.saving.deserialize_keras_object(
        network.keras_config(), custom_objects={ROW_PENALTY_LAYER: _PenalizedEmbedding}
    )
    for name, table in model.tables.items():
        built.get_layer(name).set_weights([table.reshape(len(table), -1)])
    return built


def _make_variables(network: Any) -> None:
    """Make the variables of the optimizer and the metrics, before the first step would.

    Keras compiles a step that makes variables twice. A restored run needs the velocities at once.
    """
    zero = np.zeros((1, 1), np.float32)
    network.optimizer.build(network.trainable_variables)
    network.compute_loss(y=zero, y_pred=zero)
    network.compute_metrics(None, zero, zero)
    network.reset_metrics()


class _PenalizedEmbedding(keras.layers.Embedding):  # type: ignore[misc]
    """Adds the mean penalty of the rows of a batch to the loss.

    Whether Keras divides an `activity_regularizer` by the batch size depends on its version.
    """

    def __init__(self, reg: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._reg = reg

    def call(self, inputs: Any) -> Any:
        rows = super().call(inputs)
        # rows: (B, 1, k); the mean is over the batch, the sum over the values of a row
        squares = keras.ops.mean(keras.ops.square(rows), axis=0)
        self.add_loss(self._reg * keras.ops.sum(squares))
        return rows


def optimizer(config: Config) -> Any:
    """Return the Keras optimizer of a config."""
    make = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[config.optimizer]
    more = {"nesterov": config.nesterov} if config.optimizer == "sgd" else {}
    return make(config.lr, **{_MOMENTUM[config.optimizer]: config.momentum}, **more)


class _StepRates(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the learning rate before each step."""

    def __init__(self, rates: Doubles) -> None:
        super().__init__()
        self._rates = rates

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = float(self._rates[batch])


class _Reporter(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports progress, and stops an epoch whose loss is no longer finite."""

    def __init__(self, on_progress: Progress, blocks: Blocks) -> None:
        super().__init__()
        self._on_progress, self._blocks = on_progress, blocks

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if logs and not math.isfinite(logs["loss"]):
            self.model.stop_training = True
        # Reports after every step would slow down training.
        if batch % _INTERVAL == _INTERVAL - 1:
            done = int(self._blocks.sizes[: batch + 1].sum())
            self._on_progress(done, self._blocks.ratings)
