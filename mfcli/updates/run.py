"""Update a split and the model of a run on disk: both, or none of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa

from mfcli.config import TRAINING
from mfcli.data import EXPLICIT, Ratings, Scale
from mfcli.errors import ArtifactError, Param, warn
from mfcli.model import Model, check_same_split
from mfcli.splits import Changes, Revision, Split, check_updatable, read_split, revised, write_split
from mfcli.storage import locked, replacing_folders
from mfcli.training import (
    Checkpoint,
    Epoch,
    History,
    ValidationMeasure,
    link_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from mfcli.updates.continuation import Continuation, last_ratings, new_ratings
from mfcli.updates.places import Places

DEFAULT = Continuation()


@dataclass(frozen=True)
class Outcome:
    """What an update did.

    Attributes
    ----------
    changes : Changes
    history : History or None
        Of the training; None if nothing was done.
    measure : ValidationMeasure
    before, after : float
        The measure of the older and of the new model; NaN if it is not known.
    feedback : {"explicit", "implicit"}
    epochs : tuple of Epoch
        Of the update, from 1.
    dropped : int
        Users who were folded into the older model and are not in the new one.
    text_sides : tuple of str
        "user" or "item" if their ids became text.
    scales : tuple of Scale
        The older and the new scale if ratings are outside the older one; otherwise empty.
    """

    changes: Changes
    history: History | None
    measure: ValidationMeasure
    before: float
    after: float
    feedback: str
    epochs: tuple[Epoch, ...] = ()
    dropped: int = 0
    text_sides: tuple[str, ...] = ()
    scales: tuple[Scale, ...] = ()

    @classmethod
    def of(cls, model: Model, split: Split, changes: Changes) -> Self:
        """Return the outcome before anything is done."""
        measure = ValidationMeasure.of(model.config)
        value = measure.of_losses(model.losses)
        return cls(changes, None, measure, value, value, split.feedback)


class _Temporary(NamedTuple):
    """Where results are written before they take their places."""

    pending: Path
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
        found = ((_checkpoint_of(self.model, folder), folder) for folder in places.checkpoints)
        none = None, places.new_checkpoint
        self.checkpoint, self._found_in = next((one for one in found if one[0]), none)

    @property
    def is_interrupted(self) -> bool:
        """Whether an update has replaced the split, but not the model."""
        return bool(self.split.parent) and self.model.split_hash == self.split.parent

    def update(
        self,
        given: Sequence[Ratings] = (),
        removed: pa.Array | None = None,
        how: Continuation = DEFAULT,
        *,
        rejected: Path | None = None,
    ) -> Outcome:
        """Take ratings in, remove users, train, and replace the split and the model.

        Parameters
        ----------
        given, removed
            As for `revised`.
        how : Continuation
        rejected : Path, optional
            List of the rows that were skipped, for the folder of the split.

        Raises
        ------
        MfcliError
            The split and the model are then unchanged.
        """
        places = self.places
        self._finish()
        with replacing_folders(places.targets) as folders:
            outcome = self._updated(_Temporary(*folders), given, removed, rejected, how)
            # Windows replaces no files that are mapped into memory.
            del self.split, self.model, self.checkpoint
        if outcome.history:
            shutil.rmtree(places.pending_checkpoint, ignore_errors=True)
            outcome.history.write(places.history)
        return outcome

    def _finish(self) -> None:
        """Complete an update that was killed after it had replaced the model."""
        places = self.places
        pending = places.pending_checkpoint
        if not pending.is_dir() or places.new_model.resolve() != places.model.resolve():
            return
        if self.checkpoint and self._found_in == pending:
            write_checkpoint(places.new_checkpoint, self.checkpoint)
            self.checkpoint = _checkpoint_of(self.model, places.new_checkpoint)
        if self.checkpoint:
            self.checkpoint.history.write(places.history)
        shutil.rmtree(pending, ignore_errors=True)

    def _updated(
        self,
        temporary: _Temporary,
        given: Sequence[Ratings],
        removed: pa.Array | None,
        rejected: Path | None,
        how: Continuation,
    ) -> Outcome:
        """Write the new split, model and checkpoint to temporary folders, if anything changes."""
        revision, changes = revised(self.split, given, removed)
        outcome = Outcome.of(self.model, self.split, changes)
        if revision is None and not self.is_interrupted and not self._has(removed):
            return outcome
        new = self._new_ratings(revision)
        done: list[Epoch] = []
        sizes = {name: len(part) for name, part in (revision or self.split).parts.items()}
        if revision is None and self.is_interrupted:
            last = self.split.updates[-1]
            outcome = replace(outcome, changes=replace(last, skipped=changes.skipped))
            if last.changed:  # which ones is not known
                how = how.covering(self.model, len(new) + last.changed, sizes)
        how.start(self.model, len(new), sizes)
        how = _recording(how, done)
        parts = self._written(revision, temporary.split, rejected)
        fitted, checkpoint = how.train(parts, self.model, self.checkpoint, new)
        fitted.model.save(temporary.model)
        write_checkpoint(temporary.pending, checkpoint)
        link_checkpoint(temporary.pending, temporary.checkpoint)
        return replace(
            outcome,
            history=fitted.history,
            epochs=tuple(done),
            after=outcome.measure.of_losses(fitted.losses),
            dropped=self._dropped(fitted.model, removed),
            text_sides=_text_sides(self.split, parts),
            scales=_scales(self.split, parts),
        )

    def _new_ratings(self, revision: Revision | None) -> Ratings:
        if revision:
            return new_ratings(revision, self.model)
        if self.is_interrupted:
            return last_ratings(self.split)
        return self.split.train.take(slice(0))  # only users who were folded in are removed

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


def _recording(how: Continuation, done: list[Epoch]) -> Continuation:
    """Return a continuation that also appends its epochs to a list, numbered from 1."""

    def on_epoch(epoch: Epoch) -> None:
        done.append(replace(epoch, epoch=len(done) + 1))
        how.on_epoch(done[-1])

    return replace(how, on_epoch=on_epoch)


def _text_sides(older: Split, new: Split) -> tuple[str, ...]:
    """Return the sides whose ids have another type than before: text."""
    types = (
        {"user": split.train.users.ids.type, "item": split.train.items.ids.type}
        for split in (older, new)
    )
    before, now = types
    return tuple(side for side in before if before[side] != now[side])


def _scales(older: Split, new: Split) -> tuple[Scale, ...]:
    """Return both scales if the new one is wider, as with a rating in percent among stars."""
    (low, high, _), (lowest, highest, _) = older.scale, new.scale
    is_wider = new.feedback == EXPLICIT and (lowest < low or highest > high)
    return (older.scale, new.scale) if is_wider else ()


def _checkpoint_of(model: Model, folder: Path) -> Checkpoint | None:
    """Return the last checkpoint of the training of a model, if a folder holds it."""
    if not folder.is_dir():
        return None
    try:
        found = read_checkpoint(folder)
    except ArtifactError as error:
        warn(error.rule, place=error.place, remedy="training continues from the model alone")
        return None
    is_alike = found.config.used(TRAINING) == model.config.used(TRAINING)
    is_of_parts = (found.split_hash, found.trained_on) == (model.split_hash, model.trained_on)
    return found if is_of_parts and is_alike and found.has_state else None
