"""Update a split and its model in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mfcli.arguments import check_count, check_functions, check_type, path_of
from mfcli.data import Ids, Ratings, RatingsLike, as_ratings, id_array
from mfcli.errors import ArtifactError
from mfcli.model import MODEL_FOLDER, Model
from mfcli.splits import SPLIT_FOLDER, Changes, Split, revised, write_split
from mfcli.training import (
    CHECKPOINT_FOLDER,
    HISTORY_FILE,
    Checkpoint,
    Epoch,
    History,
    write_checkpoint,
)
from mfcli.types import Progress
from mfcli.updates.continuation import Continuation, new_ratings


@dataclass(frozen=True)
class Updated:
    """A split with new ratings, and its model.

    Attributes
    ----------
    model : Model
    split : Split
    changes : Changes
        What changed in the split.
    history : History or None
        Of the training; None if nothing changed.
    checkpoint : Checkpoint or None
        To continue from at the next update.
    """

    model: Model
    split: Split
    changes: Changes
    history: History | None
    checkpoint: Checkpoint | None

    def __repr__(self) -> str:
        counts = {"new": self.changes.new, "changed": self.changes.changed}
        counts["removed users"] = self.changes.removed_users
        text = ", ".join(f"{number:,} {name}" for name, number in counts.items())
        return f"Updated({self.model}; {self.split}; {text})"

    def write(self, folder: Path | str) -> None:
        """Write `split/`, `model/`, `checkpoint/` and `history.json` into a folder.

        Raises
        ------
        ArtifactError
            If they cannot be written.
        """
        folder = path_of(folder, "folder")
        record = write_split(folder / SPLIT_FOLDER, self.split)
        # The hash is known only now.
        replace(self.model, split_hash=record["hash"]).save(folder / MODEL_FOLDER)
        if self.checkpoint:
            checkpoint = replace(self.checkpoint, split_hash=record["hash"])
            write_checkpoint(folder / CHECKPOINT_FOLDER, checkpoint)
        if self.history:
            self.history.write(folder / HISTORY_FILE)


def update(
    model: Model,
    split: Split,
    ratings: RatingsLike | None = None,
    *,
    remove: Ids | None = None,
    epochs: int | None = None,
    checkpoint: Checkpoint | None = None,
    threads: int | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_progress: Progress = lambda done, total: None,
) -> Updated:
    """Take new ratings into a split and its model, without starting over.

    Ids keep their rows, and new ids are appended. A pair that is rated again stays in its part of
    the split, and the later rating counts; without times, that is the new one. Strengths of
    events add up. All other ratings go to train. A file that was taken in before is skipped.

    Parameters
    ----------
    model : Model
        Trained on the split.
    split : Split
    ratings : Ratings, or what `ratings_from` takes, optional
    remove : ids, optional
        Users to remove, together with all their ratings.
    epochs : int, optional
        Of the training that follows; by default as few as are needed.
    checkpoint : Checkpoint, optional
        Of the model's training; without it, training continues from the weights alone.
    threads : int, optional
        One per core by default; the result does not depend on it.
    on_epoch, on_progress : callable, optional
        See `mfcli.training.Hooks`.

    Returns
    -------
    Updated
        Its `model`, `split` and `changes`. The model and the split are the given ones if nothing
        changes.

    Raises
    ------
    ArtifactError
        If the model was trained on another split.
    DataError
        If ratings cannot be read or do not go with the split.
    UsageError
        If an argument has another type.
    """
    check_type(model, Model, "model", "load one with Model.load, or train one with fit")
    check_functions(on_epoch=on_epoch, on_progress=on_progress)
    check_type(split, Split, "split", "make one with split(ratings)")
    if epochs is not None:
        check_count(epochs, "epochs", 1)
    if model.split_hash != split.hash:
        rule = "the model was trained on another split"
        raise ArtifactError(rule, remedy="give the split that it was trained on")
    given = [] if ratings is None else [_as_given(ratings, split.feedback)]
    removed = None if remove is None else id_array(remove, "remove")
    revision, changes = revised(split, given, removed)
    if revision is None:
        return Updated(model, split, changes, None, checkpoint)
    parts, new = revision.split(), new_ratings(revision, model)
    how = Continuation(threads, epochs, on_epoch=on_epoch, on_progress=on_progress)
    fitted, after = how.train(parts, model, checkpoint, new)
    return Updated(fitted.model, parts, changes, fitted.history, after)


def _as_given(ratings: RatingsLike, feedback: str) -> Ratings:
    read = as_ratings(ratings, "ratings", feedback)
    source = read.source
    if source is None or len(read) == source.rows - source.duplicates:
        return read
    return replace(read, source=None)  # some of the ratings of a file that may be known
