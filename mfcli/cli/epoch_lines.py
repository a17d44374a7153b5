"""The layers of a model, and one line per epoch while it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import MofNCompleteColumn, TextColumn

from mfcli import model as models
from mfcli.cli.formatting import duration
from mfcli.cli.screen import Screen
from mfcli.cli.tables import print_table, table as make_table

if TYPE_CHECKING:
    from mfcli.config import Config
    from mfcli.splits import Split
    from mfcli.training import Epoch
    from mfcli.types import Progress


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
def epoch_lines(
    split: Split, config: Config, screen: Screen
) -> Iterator[tuple[Callable[[Epoch], None], Progress]]:
    """Print one line per epoch on stderr, above a bar that follows the current epoch.

    Yields
    ------
    on_epoch, advance : callable
        For the arguments `on_epoch` and `on_progress` of `mfcli.training.fit`.
    """
    ratings = len(split.train)
    seconds: list[float] = []
    columns = (MofNCompleteColumn(), TextColumn("ratings"))
    # Not at once: the layers of the model are printed to stdout after this block begins.
    with screen.bar("this epoch", *columns, at_once=False) as (console, advance):

        def on_epoch(epoch: Epoch) -> None:
            seconds.append(epoch.seconds)
            # The mean over this run: the epochs before it may have run on another machine.
            left = (config.epochs - epoch.epoch) * sum(seconds) / len(seconds)
            if not screen.quiet:
                console.print(_line(epoch, config.epochs, ratings, left), soft_wrap=True)
            advance(0, ratings)  # the next epoch

        yield on_epoch, advance


def _line(epoch: Epoch, epochs: int, ratings: int, left: float) -> str:
    return (
        f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}"
        f"  train RMSE {epoch.mse**0.5:.4f}"
        f"  validation RMSE {epoch.val_mse**0.5:.4f}"
        f"  {duration(epoch.seconds)}"
        f"  {ratings / epoch.seconds:,.0f} ratings/s"
        f"  {duration(round(left))} left"  # an estimate, so without fractions of a second
    )
