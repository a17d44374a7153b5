"""`mfcli train`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import MofNCompleteColumn, TextColumn

from mfcli import output
from mfcli.commands.options import (
    AsJson,
    BatchSize,
    BlockCount,
    ConfigFile,
    EngineName,
    Epochs,
    K,
    LearningRate,
    Momentum,
    Nesterov,
    Optimizer,
    Quiet,
    Reg,
    Seed,
    SplitFolder,
    Threads,
    settings_of,
)
from mfcli.config import Config
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.splitting import Split
    from mfcli.training import Epoch, Fit


_TESTED = (
    "epochs are validated on the test ratings; a model chosen by them is not tested any more"
    " (split with --valid 0.1 to choose one)"
)


def train(
    ctx: typer.Context,
    k: K = Config.k,
    reg: Reg = Config.reg,
    epochs: Epochs = Config.epochs,
    batch_size: BatchSize = Config.batch_size,
    lr: LearningRate = Config.lr,
    momentum: Momentum = Config.momentum,
    nesterov: Nesterov = Config.nesterov,
    optimizer: Optimizer = Config.optimizer,
    engine: EngineName = Config.engine,
    blocks: BlockCount = Config.blocks,
    threads: Threads = None,
    seed: Seed = Config.seed,
    split: SplitFolder = Path("split"),
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Folder to write model/ and history.json to; of a k-fold split, in fold-1, ...",
        ),
    ] = Path(),
    config: ConfigFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train the model on a split, or on every fold of a k-fold split."""
    from mfcli.split_folder import folds_of
    from mfcli.training import check_writable

    settings, folds = settings_of(ctx), folds_of(split)
    if out.resolve() == split.resolve():
        raise UsageError(f"--out {out} is the folder of the split; choose another")
    runs = {fold: out / fold.name for fold in folds} or {split: out}
    for target in runs.values():
        check_writable(target)
    results = [
        _train(source, target, settings, threads, json, quiet) for source, target in runs.items()
    ]
    if json:
        output.show({"folds": results} if folds else results[0], json, lambda: None)


def _train(
    split: Path, out: Path, settings: Config, threads: int | None, json: bool, quiet: bool
) -> dict[str, Any]:
    from mfcli.split_folder import read_split
    from mfcli.training import fit

    parts = read_split(split)
    if not json and not quiet:
        _model_table(parts, settings)
    if parts.valid is None:
        output.note(_TESTED, quiet)
    with _epoch_lines(parts, settings, quiet) as (on_epoch, on_progress):
        fitted = fit(
            parts,
            settings,
            threads=threads,
            on_plan=lambda plan: output.note(plan.reason, quiet),
            on_epoch=on_epoch,
            on_progress=on_progress,
        )
    fitted.write(out)
    if not json:
        _training_line(fitted, parts, out)
    return _training_summary(fitted, out)


def _model_table(parts: Split, settings: Config) -> None:
    from mfcli.model import layers

    rows = layers(len(parts.train.users), len(parts.train.items), settings.k)
    table = output.table("Model", "layer", "type", "output shape", "parameters")
    for name, kind, shape, parameters in rows:
        table.add_row(name, kind, str(shape), f"{parameters:,}")
    table.add_section()
    table.add_row("total", "", "", f"{sum(row[-1] for row in rows):,}")
    output.print_table(table)


@contextmanager
def _epoch_lines(
    parts: Split, settings: Config, quiet: bool
) -> Iterator[tuple[Callable[[Epoch], None], output.Advance]]:
    """Print a line an epoch on stderr, above a bar that follows the epoch under way."""
    columns = (MofNCompleteColumn(), TextColumn("ratings"))
    seconds: list[float] = []
    with output.bar("this epoch", quiet, *columns) as (console, advance):

        def on_epoch(epoch: Epoch) -> None:
            seconds.append(epoch.seconds)
            left = (settings.epochs - epoch.epoch) * sum(seconds) / len(seconds)
            if not quiet:
                line = _epoch_line(epoch, settings.epochs, len(parts.train), left)
                console.print(line, soft_wrap=True)
            advance(0, len(parts.train))

        advance(0, len(parts.train))
        yield on_epoch, advance


def _epoch_line(epoch: Epoch, epochs: int, ratings: int, left: float) -> str:
    return (
        f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}"
        f"  train RMSE {epoch.mse**0.5:.4f}"
        f"  validation RMSE {epoch.val_mse**0.5:.4f}"
        f"  {output.duration(epoch.seconds)}"
        f"  {ratings / epoch.seconds:,.0f} ratings/s"
        f"  {output.duration(round(left))} left"
    )


def _training_summary(fitted: Fit, out: Path) -> dict[str, Any]:
    from mfcli.training import HISTORY_FILE, MODEL_FOLDER

    lists = fitted.history.lists
    return {
        "model": str(out / MODEL_FOLDER),
        "history": str(out / HISTORY_FILE),
        "epochs": len(fitted.history),
        "config": fitted.model.config.as_dict(),
        "seconds": sum(lists["seconds"]),
        **{name: lists[name][-1] for name in ("loss", "mse", "val_loss", "val_mse")},
    }


def _training_line(fitted: Fit, parts: Split, out: Path) -> None:
    summary = _training_summary(fitted, out)
    name, held_out = parts.held_out
    epochs = output.count(range(summary["epochs"]), "epoch")
    print(
        f"{summary['model']} and {summary['history']}:"
        f" validation RMSE {summary['val_mse'] ** 0.5:.4f} on {len(held_out):,} {name} ratings"
        f" after {epochs} in {output.duration(summary['seconds'])}"
    )
