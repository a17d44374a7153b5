"""The mean of the weights after each of the last epochs.

Momentum descent ends up moving around a minimum; the mean of its places is nearer (B. T. Polyak and
A. B. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control and
Optimization 30, 1992; once an epoch: P. Izmailov et al., "Averaging weights leads to wider optima
and better generalization", UAI 2018). Training itself goes on as without.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Ratings
from mfcli.model import TABLES, Model
from mfcli.training.engines import Engine, Losses, Progress, take_over
from mfcli.training.penalties import penalty

_BEGIN = "average."


class Averaging:
    """Lets an engine train, and gives the mean of its models.

    Parameters
    ----------
    engine : Engine
    first : int
        Epoch from which on models count, from 1; before it, the model is the engine's own.
    held_out : Ratings
        To validate the mean on.
    """

    def __init__(self, engine: Engine, first: int, held_out: Ratings) -> None:
        self._engine, self._first, self._held_out = engine, first, held_out
        own = engine.model().tables
        self._sums = {name: np.zeros(own[name].shape) for name in TABLES}
        self._count = np.zeros(1, np.int64)

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        losses = self._engine.run_epoch(epoch, on_progress)
        if epoch >= self._first:
            self._count += 1
            for name, table in self._engine.model().tables.items():
                self._sums[name] += table
        return losses

    def validate(self) -> Losses:
        if not self._count[0]:
            return self._engine.validate()
        model = self.model()
        predicted = model.predict_rows(self._held_out.user, self._held_out.item)
        mse = float(np.mean(np.square(predicted - self._held_out.rating), dtype=np.float64))
        return Losses(mse + penalty(model, self._held_out), mse)

    def model(self) -> Model:
        model, count = self._engine.model(), int(self._count[0])
        if not count:
            return model
        means = {name: (sums / count).astype(np.float32) for name, sums in self._sums.items()}
        return model.with_tables(means)

    def state(self) -> dict[str, NDArray[Any]]:
        return self._engine.state() | self._own()

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        take_over(self._own(), {n: a for n, a in state.items() if n.startswith(_BEGIN)})
        self._engine.restore({n: a for n, a in state.items() if not n.startswith(_BEGIN)})

    def _own(self) -> dict[str, NDArray[Any]]:
        own = {f"{_BEGIN}{name}": sums for name, sums in self._sums.items()}
        return {f"{_BEGIN}count": self._count, **own}
