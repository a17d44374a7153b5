"""`mfcli train`."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import splits, storage, training
from mfcli.cli.epoch_lines import epoch_lines, print_network
from mfcli.cli.formatting import count, duration
from mfcli.cli.options import FILES, SettingsGroup
from mfcli.cli.screen import Screen, ScreenOptions, warn
from mfcli.cli.setting_options import Settings
from mfcli.cli.shared_options import SplitFolder, Threads
from mfcli.cli.streams import print_line
from mfcli.config import TRAINING, Config
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.splits import Split
    from mfcli.training import Checkpoint, Fit, Plan

_ON_TEST = (
    "validation uses the test ratings, because the split has no validation ratings; choosing a"
    " model on them biases the test (split with --valid 0.1)"
)


def train(
    settings: Annotated[Settings, SettingsGroup(TRAINING, may_be_unused=True)],
    screen: ScreenOptions,
    threads: Threads = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue from the checkpoint, with its settings.",
            rich_help_panel="Run",
        ),
    ] = False,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            "--checkpoint-every",
            min=1,
            help="Epochs between checkpoints.",
            show_default="as needed to lose at most a minute",
            rich_help_panel="Run",
        ),
    ] = None,
    split: SplitFolder = Path("split"),
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder for model/, history.json and checkpoint/.",
            rich_help_panel=FILES,
        ),
    ] = Path(),
) -> None:
    """Train a model on a split.

    With a k-fold split, one model per fold is trained, in fold-1/, fold-2/, ...
    """
    if not resume:  # the checkpoint's settings decide which options are used
        settings.refuse_unused()
    if out.resolve() == split.resolve():
        raise UsageError(f"--out {out} is the split folder; choose another")
    folds = splits.folds_of(split)
    targets = {fold: out / fold.name for fold in folds} or {split: out}
    run = _Run(settings, threads, checkpoint_every or 0, _resume_command(split, out), screen)
    with ExitStack() as stack:
        for target in targets.values():
            stack.enter_context(storage.locked(target))
            training.check_writable(target)
        starts = _checkpoints(list(targets.values())) if resume else {}
        results = [run.train(part, out, starts.get(out)) for part, out in targets.items()]
    if screen.json:
        screen.show({"folds": results} if folds else results[0], lambda: None)


def _resume_command(split: Path, out: Path) -> str:
    places = {"--split": (split, Path("split")), "--out": (out, Path())}
    options = [f" {n} {shlex.quote(str(p))}" for n, (p, default) in places.items() if p != default]
    return f"mfcli train --resume{''.join(options)}"


def _checkpoints(targets: list[Path]) -> dict[Path, Checkpoint]:
    """Read the checkpoints of runs; folds that have not started have none."""
    folders = {target: target / training.CHECKPOINT_FOLDER for target in targets}
    present = {target: folder for target, folder in folders.items() if folder.is_dir()}
    if not present:
        training.read_checkpoint(folders[targets[0]])  # raises: there is none
    return {target: training.read_checkpoint(folder) for target, folder in present.items()}


@dataclass(frozen=True)
class _Run:
    """What the trainings of all folds share."""

    settings: Settings
    threads: int | None
    checkpoint_every: int
    resume_command: str
    screen: Screen

    def train(self, split: Path, out: Path, checkpoint: Checkpoint | None) -> dict[str, Any]:
        """Train on a split folder, write the results, and return a summary."""
        parts, config = splits.read_split(split), self.settings.config
        if checkpoint:
            config = training.resumed(checkpoint, config, self.settings.given)
        fitted = self._fit(parts, config, out, checkpoint)
        fitted.write(out)
        summary = _summary(fitted, out)
        if not self.screen.json:
            _print_result(fitted, parts, summary)
        return summary

    def _fit(self, parts: Split, config: Config, out: Path, checkpoint: Checkpoint | None) -> Fit:
        keeper = training.Keeper(out / training.CHECKPOINT_FOLDER, self.checkpoint_every)

        def on_plan(plan: Plan) -> None:
            self._announce(parts, config, checkpoint, plan)
            on_progress(0, len(parts.train))

        with epoch_lines(parts, config, self.screen) as (on_epoch, on_progress):
            try:
                return training.fit(
                    parts,
                    config,
                    threads=self.threads,
                    resume=checkpoint,
                    keeper=keeper,
                    on_plan=on_plan,
                    on_epoch=on_epoch,
                    on_progress=on_progress,
                )
            except training.Diverged as error:
                if error.best:
                    error.best.write(out)
                raise
            except KeyboardInterrupt:
                kept = keeper.kept or (len(checkpoint.history) if checkpoint else 0)
                warn(self._stopped(kept))
                raise

    def _announce(
        self, parts: Split, config: Config, checkpoint: Checkpoint | None, plan: Plan
    ) -> None:
        """Print what is about to be trained, and how."""
        if not self.screen.json and not self.screen.quiet:
            print_network(parts, config)
        if parts.valid is None:
            self.screen.note(_ON_TEST)
        if checkpoint:
            epoch = len(checkpoint.history)
            self.screen.note(f"resuming after epoch {epoch}, with the settings of the checkpoint")
        self.screen.note(plan.reason)

    def _stopped(self, kept: int) -> str:
        if not kept:
            return "stopped before the first checkpoint; nothing was written"
        return f"stopped; the last checkpoint is after epoch {kept}; resume: {self.resume_command}"


def _summary(fitted: Fit, out: Path) -> dict[str, Any]:
    return {
        "model": str(out / training.MODEL_FOLDER),
        "history": str(out / training.HISTORY_FILE),
        "epochs": len(fitted.history),
        "config": fitted.model.config.used(TRAINING),
        "seconds": sum(fitted.history.lists["seconds"]),
        "epoch": fitted.epoch,
        **fitted.losses,
    }


def _print_result(fitted: Fit, parts: Split, summary: dict[str, Any]) -> None:
    name, held_out = parts.held_out
    epochs = count(summary["epochs"], "epoch")
    if 0 < fitted.epoch < summary["epochs"]:
        epochs = f"epoch {fitted.epoch}, the best of {summary['epochs']},"
    print_line(
        f"{summary['model']} and {summary['history']}:"
        f" validation RMSE {summary['val_mse'] ** 0.5:.4f} on {len(held_out):,} {name} ratings"
        f" after {epochs} in {duration(summary['seconds'])}"
    )
