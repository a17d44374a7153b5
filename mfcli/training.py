"""Training: epochs one after another, each validated, and the history they leave."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mfcli.config import Config
from mfcli.engines import Engine, Plan, Progress, make_engine, make_plan
from mfcli.errors import ArtifactError, TrainingError
from mfcli.files import (
    check_format,
    check_replaceable,
    check_writable_file,
    read_json,
    write_json,
)
from mfcli.model import NAMES, Model, initial_model, write_model
from mfcli.split import Split

FORMAT = 1
MODEL_FOLDER = "model"
HISTORY_FILE = "history.json"
MSE_NAMES = ("mse", "mean_squared_error")
"""What Keras may call the mean squared error in a history."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Attributes
    ----------
    epoch : int
        From 1.
    loss, mse : float
        On the training ratings, each before its own step; loss includes the L2 penalty.
    val_loss, val_mse : float
        On the held-out ratings, after the epoch.
    seconds : float
        Of training and validation.
    """

    epoch: int
    loss: float
    mse: float
    val_loss: float
    val_mse: float
    seconds: float


_HUGE = 1e30  # nothing that is drawn is larger
_LISTS = ("loss", "mse", "val_loss", "val_mse", "seconds")


@dataclass(frozen=True)
class History:
    """Lists with an entry an epoch, named as Keras names them.

    Attributes
    ----------
    lists : dict of lists of float
        `loss` at least, as in any `History.history` of Keras; `fit` gives `mse`, `val_loss`,
        `val_mse` and `seconds` too.
    """

    lists: dict[str, list[float]]

    @classmethod
    def of(cls, epochs: list[Epoch]) -> History:
        return cls({name: [getattr(epoch, name) for epoch in epochs] for name in _LISTS})

    def __len__(self) -> int:
        return len(self.lists["loss"])

    def series(self, names: tuple[str, ...], prefix: str = "") -> list[float] | None:
        """Return the first list there is of these names."""
        return next((self.lists[prefix + n] for n in names if prefix + n in self.lists), None)

    def write(self, path: Path) -> None:
        """Write the history as JSON, replacing the file atomically."""
        write_json(path, {"format": FORMAT, **self.lists})

    @classmethod
    def read(cls, path: Path) -> History:
        """Read a history of mfcli, or a Keras `History.history` saved as JSON.

        Raises
        ------
        ArtifactError
            If the file is missing, damaged, of a newer format or no history.
        """
        value = read_json(path)
        if "format" in value:
            check_format(path, value.pop("format"), FORMAT)
        length = len(value["loss"]) if isinstance(value.get("loss"), list) else 0
        if not length:
            raise ArtifactError(f"{path}: is no training history: it has no list 'loss'")
        for name, entries in value.items():
            if not _is_series(entries, length):
                raise ArtifactError(
                    f"{path}: {name!r} must be a list of {length} finite numbers, as 'loss' is"
                )
        return cls(value)


def _is_series(entries: Any, length: int) -> bool:
    return (
        isinstance(entries, list)
        and len(entries) == length
        and all(type(entry) in (int, float) and abs(entry) < _HUGE for entry in entries)
    )


@dataclass(frozen=True)
class Fit:
    """A trained model and how it got there."""

    model: Model
    history: History

    def write(self, folder: Path) -> None:
        """Write `model/` and `history.json` into a folder.

        Raises
        ------
        ArtifactError
            If it cannot be written.
        """
        losses = {name: entries[-1] for name, entries in self.history.lists.items()}
        del losses["seconds"]
        write_model(folder / MODEL_FOLDER, self.model, losses)
        self.history.write(folder / HISTORY_FILE)


def check_writable(folder: Path) -> None:
    """Find out before training whether its result could be written to a folder.

    Raises
    ------
    ArtifactError
    """
    check_replaceable(folder / MODEL_FOLDER, NAMES)
    check_writable_file(folder / HISTORY_FILE)


def start(split: Split, config: Config) -> Model:
    """Return the model that training starts from: its weights are drawn from the seed."""
    rng = np.random.default_rng([config.seed, 0])
    return initial_model(split.train, split.scale, config, split.hash, rng)


def fit(
    split: Split,
    config: Config,
    *,
    threads: int | None = None,
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
    threads : int, optional
        For the fast engine, the cores by default; the result does not depend on it.
    on_plan : callable, optional
        Told, before training, which engine is used and why.
    on_epoch : callable, optional
        Told each epoch when it has ended.
    on_progress : callable, optional
        Told the ratings done within an epoch, and all of them.

    Raises
    ------
    ConfigError
        If the config asks an engine for what it cannot do.
    TrainingError
        If the loss is not finite any more.
    """
    plan = make_plan(split.train, config)
    on_plan(plan)
    _, held_out = split.held_out
    config = dataclasses.replace(config, engine=plan.engine, blocks=plan.groups)
    engine = make_engine(plan, start(split, config), split.train, held_out, threads or cores())
    epochs = []
    for epoch in _epochs(engine, config, on_progress):
        epochs.append(epoch)
        on_epoch(epoch)
    return Fit(engine.model(), History.of(epochs))


def cores() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _epochs(engine: Engine, config: Config, on_progress: Progress) -> Iterator[Epoch]:
    for number in range(1, config.epochs + 1):
        begin = time.perf_counter()
        losses = engine.run_epoch(number, on_progress)
        validation = engine.validate()
        epoch = Epoch(number, *losses, *validation, time.perf_counter() - begin)
        if not all(map(math.isfinite, dataclasses.astuple(epoch))):
            raise TrainingError(
                f"training diverged at epoch {number} (lr {config.lr:g});"
                f" try --lr {min(config.lr / 2, Config.lr):g}"
                + (f" or fewer than {config.blocks} blocks" if config.blocks > 1 else "")
            )
        yield epoch
