"""The folders that an update reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mfcli.errors import Param, UsageError
from mfcli.model import MODEL_FILES, MODEL_FOLDER, model_folder, read_model_record
from mfcli.splits import SPLIT_FILES, SPLIT_FOLDER, check_updatable, folds_of, read_split
from mfcli.storage import check_replaceable
from mfcli.training import CHECKPOINT_FILES, CHECKPOINT_FOLDER, HISTORY_FILE, check_writable


@dataclass(frozen=True)
class Places:
    """Where a split and its model are, and where their update is written.

    Attributes
    ----------
    split, model : Path
        The folders that are read.
    out : Path
        The folder of a run, for the model, its history and its checkpoint.
    new_split : Path
        The folder that the split is written to.
    """

    split: Path
    model: Path
    out: Path
    new_split: Path

    @property
    def checkpoints(self) -> list[Path]:
        """Where the checkpoint of the training of the model may be."""
        if self.model.resolve().name != MODEL_FOLDER:  # not the model of a run
            return []
        run = _parent(self.model)
        return [run / CHECKPOINT_FOLDER, run / self.pending_checkpoint.name]

    @property
    def new_model(self) -> Path:
        return self.out / MODEL_FOLDER

    @property
    def new_checkpoint(self) -> Path:
        return self.out / CHECKPOINT_FOLDER

    @property
    def pending_checkpoint(self) -> Path:
        """A second place for the checkpoint, until all folders are replaced."""
        return self.out / f".{CHECKPOINT_FOLDER}.update"

    @property
    def history(self) -> Path:
        return self.out / HISTORY_FILE

    @property
    def in_place(self) -> bool:
        """Whether the update replaces the split that it reads."""
        return self.new_split.resolve() == self.split.resolve()

    @property
    def targets(self) -> dict[Path, Sequence[str]]:
        """The folders to write, in the order in which they are replaced, and their files.

        After a kill, a model of the parent of the split shows that it is to be updated, and the
        checkpoint of an updated model is in one of the two places.
        """
        return {
            self.pending_checkpoint: CHECKPOINT_FILES,
            self.new_split: SPLIT_FILES,
            self.new_model: MODEL_FILES,
            self.new_checkpoint: CHECKPOINT_FILES,
        }

    @property
    def locked(self) -> list[Path]:
        """The folders that nobody else may write to meanwhile."""
        return [*{place.resolve(): place for place in (self.out, self.new_split.parent)}.values()]

    def check(self) -> None:
        """Check before long work that the update can be written.

        Raises
        ------
        ArtifactError
        """
        check_writable(self.out)
        check_replaceable(self.new_split, SPLIT_FILES)


def places_of(split: Path, model: Path, out: Path | None) -> Places:
    """Return the places of an update: those of its inputs, or in another folder.

    Parameters
    ----------
    split : Path
    model : Path
        A model folder, or the folder of its run.
    out : Path, optional
        Folder for a new `split/`, `model/`, `history.json` and `checkpoint/`.

    Raises
    ------
    UsageError
        If a model that is not in the folder of a run would be replaced.
    ArtifactError, DataError
        If there is no split or no model, or a k-fold split.
    """
    if folds := folds_of(split):
        check_updatable(read_split(folds[0]), split)
    found = model_folder(model)
    read_model_record(found)  # which says if there is no model
    if out is not None:
        return Places(split, found, out, out / SPLIT_FOLDER)
    if found.resolve().name != MODEL_FOLDER:
        rule = f"is not the model of a run, such as RUN/{MODEL_FOLDER}, so it is not replaced"
        raise UsageError(rule, place=found, remedy=["choose a folder with ", Param("out")])
    return Places(split, found, _parent(found), split)


def _parent(model: Path) -> Path:
    # The parent of the path "." would be "." itself.
    return model.parent if model.name == MODEL_FOLDER else model.resolve().parent
