"""Training: epochs one after another, each validated, and what they come to."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mfcli.config import DEFAULTS, Config
from mfcli.errors import ConfigError, TrainingError
from mfcli.model import NAMES, Model, initial_model
from mfcli.splits import Split
from mfcli.storage import check_memory, check_replaceable, check_writable_file, cores
from mfcli.training.checkpoints import (
    CHECKPOINT_FOLDER,
    NAMES as CHECKPOINT_NAMES,
    Checkpoint,
    Keeper,
)
from mfcli.training.engines import Engine, Plan, Progress, make_engine, make_plan, training_memory
from mfcli.training.history import HISTORY_FILE, Epoch, History
from mfcli.training.stable_rate import stable_rate

MODEL_FOLDER = "model"


@dataclass(frozen=True)
class Fit:
    """A trained model and how it got there.

    Attributes
    ----------
    model : Model
    history : History
    epoch : int
        The one that the model is of, from 1; 0 for the last.
    """

    model: Model
    history: History
    epoch: int = 0

    @property
    def losses(self) -> dict[str, float]:
        """The losses of the model's epoch."""
        names = [name for name in self.history.lists if name != "seconds"]
        return {name: self.history.lists[name][self.epoch - 1] for name in names}

    def write(self, folder: Path | str) -> None:
        """Write `model/` and `history.json` into a folder.

        Raises
        ------
        ArtifactError
            If it cannot be written.
        """
        folder = Path(folder)
        dataclasses.replace(self.model, losses=self.losses).save(folder / MODEL_FOLDER)
        self.history.write(folder / HISTORY_FILE)


class Diverged(TrainingError):
    """The error grew beyond the scale of the ratings, or is no number any more.

    Attributes
    ----------
    best : Fit or None
        The model after the epoch with the least validation error, and the history up to it; None
        if the first epoch diverged.
    """

    def __init__(self, message: str, best: Fit | None) -> None:
        super().__init__(message)
        self.best = best


def check_writable(folder: Path) -> None:
    """Find out before training whether its results could be written to a folder.

    Raises
    ------
    ArtifactError
    """
    check_replaceable(folder / MODEL_FOLDER, NAMES)
    check_replaceable(folder / CHECKPOINT_FOLDER, CHECKPOINT_NAMES)
    check_writable_file(folder / HISTORY_FILE)


def start(split: Split, config: Config) -> Model:
    """Return the model that training starts from: its weights are drawn from the seed."""
    rng = np.random.default_rng([config.seed, 0])
    return initial_model(split.train, split.scale, config, split.hash, rng)


def fit(
    split: Split,
    config: Config = DEFAULTS,
    *,
    threads: int | None = None,
    resume: Checkpoint | None = None,
    keeper: Keeper | None = None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_progress: Progress = lambda done, total: None,
) -> Fit:
    """Train the model on a split.

    Parameters
    ----------
    split : Split
        Trained on `train`; validated on `valid`, or on `test` where it has none.
    config : Config
        With `patience`, training ends when the validation error has not fallen for so many epochs,
        and the model is that of the best epoch.
    threads : int, optional
        For the fast engine, the cores by default; the result does not depend on it.
    resume : Checkpoint, optional
        To go on from. The result is the same bits as without the interruption.
    keeper : Keeper, optional
        Writes checkpoints.
    on_plan : callable, optional
        Told, before training, which engine is used and why.
    on_epoch : callable, optional
        Told each epoch when it has ended.
    on_progress : callable, optional
        Told the ratings done within an epoch, and all of them.

    Raises
    ------
    ConfigError
        If the config asks an engine for what it cannot do, or for early stopping on a split that
        has no validation ratings: a model chosen on test ratings is not tested any more.
    ArtifactError
        If the checkpoint is of another split or config.
    LimitError
        If there is not enough memory.
    Diverged
        If the error grows beyond all bounds.
    """
    if config.patience and split.valid is None and not config.stop_on_test:
        raise ConfigError(
            f"patience {config.patience} needs validation ratings to stop by; split with"
            " --valid 0.1, or stop by the test ratings with --stop-on-test"
        )
    plan = make_plan(split.train, config)
    config = dataclasses.replace(config, engine=plan.engine, blocks=plan.groups)
    if resume:
        resume.check(config, split.hash)
    _check_memory(split, config, plan)
    on_plan(plan)
    run = _Run(split, config, plan, threads or cores(), resume)
    while not run.is_done():
        epoch = run.next(on_progress)
        on_epoch(epoch)
        if keeper:
            keeper.offer(epoch, run.is_done(), run.checkpoint)
    return run.result()


def _check_memory(split: Split, config: Config, plan: Plan) -> None:
    """Refuse what cannot fit; the split itself is mapped and takes no memory of its own."""
    train, rows = split.train, len(split.train.users) + len(split.train.items)
    models = 3 * 4 * rows * (config.width + 1)  # to start from, the best one, the last one
    need = models + sum(training_memory(plan, len(train), rows, config).values())
    check_memory(need, f"training with k {config.k}", "lower --k, or train on fewer ratings")


def _members(config: Config) -> list[Config]:
    """Return the config of each member of an ensemble: the same but for the seed."""
    return [
        dataclasses.replace(config, seed=config.seed + number, ensemble=1)
        for number in range(config.ensemble)
    ]


class _Run:
    """A training under way."""

    def __init__(
        self, split: Split, config: Config, plan: Plan, threads: int, resume: Checkpoint | None
    ) -> None:
        self._split, self._config, self._threads = split, config, threads
        starts = [start(split, member) for member in _members(config)]
        self._start = starts[0]
        _, held_out = split.held_out
        self.engine: Engine = make_engine(plan, starts, split.train, held_out, threads)
        self.epochs: list[Epoch] = []
        self._best, self._best_epoch, self._least = self._start, 0, math.inf
        if resume:
            self.engine.restore(resume.state)
            for epoch in resume.history.epochs():
                self._add(epoch)
            self._best = self.engine.model().with_tables(resume.best)

    def next(self, on_progress: Progress) -> Epoch:
        """Run the next epoch and validate it."""
        begin, number = time.perf_counter(), len(self.epochs) + 1
        with np.errstate(all="ignore"):  # what is no number any more is told below
            losses = self.engine.run_epoch(number, on_progress)
            validation = self.engine.validate()
        epoch = Epoch(number, *losses, *validation, time.perf_counter() - begin)
        if self._is_wild(epoch):
            raise self._diverged(number)
        if self._add(epoch):
            self._best = self.engine.model()
        return epoch

    def _add(self, epoch: Epoch) -> bool:
        """Note an epoch; return whether it is better than all before it."""
        self.epochs.append(epoch)
        rmse = math.sqrt(epoch.val_mse)
        if epoch.epoch == self._config.first_averaged:  # what came before is another model
            self._best_epoch, self._least = 0, math.inf
        better = not self._best_epoch or rmse < self._least - self._config.min_delta
        if better:
            self._best_epoch, self._least = epoch.epoch, rmse
        return better

    def is_done(self) -> bool:
        """Whether all epochs are done, or no better one is to be expected."""
        if len(self.epochs) >= self._config.epochs:
            return True
        patience, done = self._config.patience, len(self.epochs)
        since = max(self._best_epoch, self._config.first_averaged)
        return patience is not None and done - since >= patience

    def result(self) -> Fit:
        """Return the model as it is, or with patience the best one."""
        history = History.of(self.epochs)
        if self._config.patience:
            return Fit(self._best, history, self._best_epoch)
        return Fit(self.engine.model(), history, len(history))

    def checkpoint(self) -> Checkpoint:
        history = History.of(self.epochs)
        state, best = self.engine.state(), self._best.tables
        return Checkpoint(self._config, self._split.hash, history, state, best)

    def _is_wild(self, epoch: Epoch) -> bool:
        """Whether the error is no number, or larger than that of any prediction on the scale."""
        most = (self._split.scale.max - self._split.scale.min) ** 2 or math.inf
        if self._config.optimizer == "gibbs":
            most = math.inf  # one sample may be far off, and the next one not
        numbers = dataclasses.astuple(epoch)
        return not all(map(math.isfinite, numbers)) or max(epoch.mse, epoch.val_mse) > most

    def _diverged(self, number: int) -> Diverged:
        best = None
        kept = "no epoch before it was sound"
        if self.epochs:
            at = self._best_epoch
            best = Fit(self._best, History.of(self.epochs[:at]), at)
            kept = f"epoch {at}, the best one before, is kept"
        return Diverged(
            f"training diverged at epoch {number} ({self._culprit()}); {kept}; try"
            f" {' or '.join(self._remedies())}",
            best,
        )

    def _culprit(self) -> str:
        return "gibbs" if self._config.optimizer == "gibbs" else f"lr {self._config.lr:g}"

    def _remedies(self) -> list[str]:
        config = self._config
        if config.optimizer == "gibbs":
            return ["a lower --k", "ratings without outliers"]
        rate = stable_rate(self._start, self._split.train, config, self._threads)
        remedies = [f"--lr {rate:g}"] if rate else ["another --reg or --batch-size"]
        return remedies + (
            [f"fewer than {config.blocks} blocks"] if (config.blocks or 1) > 1 else []
        )
