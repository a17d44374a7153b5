"""Update a split and the model of a run on disk: both, or none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Unpack

import numpy as np
import pyarrow as pa

from mfcli.config import TRAINING
from mfcli.data import Ratings
from mfcli.errors import ArtifactError, Param, warn
from mfcli.model import Model, check_same_split
from mfcli.splits import Changes, Revision, Split, check_updatable, read_split, revised, write_split
from mfcli.storage import locked, replacing_folders
from mfcli.training import (
    Checkpoint,
    Fit,
    History,
    Hooks,
    Keeper,
    ValidationMeasure,
    read_checkpoint,
)
from mfcli.updates.continuing import continued
from mfcli.updates.places import Places


@dataclass(frozen=True)
class Outcome:
    """What an update did.

    Attributes
    ----------
    changes : Changes
    history : History or None
        Of the epochs of the update; None if nothing was done.
    measure : ValidationMeasure
    before, after : float
        The measure of the older and of the new model; NaN if it is not known.
    feedback : {"explicit", "implicit"}
    dropped : int
        Users who were folded into the older model and are not in the new one.
    text_sides : tuple of str
        "user" or "item" if their ids became text.
    """

    changes: Changes
    history: History | None
    measure: ValidationMeasure
    before: float
    after: float
    feedback: str
    dropped: int = 0
    text_sides: tuple[str, ...] = ()


class _Temporary(NamedTuple):
    """Where results are written before they take their places."""

    split: Path
    model: Path
    checkpoint: Path


@contextmanager
def locked_places(places: Places) -> Iterator[None]:
    """Lock the folders that an update writes to, and check that they can be written.

    Raises
    ------
    ArtifactError
    """
    with ExitStack() as stack:
        for folder in places.locked:
            stack.enter_context(locked(folder))
        places.check()
        yield


class UpdatableRun:
    """A split and the model of a run, which can be updated once.

    Attributes
    ----------
    places : Places
    split : Split
    model : Model
    checkpoint : Checkpoint or None
        Of the training of the model; None if there is none.
    """

    def __init__(self, places: Places) -> None:
        """Read what an update needs.

        Raises
        ------
        ArtifactError
            If the split or the model is missing or damaged, or they do not belong together.
        """
        self.places = places
        self.split: Split = read_split(places.split)
        check_updatable(self.split, places.split)
        self.model: Model = Model.load(places.model)
        if not (self.is_interrupted and places.in_place):
            either = ("name the split of the model with ", Param("split"))
            check_same_split(self.model, self.split, places.model, places.split, either)
        self.checkpoint = _checkpoint_of(self.model, places.checkpoint)

    @property
    def is_interrupted(self) -> bool:
        """Whether an update has replaced the split, but not the model."""
        return bool(self.split.parent) and self.model.split_hash == self.split.parent

    def update(
        self,
        given: Sequence[Ratings] = (),
        removed: pa.Array | None = None,
        *,
        rejected: Path | None = None,
        epochs: int | None = None,
        threads: int | None = None,
        **hooks: Unpack[Hooks],
    ) -> Outcome:
        """Take ratings in, remove users, train, and replace the split and the model.

        Parameters
        ----------
        given, removed
            As for `revised`.
        rejected : Path, optional
            List of the rows that were skipped, for the folder of the split.
        epochs, threads, **hooks
            As for `mfcli.update`.

        Raises
        ------
        MfcliError
            The split and the model are then unchanged.
        """
        with replacing_folders(self.places.targets) as folders:
            temporary = _Temporary(*folders)
            hooks["keeper"] = Keeper(temporary.checkpoint)
            train = partial(continued, epochs=epochs, threads=threads, **hooks)
            outcome = self._updated(temporary, given, removed, rejected, train)
            # Windows replaces no files that are mapped into memory.
            del self.split, self.model, self.checkpoint
        if outcome.history:
            outcome.history.write(self.places.history)
        return outcome

    def _updated(
        self,
        temporary: _Temporary,
        given: Sequence[Ratings],
        removed: pa.Array | None,
        rejected: Path | None,
        train: Callable[[Split, Model, Checkpoint | None], Fit],
    ) -> Outcome:
        """Write the new split, model and checkpoint to temporary folders, if anything changes."""
        revision, changes = revised(self.split, given, removed)
        measure = ValidationMeasure.of(self.model.config)
        before = measure.of_losses(self.model.losses)
        if revision is None and not self.is_interrupted and not self._has(removed):
            return Outcome(changes, None, measure, before, before, self.split.feedback)
        parts = self._written(revision, temporary.split, rejected)
        fitted = train(parts, self.model, self.checkpoint)
        fitted.model.save(temporary.model)
        return Outcome(
            changes,
            fitted.history,
            measure,
            before,
            measure.of_losses(fitted.losses),
            parts.feedback,
            self._dropped(fitted.model, removed),
            _text_sides(self.split, parts),
        )

    def _has(self, users: pa.Array | None) -> bool:
        """Return whether the model has some of the users; the split may lack those folded in."""
        return users is not None and bool((self.model.users.rows(users) >= 0).any())

    def _written(self, revision: Revision | None, folder: Path, rejected: Path | None) -> Split:
        """Write the new split, if there is one, and return it as it is read."""
        if revision is None and self.places.in_place:
            return self.split
        write_split(folder, revision or self.split, rejected)
        return read_split(folder)

    def _dropped(self, new: Model, removed: pa.Array | None) -> int:
        """Count the users of the model that the new one lacks, other than removed ones."""
        users = self.model.users
        is_missing = new.users.rows(users.ids) < 0
        rows = users.rows(removed) if removed is not None else np.zeros(0, np.int32)
        is_missing[rows[rows >= 0]] = False
        return int(np.count_nonzero(is_missing))


def _text_sides(older: Split, new: Split) -> tuple[str, ...]:
    """Return the sides whose ids have another type than before: text."""
    types = (
        {"user": split.train.users.ids.type, "item": split.train.items.ids.type}
        for split in (older, new)
    )
    before, now = types
    return tuple(side for side in before if before[side] != now[side])


def _checkpoint_of(model: Model, folder: Path | None) -> Checkpoint | None:
    """Return the last checkpoint of the training of a model, if there is one."""
    if folder is None or not folder.is_dir():
        return None
    try:
        found = read_checkpoint(folder)
    except ArtifactError as error:
        warn(error.rule, place=error.place, remedy="training continues from the model alone")
        return None
    config = found.config.used(TRAINING) == model.config.used(TRAINING)
    is_of_model = found.split_hash == model.split_hash and config
    return found if is_of_model and found.has_state else None
