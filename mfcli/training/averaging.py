"""Averages the weights after each of the last epochs.

SGD with momentum ends up moving around a minimum, and the mean of the weights is closer to it (B.
T. Polyak and A. B. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J.
Control and Optimization 30, 1992; once per epoch: P. Izmailov et al., "Averaging weights leads to
wider optima and better generalization", UAI 2018). Training itself does not change.
"""

from __future__ import annotations

import numpy as np

from mfcli.data import Ratings
from mfcli.model import TABLES, Model
from mfcli.training.engine import Engine, Losses, State, copy_state
from mfcli.training.held_out import held_out_losses
from mfcli.types import Progress

_PREFIX = "average."


class Averaging:
    """Trains with another engine and averages its models.

    Parameters
    ----------
    engine : Engine
    first : int
        First epoch, counted from 1, that is averaged. Before it, the model is that of the engine.
    held_out : Ratings, optional
        To validate the mean on.
    threads : int
        For validation; does not change the result.
    """

    def __init__(
        self, engine: Engine, first: int, held_out: Ratings | None, threads: int = 1
    ) -> None:
        self._engine, self._first = engine, first
        self._held_out, self._threads = held_out, threads
        tables = engine.model().tables
        # float64: many float32 tables are added up.
        self._sums = {name: np.zeros(tables[name].shape) for name in TABLES}
        self._count = np.zeros(1, np.int64)

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        losses = self._engine.run_epoch(epoch, on_progress)
        if epoch >= self._first:
            self._count += 1
            for name, table in self._engine.model().tables.items():
                self._sums[name] += table
        return losses

    def validate(self) -> Losses | None:
        # The engine validates its own weights without a copy of the tables.
        if self._held_out is None or not self._count[0]:
            return self._engine.validate()
        return held_out_losses(self.model(), self._held_out, self._threads)

    def model(self) -> Model:
        model, count = self._engine.model(), int(self._count[0])
        if not count:
            return model
        means = {name: (sums / count).astype(np.float32) for name, sums in self._sums.items()}
        return model.with_tables(means)

    def state(self) -> State:
        return self._engine.state() | self._averages()

    def restore(self, state: State) -> None:
        # Both parts refuse arrays that are not theirs.
        copy_state({n: a for n, a in state.items() if n.startswith(_PREFIX)}, self._averages())
        self._engine.restore({n: a for n, a in state.items() if not n.startswith(_PREFIX)})

    def _averages(self) -> State:
        sums = {f"{_PREFIX}{name}": sums for name, sums in self._sums.items()}
        return {f"{_PREFIX}count": self._count, **sums}
