"""The layers of a model, and the progress of its training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from mfcli import model as models, training
from mfcli.cli.formatting import digits
from mfcli.cli.progress import Display, line_interval
from mfcli.cli.screen import Screen
from mfcli.cli.tables import print_table, table as make_table

if TYPE_CHECKING:
    from mfcli.config import Config
    from mfcli.splits import Split
    from mfcli.training import Epoch, History


class Fold(NamedTuple):
    """The number of a fold, counted from 1, and the number of all folds."""

    number: int
    total: int


def print_network(split: Split, config: Config) -> None:
    """Print the layers of the model and their parameters."""
    train = split.train
    layers = models.Network(len(train.users), len(train.items), config.width).layers
    table = make_table("Model", "layer", "type", "output shape", "parameters")
    for layer in layers:
        table.add_row(layer.name, layer.kind, str(layer.shape), f"{layer.parameters:,}")
    table.add_section()
    table.add_row("total", "", "", f"{sum(layer.parameters for layer in layers):,}")
    print_table(table)


@contextmanager
def training_progress(
    screen: Screen,
    config: Config,
    fold: Fold,
    earlier: History | None = None,
    *,
    validated: bool = True,
) -> Iterator[TrainingProgress]:
    """Show the progress of a training on stderr: a live bar, or about ten lines.

    Parameters
    ----------
    screen : Screen
    config : Config
    fold : Fold
    earlier : History, optional
        Of the training that is resumed.
    validated : bool
        Whether epochs are validated.

    Yields
    ------
    TrainingProgress
    """
    with screen.progress() as display:
        shown = TrainingProgress(display, config, fold, validated=validated)
        for epoch in earlier.epochs() if earlier else ():
            shown.resume(epoch)
        yield shown
        shown.finish()


class TrainingProgress:
    """Shows epochs, errors and the time left.

    Its methods `on_epoch` and `on_progress` are arguments of `mfcli.training.fit`.
    """

    def __init__(
        self, display: Display, config: Config, fold: Fold, *, validated: bool = True
    ) -> None:
        self._display, self._config, self._fold = display, config, fold
        self._best = training.BestEpoch(config)
        self._events = training.turning_points(config, validated=validated)
        self._last: Epoch | None = None
        self._unlogged, self._is_first = "", True  # the last line, if it was not printed
        name = "training" if fold.total == 1 else f"fold {fold.number}/{fold.total}"
        # Lines are printed by epoch, so that they do not depend on the speed of the machine.
        self._work = display.work(name, lambda done, total: self._number, logs=False)

    def resume(self, epoch: Epoch) -> None:
        """Continue after an epoch of an earlier run."""
        self._best.offer(epoch)
        self._last = epoch

    def on_progress(self, done: int, total: int) -> None:
        before = (self._fold.number - 1) * self._config.epochs + self._done
        self._work.update(before + done / total, self._fold.total * self._config.epochs)

    def on_epoch(self, epoch: Epoch) -> None:
        self._best.offer(epoch)
        self._last = epoch
        if event := self._events.get(epoch.epoch):
            self._display.event(f"epoch {epoch.epoch}: {event}")
        self.on_progress(0, 1)
        self._display.detail(self._shortly(epoch))
        self._log(epoch)

    def finish(self) -> None:
        """Print the line of the last epoch, also if the training stopped early."""
        if self._unlogged:
            self._display.log(self._unlogged)

    @property
    def _done(self) -> int:
        return self._last.epoch if self._last else 0

    @property
    def _number(self) -> str:
        """The current epoch."""
        return f"epoch {min(self._done + 1, self._config.epochs)}/{self._config.epochs}"

    def _log(self, epoch: Epoch) -> None:
        """Print a line for the first epoch of this run, the last one, and about ten in between."""
        end, line = self._config.epochs, self._line(epoch)
        is_due = epoch.epoch % line_interval(self._fold.total * end) == 0
        if is_due or self._is_first or epoch.epoch == end:
            self._display.log(line)
            line = ""
        self._unlogged, self._is_first = line, False

    def _line(self, epoch: Epoch) -> str:
        end = self._config.epochs
        fold = f"fold {self._fold.number}/{self._fold.total} " if self._fold.total > 1 else ""
        number = f"{fold}epoch {epoch.epoch:>{len(str(end))}}/{end}"
        parts = number, self._trained(epoch), self._validated(epoch), self._work.left
        return "  ".join(filter(None, parts))

    def _shortly(self, epoch: Epoch) -> str:
        if epoch.val_mse is None:
            return self._trained(epoch)
        best = f"best {digits(self._best.value)} at epoch {self._best.epoch}"
        if self._best.measure.is_ranking:
            return f"{self._trained(epoch)}, {self._validated(epoch)}, {best}"
        errors = map(digits, map(math.sqrt, (epoch.mse, epoch.val_mse)))
        return "RMSE train {}, validation {}, {}".format(*errors, best)

    def _trained(self, epoch: Epoch) -> str:
        if self._config.predicts == "scores":  # which have no unit, so their errors say little
            return f"train loss {digits(epoch.loss)}"
        return f"train RMSE {digits(math.sqrt(epoch.mse))}"

    def _validated(self, epoch: Epoch) -> str:
        measure = self._best.measure
        if epoch.val_mse is None:
            return ""
        return f"validation {measure.label} {digits(measure.of_epoch(epoch))}"
