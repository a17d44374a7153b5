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
from mfcli.training.engine import Engine, Losses, State, Update, copy_state
from mfcli.training.held_out import held_out_losses
from mfcli.types import Doubles, Floats, Progress

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
    update : Update, optional
        The state that `restore` gets is that of an earlier training on some of these ratings.
    """

    def __init__(
        self,
        engine: Engine,
        first: int,
        held_out: Ratings | None,
        threads: int = 1,
        update: Update | None = None,
    ) -> None:
        self._engine, self._first, self._update = engine, first, update
        self._held_out, self._threads = held_out, threads
        tables = engine.model().tables
        # float64: many float32 tables are added up.
        self._sums = {name: np.zeros(tables[name].shape) for name in TABLES}
        # How many epochs the sums of each row are worth
        self._counts = {side: np.zeros(len(tables[f"{side}_biases"])) for side in ("user", "item")}

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        losses = self._engine.run_epoch(epoch, on_progress)
        if epoch >= self._first:
            for counts in self._counts.values():
                counts += 1
            for name, table in self._engine.model().tables.items():
                self._sums[name] += table
        return losses

    def validate(self) -> Losses | None:
        # The engine validates its own weights without a copy of the tables.
        if self._held_out is None or self._is_empty:
            return self._engine.validate()
        return held_out_losses(self.model(), self._held_out, self._threads)

    def model(self) -> Model:
        model = self._engine.model()
        if self._is_empty:
            return model
        return model.with_tables({name: self._mean(name, model) for name in TABLES})

    @property
    def _is_empty(self) -> bool:
        return not self._counts["user"].any()

    def _mean(self, name: str, model: Model) -> Floats:
        """Return the mean of a table; rows without epochs have their present values."""
        counts = _columns(self._counts[name[:4]], self._sums[name])
        sums = np.where(counts > 0, self._sums[name], model.tables[name])
        mean: Floats = (sums / np.where(counts > 0, counts, 1)).astype(np.float32)
        return mean

    def state(self) -> State:
        return self._engine.state() | self._averages()

    def sides(self) -> dict[str, str]:
        return self._engine.sides() | {
            name: f"{name.removeprefix(_PREFIX)[:4]}s" for name in self._averages()
        }

    def restore(self, state: State) -> None:
        # Both parts refuse arrays that are not theirs.
        copy_state({n: a for n, a in state.items() if n.startswith(_PREFIX)}, self._averages())
        self._engine.restore({n: a for n, a in state.items() if not n.startswith(_PREFIX)})
        if not self._update:
            return
        # The more ratings of a row are new, the less its earlier epochs are worth.
        for side, kept in zip(self._counts, self._update.kept, strict=True):
            self._counts[side] *= kept**2
            for name in (f"{side}_factors", f"{side}_biases"):
                self._sums[name] *= _columns(kept**2, self._sums[name])

    def _averages(self) -> State:
        sums = {f"{_PREFIX}{name}": sums for name, sums in self._sums.items()}
        return {f"{_PREFIX}{side}s": counts for side, counts in self._counts.items()} | sums


def _columns(values: Doubles, table: Doubles) -> Doubles:
    """Return values of rows in a shape that multiplies the rows of a table."""
    return values[:, None] if table.ndim > 1 else values
