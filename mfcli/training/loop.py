"""The training loop: run epochs, validate each, stop early, and detect divergence."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np

from mfcli.arguments import check_functions, check_type, path_of
from mfcli.config import DEFAULTS, SETTINGS, TRAINING, Config
from mfcli.data import IMPLICIT
from mfcli.errors import (
    ArtifactError,
    ConfigError,
    DataError,
    Param,
    Text,
    TrainingError,
    UsageError,
)
from mfcli.model import MODEL_FILES, MODEL_FOLDER, Model, initial_model
from mfcli.splits import Folds, Split
from mfcli.storage import (
    check_memory,
    check_replaceable,
    check_writable_file,
    one_blas_thread,
    threads_of,
)
from mfcli.training.best_epoch import BestEpoch
from mfcli.training.checkpoints import CHECKPOINT_FILES, CHECKPOINT_FOLDER, Checkpoint, Keeper
from mfcli.training.engine import Engine, Losses
from mfcli.training.factory import make_engine
from mfcli.training.history import HISTORY_FILE, Epoch, History, HistoryRecord
from mfcli.training.plan import Plan, make_plan, training_memory
from mfcli.training.stable_rate import stable_rate
from mfcli.training.validation_measure import ValidationMeasure, ranked_validation
from mfcli.types import Progress

if TYPE_CHECKING:
    from mfcli.rankings import RankedValidation

_LARGEST = 1e14  # absolute rating; the squares of larger errors are refused in a history
_CLOSEST = 1e-14  # difference of the largest and the smallest rating
_NARROW = 0.1  # difference below which the initial weights of descent may be too large
_MODELS = 3  # held by the loop: the initial model, the best one and the last one


@dataclass(frozen=True)
class Fit:
    """A trained model and the history of its training.

    Attributes
    ----------
    model : Model
    history : History
    epoch : int
        Epoch of the model, counted from 1; 0 for the last one.
    """

    model: Model
    history: History
    epoch: int = 0

    def __post_init__(self) -> None:
        if self.history.lists.get("loss"):
            # A frozen class has no other way to set an attribute.
            model = dataclasses.replace(self.model, losses=self.losses)
            object.__setattr__(self, "model", model)

    def __repr__(self) -> str:
        losses = ", ".join(f"{name} {value:.4f}" for name, value in self.losses.items())
        return f"Fit({self.model}; {len(self.history)} epochs: {losses})"

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
            If they cannot be written.
        """
        folder = path_of(folder, "folder")
        self.model.save(folder / MODEL_FOLDER)
        self.history.write(folder / HISTORY_FILE)


class Diverged(TrainingError):
    """The error is larger than the scale of the ratings allows, or is no longer finite.

    Attributes
    ----------
    best : Fit or None
        The model of the best epoch, and the history up to it; None if the first epoch diverged.
    """

    def __init__(self, rule: Text, *, remedy: Text, best: Fit | None) -> None:
        super().__init__(rule, remedy=remedy)
        self.best = best


def check_writable(folder: Path) -> None:
    """Check before training that its results can be written to the folder of a run.

    Raises
    ------
    ArtifactError
    """
    if (folder / MODEL_FILES[0]).exists():
        rule = "is a model folder, not the folder of a run"
        raise ArtifactError(rule, place=folder, remedy=["choose another ", Param("out")])
    check_replaceable(folder / MODEL_FOLDER, MODEL_FILES)
    check_replaceable(folder / CHECKPOINT_FOLDER, CHECKPOINT_FILES)
    check_writable_file(folder / HISTORY_FILE, HistoryRecord)


def start(split: Split, config: Config) -> Model:
    """Return the initial model, with weights drawn from the seed."""
    rng = np.random.default_rng([config.seed, 0])
    columns = split.source.columns if split.source else None
    model = initial_model(split.train, split.scale, config, split.hash, rng, columns)
    return dataclasses.replace(model, trained_on=split.in_train)


class Hooks(TypedDict, total=False):
    """What `fit` does besides training; all are optional.

    Attributes
    ----------
    resume : Checkpoint or None
        State to continue from. The result has the same bits as without the interruption.
    keeper : Keeper
        Writes checkpoints.
    on_plan : callable
        Called before training with the plan, when an older checkpoint of `keeper` is replaced.
    on_epoch : callable
        Called after each epoch with its `Epoch`.
    on_progress : callable
        Called within an epoch with the number of ratings done and of all ratings.
    """

    resume: Checkpoint | None
    keeper: Keeper
    on_plan: Callable[[Plan], None]
    on_epoch: Callable[[Epoch], None]
    on_progress: Progress


@one_blas_thread()
def fit(
    split: Split,
    config: Config = DEFAULTS,
    *,
    threads: int | None = None,
    **hooks: Unpack[Hooks],
) -> Fit:
    """Train a model on `split.train`, validated on its `valid` or `test`, if any.

    Parameters
    ----------
    split : Split
    config : Config
    threads : int, optional
        One per core by default; the result does not depend on it.
    **hooks
        on_epoch, on_progress, resume, ...: see `mfcli.training.Hooks`.

    Returns
    -------
    Fit
        Its `model`, and the `history` of its training.

    Raises
    ------
    MfcliError
        `Diverged` if the error grows without bound; others say what to do.
    """
    for name in hooks:
        _check_hook(name)
    return _fit(split, config, threads_of(threads), **hooks)


def _check_hook(name: str) -> None:
    if name in Hooks.__annotations__:
        return
    remedy = f"give settings in a config: Config({name}=...)" if name in SETTINGS else ""
    raise UsageError(f"fit has no argument {name!r}", remedy=remedy)


def _fit(
    split: Split,
    config: Config,
    threads: int,
    *,
    resume: Checkpoint | None = None,
    keeper: Keeper | None = None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_progress: Progress = lambda done, total: None,
) -> Fit:
    _check_arguments(split, config)
    if resume is not None:
        check_type(resume, Checkpoint, "resume")
    if keeper is not None:
        check_type(keeper, Keeper, "keeper")
    check_functions(on_plan=on_plan, on_epoch=on_epoch, on_progress=on_progress)
    plan, begin = make_plan(split.train, config), Checkpoint.begin(config, split.hash)
    config = dataclasses.replace(config, engine=plan.engine, blocks=plan.groups)
    if resume:
        resume.check(config if resume.has_state else begin.config, split.hash)
    _check_scale(split)
    _check_memory(split, config, plan)
    ranked = ranked_validation(split, config, threads)
    try:
        if keeper and not (resume and resume.has_state):
            keeper.begin(begin)
        on_plan(plan)
        run = _Run(split, config, plan, threads, ranked, resume)
        while not run.is_done():
            epoch = run.next(on_progress)
            on_epoch(epoch)
            if keeper:
                keeper.offer(epoch, run.is_done(), run.checkpoint)
    except Exception:  # not Ctrl-C, after which the training that was stopped can start again
        if keeper:
            keeper.fail()
        raise
    finally:
        if keeper:
            keeper.close()
    return run.result()


def _check_arguments(split: Split, config: Config) -> None:
    if isinstance(split, Folds):
        raise ConfigError(
            f"must be one split, got {len(split)} folds",
            param="split",
            remedy="train on each of the folds, or use cross_validate",
        )
    check_type(split, Split, "split", "make one with split(ratings)")
    check_type(config, Config, "config")
    _check_feedback(split, config)
    if config.patience:
        _check_patience(split, config)


def _check_patience(split: Split, config: Config) -> None:
    """Refuse to stop early by ratings that do not exist, or that the user has not allowed."""
    if split.valid is not None or (split.test is not None and config.stop_on_test):
        return
    remedy: list[str | Param] = ["split with ", Param("valid", 0.1)]
    if split.test is not None:
        remedy += [" or allow test ratings with ", Param("stop_on_test", True)]
    raise ConfigError(
        "requires validation ratings", param=Param("patience", config.patience), remedy=remedy
    )


def _check_feedback(split: Split, config: Config) -> None:
    """Refuse events as ratings to predict, and weights that an optimizer does not use."""
    if split.feedback == IMPLICIT and config.used(TRAINING).get("target") != "rated":
        raise ConfigError(
            "the split holds events, not ratings to predict",
            remedy=["write settings for them with mfcli init, or use ", Param("target", "rated"),
                    ", ", Param("unrated_weight", 0.1), " and ", Param("optimizer", "als")],
        )  # fmt: skip
    if split.train.weight is not None and config.by_steps:
        raise ConfigError(
            "does not use the weights of the split",
            param=Param("optimizer", config.optimizer),
            remedy=["use ", Param("optimizer", "als"), " or ", Param("optimizer", "gibbs"),
                    ", or split again without ", Param("columns.weight")],
        )  # fmt: skip


def _check_scale(split: Split) -> None:
    """Refuse ratings whose squared errors overflow, or vanish, in float32."""
    low, high = split.scale.min, split.scale.max
    if max(-low, high) > _LARGEST:
        rule = f"ratings must be at most {_LARGEST:g} in absolute value for training"
        value = low if -low > high else high
        raise DataError(rule, value=value, remedy="divide them by a constant")
    if 0 < high - low < _CLOSEST:
        rule = f"ratings must differ by at least {_CLOSEST:g} for training"
        raise DataError(rule, value=high - low, remedy="multiply them by a constant")


def _check_memory(split: Split, config: Config, plan: Plan) -> None:
    """Refuse training that does not fit in memory. The split is memory-mapped and needs none."""
    train, rows = split.train, len(split.train.users) + len(split.train.items)
    # float32 values: factors and a bias for each row
    models = _MODELS * 4 * rows * (config.width + 1)
    weighted = train.weight is not None
    need = models + sum(training_memory(plan, len(train), rows, config, weighted=weighted).values())
    remedy: Text = ["use a smaller ", Param("k"), " or fewer ratings"]
    check_memory(need, f"training with k {config.k}", remedy)


def _members(config: Config) -> list[Config]:
    """Return the config of each member of an ensemble; they differ in their seeds."""
    return [
        dataclasses.replace(config, seed=config.seed + number, ensemble=1)
        for number in range(config.ensemble)
    ]


class _Run:
    """A training in progress."""

    def __init__(
        self,
        split: Split,
        config: Config,
        plan: Plan,
        threads: int,
        ranked: RankedValidation | None,
        resume: Checkpoint | None,
    ) -> None:
        self._split, self._config, self._threads, self._ranked = split, config, threads, ranked
        # A restored engine replaces these weights, but needs tables of the same shapes.
        starts = [start(split, member) for member in _members(config)]
        self._start = starts[0]
        held_out = split.held_out
        ratings = held_out[1] if held_out else None
        self._engine: Engine = make_engine(plan, starts, split.train, ratings, threads)
        self._epochs: list[Epoch] = []
        self._best, self._best_epoch = self._start, BestEpoch(config)
        if resume and resume.has_state:
            self._engine.restore(resume.state)
            for epoch in resume.history.epochs():
                self._add(epoch)
            self._best = self._engine.model().with_tables(resume.best)

    def next(self, on_progress: Progress) -> Epoch:
        """Run the next epoch and validate it."""
        begin, number = time.perf_counter(), len(self._epochs) + 1
        losses, validation = self._losses(number, on_progress)
        if self._has_diverged(losses, validation):
            raise self._diverged(number)
        rankings = self._rankings()
        val_loss, val_mse = validation or (None, None)
        seconds = time.perf_counter() - begin
        epoch = Epoch(number, *losses, val_loss, val_mse, seconds, **rankings)
        if self._add(epoch):
            self._best = self._engine.model()
        return epoch

    def _losses(self, number: int, on_progress: Progress) -> tuple[Losses, Losses | None]:
        """Run an epoch and return its losses, which need not be finite, and those of validation."""
        with np.errstate(all="ignore"):
            try:
                losses = self._engine.run_epoch(number, on_progress)
                return losses, self._engine.validate()
            # Matrices are not finite, or their elements are too small for float32.
            except (np.linalg.LinAlgError, ZeroDivisionError):
                return (Losses(math.nan, math.nan),) * 2

    def _rankings(self) -> dict[str, float]:
        """Return the followed measure of rankings by the name of its list."""
        if not self._ranked:
            return {}
        measure = ValidationMeasure.of(self._config)
        return {measure.list_name: self._ranked.measures(self._engine.model())[measure.name]}

    def _add(self, epoch: Epoch) -> bool:
        """Record an epoch; return whether it is better than all before it."""
        self._epochs.append(epoch)
        return self._best_epoch.offer(epoch)

    def is_done(self) -> bool:
        """Return whether all epochs are done, or validation has stopped improving."""
        done, patience = len(self._epochs), self._config.patience
        if done >= self._config.epochs:
            return True
        # Patience counts from the first average: models before it are not compared with averages.
        since = max(self._best_epoch.epoch, self._config.first_averaged)
        return patience is not None and done - since >= patience

    def result(self) -> Fit:
        """Return the last model, or with patience the best one."""
        history = self._history(self._epochs)
        if self._config.patience:
            return Fit(self._best, history, self._best_epoch.epoch)
        return Fit(self._engine.model(), history, len(history))

    def checkpoint(self) -> Checkpoint:
        history = self._history(self._epochs)
        state, best = self._engine.state(), self._best.tables
        return Checkpoint(self._config, self._split.hash, history, state, best)

    def _history(self, epochs: list[Epoch]) -> History:
        return History.of(epochs, self._ranked.users if self._ranked else None)

    def _has_diverged(self, losses: Losses, validation: Losses | None) -> bool:
        """Return whether the error is not finite, or larger than any error on the rating scale."""
        # If all ratings are equal, the scale sets no bound.
        most = (self._split.scale.max - self._split.scale.min) ** 2 or math.inf
        if not self._config.by_steps:
            # Without steps, nothing grows from epoch to epoch: large errors are those of one sample
            # (gibbs) or of a model with too many factors (als).
            most = math.inf
        measured = [losses, validation] if validation else [losses]
        is_finite = all(math.isfinite(value) for one in measured for value in one)
        return not is_finite or max(one.mse for one in measured) > most

    def _diverged(self, number: int) -> Diverged:
        best, kept = None, "no epoch before it can be kept"
        if self._epochs:
            at = self._best_epoch.epoch
            best = Fit(self._best, self._history(self._epochs[:at]), at)
            which = "best epoch so far" if self._split.held_out else "last epoch before it"
            kept = f"epoch {at}, the {which}, was kept"
        config = self._config
        cause = f"lr {config.lr:g}" if config.by_steps else config.optimizer
        rule = f"training diverged at epoch {number} ({cause}); {kept}"
        return Diverged(rule, remedy=self._remedy(), best=best)

    def _remedy(self) -> Text:
        config = self._config
        if config.optimizer == "gibbs":
            return ["try a smaller ", Param("k"), " or remove outliers from the ratings"]
        if config.optimizer == "als":
            return ["try a larger ", Param("reg"), " or remove outliers from the ratings"]
        rate = stable_rate(self._start, self._split.train, config, self._threads)
        remedy: list[str | Param] = ["try another ", Param("reg"), " or ", Param("batch_size")]
        difference = self._split.scale.max - self._split.scale.min
        if rate:
            remedy = ["try ", Param("lr", float(f"{rate:g}"))]
        elif difference < _NARROW:
            remedy = [
                "multiply the ratings by a constant, because they differ by at most"
                f" {difference:g}, or use ",
                Param("optimizer", "gibbs"),
            ]
        if (config.blocks or 1) > 1:
            remedy += [" or fewer ", Param("blocks"), f" than {config.blocks}"]
        return remedy
