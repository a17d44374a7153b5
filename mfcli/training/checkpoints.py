"""Checkpoints: the state of a training between two epochs.

A training that is resumed from a checkpoint gives the same bits as one that was never interrupted.
A training that begins replaces the checkpoint of an older one by a checkpoint without state, from
which it can only start again. So a checkpoint always belongs to the last training in its folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mfcli.config import SETTINGS, Config, settings_in
from mfcli.errors import ArtifactError, ConfigError, Param, Text
from mfcli.storage import (
    Record,
    check_replaceable,
    exists,
    open_files,
    publish,
    read_record,
    replacing_folder,
    sha256,
    whole,
    write_arrays,
    write_record,
)
from mfcli.training.engine import State
from mfcli.training.history import Epoch, History
from mfcli.types import Floats

CHECKPOINT_FOLDER = "checkpoint"
_RECORD, _STATE = "checkpoint.json", "state.npz"
CHECKPOINT_FILES = (_RECORD, _STATE)
"""The files of a checkpoint folder."""

_MOST_LOST = 60.0  # seconds of training that an interruption may lose
_INTERVAL = 50  # least time between checkpoints, as a multiple of the time to write one
_LEAST_INTERVAL = 1.0  # seconds
_BEST = "best_"  # prefix of the best epoch's tables
_REMEDY = "train again"


class CheckpointRecord(Record):
    """The fields of `checkpoint.json`.

    Attributes
    ----------
    settings : dict
        The settings that training used, as `Config.used` returns them.
    split : str
        Hash of the split.
    history : dict of lists of float
        As `History.lists`; empty lists before the first epoch.
    files : dict of str
        Digest of the state by file name; empty before the first epoch.
    trained_on : tuple of str
        As `Checkpoint.trained_on`; earlier versions, which trained on train, did not write it.
    run : str
        As `Checkpoint.run`.
    """

    FORMAT = 2

    settings: dict[str, Any]
    split: str
    history: dict[str, list[float]]
    files: dict[str, str]
    trained_on: tuple[str, ...] = ("train",)
    run: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training between two epochs.

    Attributes
    ----------
    config : Config
        After the first epoch, it includes the engine and the number of blocks that were chosen.
    split_hash : str
    history : History
        Of the epochs so far.
    state : dict of arrays
        What the engine needs to continue; see `Engine.state`.
    best : dict of float32 arrays
        The model's tables after the best epoch so far.
    trained_on : tuple of str
        The parts of the split that are trained on, as `Split.in_train`.
    run : str
        The name of the training for programs that follow it; empty if it has none.
    """

    config: Config
    split_hash: str
    history: History
    state: State
    best: dict[str, Floats]
    trained_on: tuple[str, ...] = ("train",)
    run: str = ""

    @classmethod
    def begin(
        cls, config: Config, split_hash: str, trained_on: tuple[str, ...] = ("train",)
    ) -> Checkpoint:
        """Return the checkpoint before the first epoch, which has no state."""
        return cls(config, split_hash, History.of([]), {}, {}, trained_on)

    @property
    def has_state(self) -> bool:
        """Whether an epoch is done, so that training does not start again."""
        return len(self.history) > 0

    def check(
        self, config: Config, split_hash: str, trained_on: tuple[str, ...] = ("train",)
    ) -> None:
        """Refuse to continue with another split, other parts of it, or other settings.

        Settings that only say when training ends may differ.

        Raises
        ------
        ArtifactError
        """
        self.check_split(split_hash)
        self.check_parts(trained_on)
        self._check_settings(config)
        self._check_epochs(config)

    def check_split(self, split_hash: str) -> None:
        """Refuse to continue with another split.

        Raises
        ------
        ArtifactError
        """
        if split_hash != self.split_hash:
            rule = (
                f"the checkpoint is of split {self.split_hash[:12]}, but this is split"
                f" {split_hash[:12]}"
            )
            raise ArtifactError(rule, remedy=_without_resume("use that split, or "))

    def check_parts(self, trained_on: tuple[str, ...]) -> None:
        """Refuse to continue with other parts of the split.

        Raises
        ------
        ArtifactError
        """
        if trained_on != self.trained_on:
            before, now = (", ".join(parts) for parts in (self.trained_on, trained_on))
            rule = f"the checkpoint is of a training on {before}, not on {now}"
            raise ArtifactError(rule, remedy=_without_resume())

    def _check_settings(self, config: Config) -> None:
        before, now = self.config.used("training"), config.used("training")
        for name in settings_in("training"):
            old, new = before.get(name), now.get(name)
            if old != new and not SETTINGS[name].ends_training:
                trained = ["no ", Param(name)] if old is None else [Param(name, old)]
                rule = ["the checkpoint was trained with ", *trained, f", not {new}"]
                remedy = _without_resume("omit ", Param(name), " to resume, or ")
                raise ArtifactError(rule, remedy=remedy)

    def _check_epochs(self, config: Config) -> None:
        if config.needs_length and config.epochs != self.config.epochs:
            rule = (
                f"the checkpoint is of a training over {self.config.epochs} epochs, on which its"
                f" schedule or average depends, not {config.epochs}"
            )
            remedy = _without_resume("omit ", Param("epochs"), " to resume, or ")
            raise ArtifactError(rule, remedy=remedy)
        if config.epochs < len(self.history):
            done = len(self.history)
            rule = f"the checkpoint has {done} epochs already, more than {config.epochs}"
            raise ArtifactError(rule, remedy=_without_resume("raise ", Param("epochs"), ", or "))


def _without_resume(*others: str | Param) -> tuple[str | Param, ...]:
    """Return a remedy that ends with training from the start."""
    return (*others, "train without ", Param("resume"))


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint folder, replacing an older one in one step.

    Raises
    ------
    ArtifactError
        If the folder holds other files or cannot be written.
    """
    best = {f"{_BEST}{name}": table for name, table in checkpoint.best.items()}
    with replacing_folder(folder, CHECKPOINT_FILES) as temporary:
        files = {}
        if checkpoint.has_state:
            write_arrays(temporary / _STATE, checkpoint.state | best)
            files[_STATE] = sha256(temporary / _STATE)
        record = CheckpointRecord(
            settings=checkpoint.config.used("training"),
            split=checkpoint.split_hash,
            history=checkpoint.history.lists,
            files=files,
            trained_on=checkpoint.trained_on,
            run=checkpoint.run,
        )
        write_record(temporary / _RECORD, record)


def link_checkpoint(folder: Path, other: Path) -> None:
    """Give a checkpoint folder a second place, without a copy where the file system has links."""
    other.mkdir()
    for name in CHECKPOINT_FILES:
        if (folder / name).exists():
            _link(folder / name, other / name)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint folder.

    Raises
    ------
    ArtifactError
        If there is no checkpoint, or it is damaged or of another format.
    """
    return whole([folder / _RECORD], lambda: _read(folder))


def _read(folder: Path) -> Checkpoint:
    path = folder / _RECORD
    if not exists(path):
        raise ArtifactError("holds no checkpoint", place=folder, remedy=_without_resume())
    record = read_record(path, CheckpointRecord, remedy=_REMEDY)
    if not record.files and not any(record.history.values()):
        begun = Checkpoint.begin(_config(path, record), record.split, record.trained_on)
        return dataclasses.replace(begun, run=record.run)
    files = open_files(folder, record.files, [_STATE], remedy=_REMEDY)
    history = History.checked(path, record.history)
    try:
        epochs = history.epochs()
        # A pickle could execute code when it is read.
        with np.load(files[_STATE].stream(), allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, KeyError, TypeError, ValueError) as error:
        rule = f"is damaged ({error!r})"
        raise ArtifactError(rule, place=path, remedy=_REMEDY) from error
    return Checkpoint(
        config=_config(path, record),
        split_hash=record.split,
        history=History.of(epochs),
        state={name: array for name, array in arrays.items() if not name.startswith(_BEST)},
        best={
            name.removeprefix(_BEST): array
            for name, array in arrays.items()
            if name.startswith(_BEST)
        },
        trained_on=record.trained_on,
        run=record.run,
    )


def _config(path: Path, record: CheckpointRecord) -> Config:
    try:
        return Config(**record.settings)
    except (TypeError, ConfigError) as error:
        rule = f"is damaged ({error!r})"
        raise ArtifactError(rule, place=path, remedy=_REMEDY) from error


def _discard(folder: Path) -> None:
    """Remove a checkpoint folder, unless it holds other files."""
    with contextlib.suppress(OSError):
        for name in CHECKPOINT_FILES:
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def _link(file: Path, other: Path) -> None:
    """Give a file a second name, or copy it where the file system has no links."""
    try:
        os.link(file, other)
    except OSError:
        shutil.copy2(file, other)


class Keeper:
    """Writes checkpoints during a training.

    Parameters
    ----------
    folder : Path
    every : int
        Number of epochs between checkpoints. If 0, a checkpoint is written when an interruption
        could otherwise lose more than a minute of training, or earlier if writing takes less than a
        fiftieth of the time.
    others : mapping of str, optional
        Folders of the other trainings of the run, such as those of folds, and the hashes of their
        splits. Their checkpoints begin with that of this training, so that all resume alike, and
        their older ones come back with the older one of this training.
    run : str
        As `Checkpoint.run`, of all checkpoints.

    Attributes
    ----------
    folder : Path
    kept : int or None
        Epoch of the last checkpoint that was written; None if there is none.
    """

    def __init__(
        self,
        folder: Path,
        every: int = 0,
        others: Mapping[Path, str] | None = None,
        run: str = "",
    ) -> None:
        self.folder, self._every, self._run = folder, every, run
        self._others = {Keeper(other, run=run): split for other, split in (others or {}).items()}
        # Beside the folder that a link points to, on whose disk files can be linked.
        place = folder.resolve()
        self._older = place.with_name(f".{place.name}.older")
        self._last, self._cost = time.perf_counter(), 0.0
        self.kept: int | None = None

    def begin(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint of a training that begins; that of an older one is set aside.

        Raises
        ------
        ArtifactError
            If the folder holds other files or cannot be written.
        """
        check_replaceable(self.folder, CHECKPOINT_FILES)
        try:
            self._set_aside()
        except OSError as error:
            rule = f"cannot be written: {error.strerror}"
            raise ArtifactError(rule, place=self.folder) from error
        self.kept = 0  # from here on, the checkpoint is that of this training
        try:
            self._write(checkpoint)
            for other, split_hash in self._others.items():
                other.begin(dataclasses.replace(checkpoint, split_hash=split_hash))
        except BaseException:  # Ctrl-C, too: the training has not begun
            self.fail()
            raise

    def _write(self, checkpoint: Checkpoint) -> None:
        if self._run:
            checkpoint = dataclasses.replace(checkpoint, run=self._run)
        write_checkpoint(self.folder, checkpoint)

    def _set_aside(self) -> None:
        """Keep the older checkpoint in a second place.

        It also stays in the first one until the new checkpoint replaces it, so that a process that
        is killed in between leaves one of them.
        """
        _discard(self._older)
        found = [name for name in CHECKPOINT_FILES if (self.folder / name).exists()]
        if found:
            self._older.mkdir(0o700)
        for name in found:
            _link(self.folder / name, self._older / name)

    def fail(self) -> None:
        """Put the older checkpoint back if training failed before its first checkpoint."""
        if self.kept != 0:
            return
        # The record last: until then, that of this training is valid, which lists no other file.
        found = [name for name in reversed(CHECKPOINT_FILES) if (self._older / name).exists()]
        if not found:
            _discard(self.folder)
        with contextlib.suppress(OSError):
            for name in found:
                (self._older / name).replace(self.folder / name)
        self.kept = None
        publish(self.folder)
        for other in self._others:
            other.fail()

    def close(self) -> None:
        """Remove the older checkpoint."""
        _discard(self._older)
        for other in self._others:
            other.close()

    def offer(self, epoch: Epoch, last: bool, make: Callable[[], Checkpoint]) -> bool:
        """Write a checkpoint after an epoch if one is due or the epoch is the last one.

        Returns
        -------
        bool
            Whether it was written.
        """
        if not last and not self._is_due(epoch):
            return False
        begin = time.perf_counter()
        self._write(make())
        self._last = time.perf_counter()
        self._cost = self._last - begin
        self.kept = epoch.epoch
        self.close()  # `fail` no longer needs it, and a model may be large
        return True

    def _is_due(self, epoch: Epoch) -> bool:
        if self._every:
            return epoch.epoch % self._every == 0
        since = time.perf_counter() - self._last
        # Writing takes at most a fiftieth of the time, however large the model is.
        least = max(_LEAST_INTERVAL, _INTERVAL * self._cost)
        # The next epoch takes about as long as this one: wait no longer if it would exceed the
        # limit.
        return since > least or since + epoch.seconds > _MOST_LOST


def resumed(checkpoint: Checkpoint, given: Mapping[str, Any]) -> Config:
    """Return the config of a checkpoint with the training settings that a user gave.

    Parameters
    ----------
    checkpoint : Checkpoint
    given : mapping
        Values of settings by name; those of other stages are ignored.

    Raises
    ------
    ConfigError
        If they contradict each other.
    """
    changes = {name: value for name, value in given.items() if name in settings_in("training")}
    return dataclasses.replace(checkpoint.config, **changes)


def check_same_run(configs: Mapping[str, Config]) -> None:
    """Refuse to resume trainings that do not have the same settings.

    Parameters
    ----------
    configs : mapping of Config
        By a name for messages. The engine and the blocks may differ, because they may have been
        chosen from the data.

    Raises
    ------
    ArtifactError
    """
    (first, config), *others = configs.items()
    for name, setting in SETTINGS.items():
        for other, its in others:
            one, two = (c.used("training").get(name) for c in (config, its))
            if one != two and name not in ("engine", "blocks"):
                found = f"{one} in {first}, {two} in {other}"
                own: list[str | Param] = (
                    ["give ", Param(name), ", or "] if setting.ends_training else []
                )
                rule: Text = ["the checkpoints differ in ", Param(name), f": {found}"]
                raise ArtifactError(rule, remedy=_without_resume(*own))
