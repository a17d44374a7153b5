"""Refitting: training on all parts of a split, for the epochs that were best in validation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mfcli.arguments import check_type
from mfcli.config import SETTINGS, TRAINING, Config
from mfcli.errors import ArtifactError, phrased
from mfcli.model import MODEL_FOLDER, read_model_record
from mfcli.splits import Split
from mfcli.training.best_epoch import BestEpoch
from mfcli.training.history import HISTORY_FILE, Epoch, History

_VALIDATION = ("metric", "at", "relevant")
# Settings that may differ between a training and its refit: they only choose the epochs.
_CHOICE = (*(name for name, known in SETTINGS.items() if known.ends_training), *_VALIDATION)


class Refit(NamedTuple):
    """How to train on all parts of a split.

    Attributes
    ----------
    config : Config
        With the epochs of the refit, and without early stopping.
    reason : str
        The number of epochs and where it comes from, in words.
    is_other : bool
        Whether the model of the run, which is replaced, was trained with other settings.
    """

    config: Config
    reason: str
    is_other: bool = False


class _OtherSettings(ArtifactError):
    """The model of a run was trained with other settings."""


def refit_config(config: Config, history: History | None = None) -> Config:
    """Return the settings to train on all parts with, as in ``fit(split.union(), ...)``.

    Parameters
    ----------
    config : Config
    history : History, optional
        Of a training with these settings, validated on held-out ratings. A refit ends with its best
        epoch. If an epoch depends on the number of epochs (schedules, averages), a refit has all of
        them, unless `patience` chose the best one. Without a history, the epochs stay.

    Returns
    -------
    Config
        Without `patience`, because no ratings are held out.

    Raises
    ------
    UsageError
        If an argument has another type.
    """
    check_type(config, Config, "config")
    epochs = config.epochs
    if history is not None:
        check_type(history, History, "history")
        # A warm-up has to end.
        epochs = max(_best_epoch(config, history), config.warmup + 1)
    return dataclasses.replace(
        config, epochs=epochs, patience=None, min_delta=0.0, stop_on_test=False
    )


def _best_epoch(config: Config, history: History) -> int:
    if config.needs_length and config.patience is None:
        return config.epochs
    best = BestEpoch(config)
    for epoch in _own_epochs(config, history):
        best.offer(epoch)
    return best.epoch


def _own_epochs(config: Config, history: History) -> list[Epoch]:
    """Return the epochs of a training, without those that updates have appended."""
    return history.epochs()[: config.epochs]


def plan_refit(split: Split, config: Config, run: Path) -> Refit:
    """Return how to train on all parts of a split, given the training in the folder of a run.

    Parameters
    ----------
    split : Split
    config : Config
    run : Path
        With `model/` and `history.json`. If they are not of a training on this split with these
        settings, apart from those that only choose the epochs, the epochs of `config` stay.
    """
    try:
        return _after(split, config, run)
    except ArtifactError as error:
        made, place = refit_config(config), f"{error.place} " if error.place else ""
        why = f"{place}{phrased(error.rule, str)}"
        reason = f"{made.epochs} epochs, as set, because {why}"
        return Refit(made, reason, isinstance(error, _OtherSettings))


def _after(split: Split, config: Config, run: Path) -> Refit:
    """Return how to train after a training; raise if it is another one."""
    folder = run / MODEL_FOLDER
    record = read_model_record(folder)
    if record.split != split.hash:
        raise ArtifactError(f"{folder} was trained on another split")
    if others := _differences(config, record.settings):
        raise _OtherSettings(f"{folder} was trained with other settings ({', '.join(others)})")
    trained = dataclasses.replace(config, **_choice_of(record.settings))
    if record.trained_on != ("train",):
        made = refit_config(dataclasses.replace(config, epochs=trained.epochs))
        return Refit(made, f"{made.epochs} epochs, as in the refit before")
    history = History.read(run / HISTORY_FILE)
    if not _is_of(history, record.losses):
        raise ArtifactError(f"{run / HISTORY_FILE} is not of {folder}")
    if len(history) < min(trained.epochs, 1 + (trained.patience or trained.epochs)):
        raise ArtifactError(f"{run / HISTORY_FILE} lacks epochs of the training")
    epochs = refit_config(trained, history).epochs
    made = refit_config(dataclasses.replace(config, epochs=epochs))
    return Refit(made, _reason(trained, history, epochs, run / HISTORY_FILE))


def _differences(config: Config, settings: Mapping[str, Any]) -> list[str]:
    """Return the names of settings that give other weights."""
    own = config.used(TRAINING)
    # Engines make the same updates, and blocks may have been chosen from the data.
    free = {*_CHOICE, "engine"} | ({"blocks"} if config.blocks is None else set())
    return [name for name in SETTINGS if name not in free and own.get(name) != settings.get(name)]


def _choice_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings.get(name, SETTINGS[name].default) for name in _CHOICE}


def _is_of(history: History, losses: Mapping[str, float]) -> bool:
    """Return whether a model has the losses of an epoch of a history."""
    lists = [history.lists.get(name, []) for name in losses]
    return tuple(losses.values()) in zip(*lists, strict=False)


def _reason(trained: Config, history: History, epochs: int, file: Path) -> str:
    best = BestEpoch(trained)
    count = len(_own_epochs(trained, history))
    found = f"the best of {count} in {file} by validation {best.measure.label}"
    if trained.needs_length and trained.patience is None:
        return f"all {epochs} epochs, on whose number schedules and averages depend"
    if epochs != _best_epoch(trained, history):
        return f"{epochs} epochs, the fewest with a warm-up of {trained.warmup}"
    if best.measure.list_name not in history.lists:
        return f"{epochs} epochs, as before, because no ratings were held out"
    if trained.needs_length:
        return f"{epochs} epochs, {found}; schedules and averages span these epochs"
    return f"{epochs} epochs, {found}"
