"""`mfcli train`."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli import (
    checks as checking,
    config as configs,
    events,
    splits,
    storage,
    training,
)
from mfcli.arguments import is_address
from mfcli.cli.cluster_options import cluster_params, on_cluster
from mfcli.cli.dry_run import DryRun, show_forecast
from mfcli.cli.followers import FollowerOptions, Followers
from mfcli.cli.options import FILES, SettingsGroup
from mfcli.cli.outdated_results import older_metrics_noted
from mfcli.cli.places import RUN
from mfcli.cli.resource_options import within_limits
from mfcli.cli.screen import Screen, ScreenOptions
from mfcli.cli.setting_options import Settings
from mfcli.cli.shared_options import SplitFolder, Threads, refuse
from mfcli.cli.spelling import spelled
from mfcli.cli.trainings import VALIDATION, Trainings
from mfcli.config import SETTINGS, TRAINING, value_text
from mfcli.errors import Param, UsageError

if TYPE_CHECKING:
    from mfcli.events import Follower
    from mfcli.training import Checkpoint

_TRAIN = ("train",)
_NOT_WITH_REFIT = (*VALIDATION, "patience", "min_delta", "stop_on_test")


@within_limits(inside=True)
@on_cluster(result="With sgd, the result is the same for the same --blocks.")
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
    refit: Annotated[
        bool,
        typer.Option(
            "--refit",
            help="Train on all parts of the split, test ratings included, for the best number of"
            " epochs in history.json.",
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
    dry_run: DryRun = False,
    split: SplitFolder = Path("split"),
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder for model/, history.json and checkpoint/, or its address, to which only"
            " one training may write at a time.",
            rich_help_panel=FILES,
        ),
        RUN,
    ] = Path(),
    *,
    follow: FollowerOptions,
) -> None:
    """Train a model on a split.

    With a k-fold split, one model per fold is trained, in fold-1/, fold-2/, ...

    Which objective: to predict ratings, gibbs (mfcli init) has the lowest errors. To recommend
    items, als with unrated pairs (mfcli init --for ranking) ranks best; it also trains on events
    and play counts. als without unrated pairs predicts ratings with few epochs. sgd makes the same
    updates as Keras.
    """
    if not resume:  # the checkpoint's settings decide which options are used
        settings.refuse_unused(TRAINING)
    # A split folder that holds other files could not be replaced by a new split.
    if storage.address_of(out.resolve()) == storage.address_of(split.resolve()):
        raise UsageError(f"--out {out} is the split folder; choose another")
    folds = splits.folds_of(split)
    if refit and folds:
        raise UsageError(
            f"--refit is not used with a k-fold split, got {split}",
            remedy="to train on all ratings, split again with --no-test",
        )
    targets = {fold: out / fold.name for fold in folds} or {split: out}
    with ExitStack() as stack:
        if dry_run:
            stack.enter_context(storage.inspecting())
        # All folds before any work: the last fold must not fail after hours.
        for target in targets.values():
            stack.enter_context(storage.locked(target))  # not at an address, which has no locks
            training.check_writable(target)
        starts: dict[Path, Checkpoint] = {}
        if resume:
            given, settings = settings, settings.apart_from_environment()
            starts = _checkpoints(targets, settings)
            _note_unused(given, next(iter(starts.values())), screen)
        refit = refit or any(start.trained_on != _TRAIN for start in starts.values())
        if refit:
            refuse(settings.options, _NOT_WITH_REFIT, "with --refit", "omit it")
        command = _resume_command(split, out, follow, settings if resume else None)
        follow.check(split, targets.values())
        followers = stack.enter_context(follow.opened())
        run = Trainings(
            settings, threads, checkpoint_every or 0, targets, starts, command, screen, refit,
            followers, _name(starts, followers),
        )  # fmt: skip
        if dry_run:
            looked = [run.looked_at(part) for part in targets]
            forecast = checking.forecast_training(
                looked, threads, log=follow.log, tensorboard=follow.tensorboard
            )
            show_forecast(forecast, settings.source, screen)
            return
        stack.enter_context(older_metrics_noted(out, targets.values(), screen, refit=refit))
        results = [run.train(part) for part in targets]
    # Without --json, each fold has printed its result when it was done.
    if screen.json:
        screen.show({"folds": results} if folds else results[0], lambda: None)


def _resume_command(split: Path, out: Path, follow: Followers, settings: Settings | None) -> str:
    """Return the command that resumes; an option that changes the end is not in all checkpoints."""
    # Defaults are left out: a short command is easier to copy.
    places = {"split": (split, Path("split")), "out": (out, Path())}
    params = [
        Param(name, _named(place)) for name, (place, default) in places.items() if place != default
    ]
    params += follow.params
    if settings:
        ends = [name for name in settings.options if SETTINGS[name].ends_training]
        params += [Param(name, settings.values[name]) for name in ends]
    memory = storage.current_resources().memory
    if memory is not None:
        params.append(Param("memory", storage.exact_size(memory)))
    params += cluster_params()
    return " ".join(["mfcli train --resume", *map(spelled, params)])


def _named(path: Path) -> str:
    """Return how a command names a path, or the address that it is a copy of."""
    address = storage.address_of(path)
    return storage.without_secrets(address) if is_address(address) else str(path)


def _name(starts: dict[Path, Checkpoint], followers: Collection[Follower]) -> str:
    """Return the name of a run for those who follow it: that of the run that it resumes, if any."""
    earlier = next((start.run for start in starts.values() if start.run), "")
    return events.run_name(earlier) if earlier or followers else ""


def _checkpoints(targets: dict[Path, Path], settings: Settings) -> dict[Path, Checkpoint]:
    """Read the checkpoints of a run by split; folds that have not started may have none."""
    folders = {part: target / training.CHECKPOINT_FOLDER for part, target in targets.items()}
    present = {part: folder for part, folder in folders.items() if folder.is_dir()}
    if not present:
        training.read_checkpoint(next(iter(folders.values())))  # raises: there is none
    found = {part: training.read_checkpoint(folder) for part, folder in present.items()}
    # Check all folds before the first one resumes.
    for part, checkpoint in found.items():
        checkpoint.check_split(splits.split_hash(part))
    configs = {part.name: training.resumed(one, settings.values) for part, one in found.items()}
    training.check_same_run(configs)
    for name in settings.options:
        next(iter(configs.values())).refuse_unused(name, TRAINING)
    return found


def _note_unused(given: Settings, checkpoint: Checkpoint, screen: Screen) -> None:
    """Name the environment variables that differ from a checkpoint, whose settings count."""
    for name in sorted(given.environment):
        kept, value = getattr(checkpoint.config, name), given.values[name]
        if TRAINING in SETTINGS[name].stages and kept != value:
            variable = f"{configs.variable_of(name)}={value_text(value)}"
            screen.note(f"{variable} is not used: the checkpoint has {name} {value_text(kept)}")
