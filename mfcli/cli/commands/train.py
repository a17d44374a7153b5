"""`mfcli train`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import MofNCompleteColumn, TextColumn

from mfcli.cli import output
from mfcli.cli.options import (
    AsJson,
    Average,
    BatchSize,
    BlockCount,
    ConfigFile,
    EngineName,
    EnsembleSize,
    Epochs,
    K,
    LearningRate,
    LrEnd,
    LrEvery,
    LrSchedule,
    MinDelta,
    Momentum,
    MomentumEnd,
    MomentumSchedule,
    Nesterov,
    Noise,
    Optimizer,
    Patience,
    Prior,
    Quiet,
    Reg,
    RegItem,
    RegItemBias,
    RegScope,
    RegUser,
    RegUserBias,
    Seed,
    SplitFolder,
    StopOnTest,
    Threads,
    Warmup,
    given_settings,
    refuse,
    settings_of,
)
from mfcli.config import Config
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.splits import Split
    from mfcli.training import Checkpoint, Epoch, Fit, Plan


_TESTED = (
    "epochs are validated on the test ratings; a model chosen by them is not tested any more"
    " (split with --valid 0.1 to choose one)"
)


_OF_DESCENT = (
    "reg", "reg_user", "reg_item", "reg_user_bias", "reg_item_bias", "reg_scope", "batch_size",
    "lr", "lr_schedule", "lr_end", "lr_every", "warmup", "momentum", "momentum_schedule",
    "momentum_end", "nesterov", "blocks",
)  # fmt: skip
"""Settings of descent along the gradient."""

_RESUMED = "going on after epoch {}, with the checkpoint's settings"


def train(
    ctx: typer.Context,
    k: K = Config.k,
    reg: Reg = Config.reg,
    reg_user: RegUser = Config.reg_user,
    reg_item: RegItem = Config.reg_item,
    reg_user_bias: RegUserBias = Config.reg_user_bias,
    reg_item_bias: RegItemBias = Config.reg_item_bias,
    reg_scope: RegScope = Config.reg_scope,
    epochs: Epochs = Config.epochs,
    patience: Patience = Config.patience,
    min_delta: MinDelta = Config.min_delta,
    stop_on_test: StopOnTest = Config.stop_on_test,
    batch_size: BatchSize = Config.batch_size,
    lr: LearningRate = Config.lr,
    lr_schedule: LrSchedule = Config.lr_schedule,
    lr_end: LrEnd = Config.lr_end,
    lr_every: LrEvery = Config.lr_every,
    warmup: Warmup = Config.warmup,
    momentum: Momentum = Config.momentum,
    momentum_schedule: MomentumSchedule = Config.momentum_schedule,
    momentum_end: MomentumEnd = Config.momentum_end,
    average: Average = Config.average,
    nesterov: Nesterov = Config.nesterov,
    optimizer: Optimizer = Config.optimizer,
    prior: Prior = Config.prior,
    noise: Noise = Config.noise,
    engine: EngineName = Config.engine,
    blocks: BlockCount = Config.blocks,
    ensemble: EnsembleSize = Config.ensemble,
    threads: Threads = None,
    seed: Seed = Config.seed,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint; settings are its own.")
    ] = False,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            "--checkpoint-every",
            min=1,
            help="Epochs from one checkpoint to the next.",
            show_default="so that at most a minute is lost",
        ),
    ] = None,
    split: SplitFolder = Path("split"),
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Folder of model/, history.json, checkpoint/; of k-fold splits, in fold-1, ...",
        ),
    ] = Path(),
    config: ConfigFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train the model on a split, or on every fold of a k-fold split."""
    from mfcli.splits import folds_of
    from mfcli.storage import locked
    from mfcli.training import check_writable

    settings, folds = settings_of(ctx), folds_of(split)
    if not resume:  # with it, what is given is compared with the checkpoint's settings
        foreign = _OF_DESCENT if settings.optimizer == "gibbs" else ("prior", "noise")
        refuse(ctx, foreign, f"--optimizer {settings.optimizer}, which has no such thing")
    if out.resolve() == split.resolve():
        raise UsageError(f"--out {out} is the folder of the split; choose another")
    runs = {fold: out / fold.name for fold in folds} or {split: out}
    with ExitStack() as stack:
        for target in runs.values():
            stack.enter_context(locked(target))
            check_writable(target)
        train_one = partial(
            _train,
            settings=settings,
            given=given_settings(ctx),
            threads=threads,
            every=checkpoint_every or 0,
            again=_again(split, out),
            json=json,
            quiet=quiet,
        )
        starts = _checkpoints(list(runs.values())) if resume else dict.fromkeys(runs.values())
        results = [train_one(source, out, starts[out]) for source, out in runs.items()]
    if json:
        output.show({"folds": results} if folds else results[0], json, lambda: None)


def _again(split: Path, out: Path) -> str:
    """Return the command that goes on with a training."""
    places = {"--split": (split, Path("split")), "--out": (out, Path())}
    options = [f" {n} {shlex.quote(str(p))}" for n, (p, default) in places.items() if p != default]
    return f"mfcli train --resume{''.join(options)}"


def _checkpoints(targets: list[Path]) -> dict[Path, Checkpoint | None]:
    """Read the checkpoints of runs; folds that have not begun yet have none."""
    from mfcli.training import CHECKPOINT_FOLDER, read_checkpoint

    folders = {target: target / CHECKPOINT_FOLDER for target in targets}
    if not any(folder.is_dir() for folder in folders.values()):
        read_checkpoint(folders[targets[0]])  # says what is missing
    return {
        target: read_checkpoint(folder) if folder.is_dir() else None
        for target, folder in folders.items()
    }


def _train(
    split: Path,
    out: Path,
    checkpoint: Checkpoint | None,
    *,
    settings: Config,
    given: set[str],
    threads: int | None,
    every: int,
    again: str,
    json: bool,
    quiet: bool,
) -> dict[str, Any]:
    from mfcli.splits import read_split
    from mfcli.training import CHECKPOINT_FOLDER, Diverged, Keeper, fit, resumed

    parts = read_split(split)
    if checkpoint:
        settings = resumed(checkpoint, settings, given)
    keeper = Keeper(out / CHECKPOINT_FOLDER, every)
    with _epoch_lines(parts, settings, quiet) as (on_epoch, on_progress):
        try:
            fitted = fit(
                parts,
                settings,
                threads=threads,
                resume=checkpoint,
                keeper=keeper,
                on_plan=partial(_announce, parts, settings, checkpoint, json, quiet),
                on_epoch=on_epoch,
                on_progress=on_progress,
            )
        except Diverged as error:
            if error.best:
                error.best.write(out)
            raise
        except KeyboardInterrupt:
            before = len(checkpoint.history) if checkpoint else 0
            output.note(_stopped(keeper.kept or before, again), quiet=False)
            raise
    fitted.write(out)
    if not json:
        _training_line(fitted, parts, out)
    return _training_summary(fitted, out)


def _announce(
    parts: Split,
    settings: Config,
    checkpoint: Checkpoint | None,
    json: bool,
    quiet: bool,
    plan: Plan,
) -> None:
    """Say what is going to be trained, and how."""
    if not json and not quiet:
        _model_table(parts, settings)
    if parts.valid is None:
        output.note(_TESTED, quiet)
    if checkpoint:
        output.note(_RESUMED.format(len(checkpoint.history)), quiet)
    output.note(plan.reason, quiet)


def _stopped(kept: int, again: str) -> str:
    """Say what is left of a training that was stopped."""
    if not kept:
        return "stopped before the first checkpoint; nothing was written"
    return f"stopped; the checkpoint after epoch {kept} is kept; go on with: {again}"


def _model_table(parts: Split, settings: Config) -> None:
    from mfcli.model import Network

    layers = Network(len(parts.train.users), len(parts.train.items), settings.width).layers
    table = output.table("Model", "layer", "type", "output shape", "parameters")
    for layer in layers:
        table.add_row(layer.name, layer.kind, str(layer.shape), f"{layer.parameters:,}")
    table.add_section()
    table.add_row("total", "", "", f"{sum(layer.parameters for layer in layers):,}")
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
        "config": fitted.model.config.used("training"),
        "seconds": sum(lists["seconds"]),
        "epoch": fitted.epoch,
        **fitted.losses,
    }


def _training_line(fitted: Fit, parts: Split, out: Path) -> None:
    summary = _training_summary(fitted, out)
    name, held_out = parts.held_out
    epochs = output.count(range(summary["epochs"]), "epoch")
    if 0 < fitted.epoch < summary["epochs"]:
        epochs = f"epoch {fitted.epoch}, the best of {summary['epochs']},"
    print(
        f"{summary['model']} and {summary['history']}:"
        f" validation RMSE {summary['val_mse'] ** 0.5:.4f} on {len(held_out):,} {name} ratings"
        f" after {epochs} in {output.duration(summary['seconds'])}"
    )
