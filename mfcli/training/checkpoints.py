"""The state of a training between two epochs, from which it goes on as if it had never stopped."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli import __version__
from mfcli.config import SETTINGS, Config, settings_in
from mfcli.errors import ArtifactError, ConfigError
from mfcli.storage import (
    check_digests,
    read_manifest,
    replacing_folder,
    sha256,
    write_arrays,
    write_manifest,
)
from mfcli.training.history import Epoch, History

FORMAT = 1
CHECKPOINT_FOLDER = "checkpoint"
_MANIFEST, _STATE = "checkpoint.json", "state.npz"
NAMES = (_MANIFEST, _STATE)

TRAINING = tuple(name for name in settings_in("training") if not SETTINGS[name].ends_training)
"""The settings that training depends on, but for when it ends."""

ENDING = tuple(name for name in settings_in("training") if SETTINGS[name].ends_training)
"""The settings that say when training ends."""

_MOST = 60.0  # seconds of training that may be lost
_SHARE = 50  # times as long as it took to write one, until the next
_LEAST = 1.0  # second between two

State = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """A training between two epochs.

    Attributes
    ----------
    config : Config
        With the engine and the blocks that were chosen.
    split_hash : str
    history : History
        Of the epochs so far.
    state : dict of arrays
        What the engine needs to go on; see `Engine.state`.
    best : dict of float32 arrays
        The model's tables after the epoch with the least validation error so far.
    """

    config: Config
    split_hash: str
    history: History
    state: State
    best: State

    def check(self, config: Config, split_hash: str) -> None:
        """Refuse to go on with another split or other settings.

        Raises
        ------
        ArtifactError
        """
        remedy = "or train anew without --resume"
        if split_hash != self.split_hash:
            raise ArtifactError(
                f"the checkpoint is of split {self.split_hash[:12]}, this split is"
                f" {split_hash[:12]}; name its split with --split, {remedy}"
            )
        mine, given = self.config.used("training"), config.used("training")
        for name in TRAINING:
            own, other = mine.get(name), given.get(name)
            if own != other:
                raise ArtifactError(
                    f"the checkpoint was made with {name} {own}, not {other};"
                    f" leave the option out to go on with it, {remedy}"
                )
        if config.needs_length and config.epochs != self.config.epochs:
            raise ArtifactError(
                f"the checkpoint is of {self.config.epochs} epochs, over which its schedule or"
                f" average goes, not of {config.epochs}; leave --epochs out, {remedy}"
            )
        if config.epochs < len(self.history):
            raise ArtifactError(
                f"the checkpoint has {len(self.history)} epochs already, more than"
                f" {config.epochs}; raise --epochs, {remedy}"
            )


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint folder, replacing an older one whole.

    Raises
    ------
    ArtifactError
        If the folder holds files of others or cannot be written.
    """
    best = {f"best_{name}": table for name, table in checkpoint.best.items()}
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "mfcli": __version__,
        "config": checkpoint.config.used("training"),
        "split": checkpoint.split_hash,
        "history": checkpoint.history.lists,
    }
    with replacing_folder(folder, NAMES) as temporary:
        write_arrays(temporary / _STATE, checkpoint.state | best)
        manifest["files"] = {_STATE: sha256(temporary / _STATE)}
        write_manifest(temporary / _MANIFEST, manifest)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint folder.

    Raises
    ------
    ArtifactError
        If there is none, or it is damaged or of a newer format.
    """
    path = folder / _MANIFEST
    if not path.is_file():
        raise ArtifactError(f"{folder}: holds no checkpoint; train anew without --resume")
    manifest = read_manifest(path, FORMAT)
    check_digests(folder, manifest, [_STATE])
    try:
        with np.load(folder / _STATE, allow_pickle=False) as file:
            state = dict(file)
        best = {n.removeprefix("best_"): state.pop(n) for n in list(state) if n[:5] == "best_"}
        config, history = Config(**manifest["config"]), History.checked(path, manifest["history"])
        return Checkpoint(config, str(manifest["split"]), history, state, best)
    except (OSError, KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(f"{path}: is damaged ({error!r}); train anew") from error


class Keeper:
    """Writes checkpoints, often enough and not too often.

    Parameters
    ----------
    folder : Path
    every : int
        Epochs from one to the next. If 0, a checkpoint is written when a minute's work might be
        lost otherwise, or earlier where that costs no more than a fiftieth of the time.
    """

    def __init__(self, folder: Path, every: int = 0) -> None:
        self._folder, self._every = folder, every
        self._last, self._cost = time.perf_counter(), 0.0
        self.kept = 0

    def offer(self, epoch: Epoch, last: bool, make: Callable[[], Checkpoint]) -> None:
        """Write a checkpoint after an epoch, if it is time to or the epoch is the last one."""
        if not last and not self._is_due(epoch):
            return
        begin = time.perf_counter()
        write_checkpoint(self._folder, make())
        self._last = time.perf_counter()
        self._cost = self._last - begin
        self.kept = epoch.epoch

    def _is_due(self, epoch: Epoch) -> bool:
        if self._every:
            return epoch.epoch % self._every == 0
        since = time.perf_counter() - self._last
        return since > max(_LEAST, _SHARE * self._cost) or since + epoch.seconds > _MOST


def resumed(checkpoint: Checkpoint, settings: Config, given: set[str]) -> Config:
    """Return the checkpoint's config with the settings that were given in its place.

    Parameters
    ----------
    checkpoint : Checkpoint
    settings : Config
        Of which only those in `given` count.
    given : set of str
    """
    changed = {name: getattr(settings, name) for name in (*TRAINING, *ENDING) if name in given}
    return dataclasses.replace(checkpoint.config, **changed)
