"""What `mfcli train` would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mfcli.checks.forecast import (
    Forecast,
    Input,
    Needed,
    Output,
    memory_of,
    output,
    size_of,
    space_of,
)
from mfcli.checks.speeds import (
    MEASURED_ON,
    epoch_seconds,
    preparing_seconds,
    start_seconds,
)
from mfcli.checks.training_sizes import (
    board_bytes,
    checkpoint_bytes,
    history_bytes,
    log_bytes,
    model_bytes,
)
from mfcli.config import Config
from mfcli.data import rows_of
from mfcli.model import MODEL_FOLDER
from mfcli.splits import Split
from mfcli.storage import check_space, threads_of
from mfcli.training import CHECKPOINT_FOLDER, HISTORY_FILE, Checkpoint, Prepared, prepare

TIMED = (
    f"The time is an estimate for {MEASURED_ON}.",
    "The first time, compiling the kernels takes up to 20 s more.",
)


@dataclass(frozen=True)
class Training:
    """A training that is looked at.

    Attributes
    ----------
    folder : Path
        Of the split.
    split : Split
    config : Config
    out : Path
        Folder of the results.
    resume : Checkpoint or None
    """

    folder: Path
    split: Split
    config: Config
    out: Path
    resume: Checkpoint | None = None

    @property
    def done(self) -> int:
        """The number of epochs that were done before."""
        return len(self.resume.history) if self.resume else 0

    @property
    def left(self) -> int:
        """The number of epochs that are left, at most."""
        return max(self.config.epochs - self.done, 0)


def forecast_training(
    trainings: Sequence[Training],
    threads: int | None = None,
    *,
    log: Path | None = None,
    tensorboard: Path | None = None,
) -> Forecast:
    """Say what trainings need that run one after the other; refuse what `fit` refuses.

    Parameters
    ----------
    trainings : sequence of Training
        At least one; several for folds.
    threads : int, optional
    log, tensorboard : Path, optional
        To which events are appended, and the folder of a new folder for TensorBoard.

    Raises
    ------
    MfcliError
        As `fit`, or if there is not enough space for the results.
    """
    cores = threads_of(threads)
    prepared = [prepare(one.split, one.config, one.resume) for one in trainings]
    first, plan = trainings[0], prepared[0].plan
    most = max(made.plan.memory for made in prepared)
    results = [one for training in trainings for one in _outputs(training)]
    seconds = sum(
        training_seconds(one.split, made, cores, done=one.done)
        for one, made in zip(trainings, prepared, strict=True)
    )
    facts = {
        "model": f"{first.config.optimizer}, k {first.config.k}",
        "engine": plan.reason,
        "threads": str(cores),
        "epochs": _epochs(first),
        "packed ratings": "on disk" if plan.on_disk else "in memory",
    }
    if len(trainings) > 1:
        facts["folds"] = str(len(trainings))  # one after the other
    return Forecast(
        facts=facts,
        reads=_inputs(trainings),
        writes=[*results, *_events(trainings, log, tensorboard)],
        memory=memory_of(most),
        temporary=_temporary(prepared),
        space=space_of(first.out / MODEL_FOLDER, results),
        seconds=start_seconds(plan) + seconds,
        assumed=[*TIMED],
    )


def training_seconds(split: Split, made: Prepared, threads: int, *, done: int = 0) -> float:
    """Estimate the time of a training of which some epochs are done."""
    held_out = split.held_out
    ratings = len(split.train) + (len(held_out[1]) if held_out else 0)
    users, items = len(split.train.users), len(split.train.items)
    config = made.config
    each = epoch_seconds(made.plan, config, ratings, users, items, threads)
    return preparing_seconds(made.plan, len(split.train)) + each * max(config.epochs - done, 0)


def _epochs(training: Training) -> str:
    epochs, patience = f"{training.config.epochs:,}", training.config.patience
    if training.resume and training.resume.has_state:
        epochs += f", of which {training.done:,} are done"
    return f"{epochs}, or fewer (patience {patience})" if patience else epochs


def _inputs(trainings: Sequence[Training]) -> list[Input]:
    inputs: dict[Path, Input] = {}
    for one in trainings:
        # Folds have their ratings in common, which are in the folder above.
        is_fold = not (one.folder / "users.arrow").exists()
        home = one.folder.resolve().parent if is_fold else one.folder
        contents = contents_of(one.split)
        if len(trainings) > 1:
            contents = f"{len(trainings)} folds, such as {contents}"
        place = one.folder if len(trainings) == 1 else one.folder.parent
        inputs[place] = inputs.get(place) or Input(str(place), size_of(home), contents)
        if one.resume:
            folder = one.out / CHECKPOINT_FOLDER
            after = f"after epoch {one.done}"
            inputs[folder] = Input(str(folder), size_of(folder), f"checkpoint {after}")
    return [*inputs.values()]


def contents_of(split: Split) -> str:
    """Return the numbers of ratings, users and items of a split in words."""
    parts = ", ".join(f"{len(part):,} {name}" for name, part in split.parts.items())
    users, items = len(split.train.users), len(split.train.items)
    return f"{rows_of(split.feedback)}: {parts}; {users:,} users, {items:,} items"


def _outputs(training: Training) -> list[Output]:
    split, config, out = training.split, training.config, training.out
    return [
        output(out / MODEL_FOLDER, model_bytes(split, config)),
        output(out / HISTORY_FILE, history_bytes(split, config)),
        output(out / CHECKPOINT_FOLDER, checkpoint_bytes(split, config)),
    ]


def _events(
    trainings: Sequence[Training], log: Path | None, tensorboard: Path | None
) -> list[Output]:
    """Return the files of events, which a training does without if the disk is full."""
    return [
        Output(str(place), sum(size(one.split, one.config, one.left) for one in trainings), None)
        for place, size in ((log, log_bytes), (tensorboard, board_bytes))
        if place
    ]


def _temporary(prepared: Sequence[Prepared]) -> Needed | None:
    need = max(made.plan.on_disk for made in prepared)
    if not need:
        return None
    folder, free = check_space(need, "training")
    return Needed(need, free, str(folder))
