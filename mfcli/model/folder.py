"""The folder of a model: `model.keras`, `users.arrow`, `items.arrow` and `model.json`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from mfcli.arguments import path_of
from mfcli.config import Config
from mfcli.data import EXPLICIT, Scale, read_vocabulary, write_vocabulary
from mfcli.errors import ArtifactError, ConfigError, Param
from mfcli.model.factorization import Factorization
from mfcli.model.keras_file import read_keras_file, write_keras_file
from mfcli.model.network import Network
from mfcli.model.run_folders import MODEL_RECORD, missing_model, model_folder
from mfcli.model.samples import SAMPLE_FILES, Samples
from mfcli.splits import ScaleSection, Split
from mfcli.storage import (
    Origin,
    Record,
    Section,
    Whole,
    address_of,
    check_memory,
    exists,
    open_files,
    read_record,
    replacing_folder,
    set_origin,
    sha256,
    whole,
    write_record,
)
from mfcli.types import Floats

KERAS_FILE = "model.keras"
_VOCABULARIES = ("users.arrow", "items.arrow")
MODEL_FILES = (MODEL_RECORD, KERAS_FILE, *_VOCABULARIES, *SAMPLE_FILES)
"""The files of a model folder, those of samples included, which most models do not have."""

_REMEDY = "train again"
_COPIES = 3  # of the tables, while they are read


class FoldedInSection(Section):
    """The users and items that were folded in.

    Attributes
    ----------
    users : int
    rows : tuple of (start, end)
        The users' rows.
    items : int
        Earlier versions folded in only users.
    item_rows : tuple of (start, end)
        The items' rows.
    """

    users: Whole
    rows: tuple[tuple[Whole, Whole], ...]
    items: Whole = 0
    item_rows: tuple[tuple[Whole, Whole], ...] = ()


class ModelRecord(Record):
    """The fields of `model.json`.

    Attributes
    ----------
    settings : dict
        The settings that training used, as `Config.used` returns them.
    mu : float
    scale : ScaleSection
    users, items : int
    split : str
        Hash of the split.
    folded_in : FoldedInSection
    losses : dict of float
        As `StoredModel.losses`.
    weights : str
        Digest of the four tables.
    files : dict of str
        Digests of the vocabulary files, and of those of samples, by name.
    columns : dict of str
        As `StoredModel.columns`; earlier versions did not write it.
    predicts : str
        As `StoredModel.predicts`; earlier versions did not write it.
    feedback : str
        As `StoredModel.feedback`; earlier versions, which knew only ratings, did not write it.
    trained_on : tuple of str
        As `StoredModel.trained_on`; earlier versions, which trained on train, did not write it.
    compiled_for : str
        As `StoredModel.compiled_for`; earlier versions did not write it.
    """

    FORMAT = 2

    settings: dict[str, Any]
    mu: float
    scale: ScaleSection
    users: Whole
    items: Whole
    split: str
    folded_in: FoldedInSection
    losses: dict[str, float]
    weights: str
    files: dict[str, str]
    columns: dict[str, str] | None = None
    predicts: str = "ratings"
    feedback: str = EXPLICIT
    trained_on: tuple[str, ...] = ("train",)
    compiled_for: str = ""


@dataclass(frozen=True)
class StoredModel(Factorization):
    """A factorization together with how it was trained, as a model folder stores it.

    Attributes
    ----------
    scale : Scale
        Of the ratings it was trained on.
    config : Config
        The settings it was trained with.
    split_hash : str
        Hash of the split it was trained on.
    folded_in, folded_in_items : tuple of (start, end)
        Rows of users, and of items, that were not trained, but estimated from their ratings by
        `fold_in`.
    losses : dict of float
        `loss`, `mse`, `val_loss` and `val_mse` of the model's epoch, as far as they are known.
    columns : dict of str
        Names of the columns "user" and "item" in the ratings, if known. Other files about the same
        users and items probably use these names too.
    feedback : {"explicit", "implicit"}
        What it was trained on, as in `Ratings`.
    trained_on : tuple of str
        The parts of the split that it was trained on.
    compiled_for : str
        What processor it was trained for, as LLVM names it and its features, on a cluster of
        different ones; empty if all were the same.
    samples : Samples, optional
        Samples from the posterior, if training kept some. Copies with other users or items have
        none.
    address : str
        Where its files can be read: a folder, or its address in an object store. Empty if it was
        not loaded, as for any copy with changes.
    """

    scale: Scale
    config: Config
    split_hash: str
    folded_in: tuple[tuple[int, int], ...] = ()
    folded_in_items: tuple[tuple[int, int], ...] = ()
    losses: dict[str, float] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    feedback: str = EXPLICIT
    trained_on: tuple[str, ...] = ("train",)
    compiled_for: str = ""
    samples: Samples | None = None
    address: str = field(default="", init=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples and not self.samples.are_of(self.users, self.items):
            # A frozen class has no other way to set an attribute.
            object.__setattr__(self, "samples", None)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Read a model folder; TensorFlow is not needed.

        Parameters
        ----------
        folder : Path or str
            A model folder, or the folder of a run, which contains it as `model`.

        Raises
        ------
        ArtifactError
            If there is no model, or it is damaged or of another format.
        UsageError
            If the folder is no path.
        """
        folder = model_folder(path_of(folder, "folder"))
        return whole([folder / MODEL_RECORD], lambda: cls._load(folder))

    @classmethod
    def _load(cls, folder: Path) -> Self:
        record = _read_record(folder)
        config = _config(folder / MODEL_RECORD, record.settings)
        _check_memory(folder, record, config)
        files = open_files(folder, record.files, _VOCABULARIES, remedy=_REMEDY)
        users, items = (read_vocabulary(files[name]) for name in _VOCABULARIES)
        model = cls(
            mu=record.mu,
            users=users,
            items=items,
            scale=Scale(record.scale.min, record.scale.max, record.scale.step),
            config=config,
            split_hash=record.split,
            folded_in=record.folded_in.rows,
            folded_in_items=record.folded_in.item_rows,
            losses=record.losses,
            columns=record.columns or {},
            feedback=record.feedback,
            trained_on=record.trained_on,
            compiled_for=record.compiled_for,
            samples=Samples.read(files, users, items),
            **read_keras_file(folder / KERAS_FILE, len(users), len(items), config.width),
        )
        # A zip archive has checksums, but they do not tell whether the file belongs to this record.
        if _digest(model) != record.weights:
            rule = "is damaged (the digest of its weights is wrong)"
            raise ArtifactError(rule, place=folder, remedy=_REMEDY)
        model._set_address(folder)
        return model

    def _set_address(self, folder: Path) -> None:
        """Remember where the model, and its parts that copies may share, can be read."""
        address = address_of(folder)
        object.__setattr__(self, "address", address)  # a frozen class has no other way
        # The record has the digests of everything else.
        origin = Origin(type(self), address, sha256(folder / MODEL_RECORD))
        set_origin(self, origin)
        for name in ("users", "items", *self.tables):
            set_origin(getattr(self, name), origin.of(name))

    def save(self, folder: Path | str) -> None:
        """Write a model folder, replacing an older one completely.

        Raises
        ------
        ArtifactError
            If the folder holds other files or cannot be written.
        """
        with replacing_folder(path_of(folder, "folder"), MODEL_FILES) as temporary:
            write_keras_file(temporary / KERAS_FILE, self.network(), self.tables)
            write_vocabulary(temporary / "users.arrow", self.users)
            write_vocabulary(temporary / "items.arrow", self.items)
            if self.samples:
                self.samples.write(temporary)
            # `model.keras` contains the time, so the digest of its tables stands for it; see
            # `_digest`.
            names = (*_VOCABULARIES, *(SAMPLE_FILES if self.samples else ()))
            digests = {name: sha256(temporary / name) for name in names}
            write_record(temporary / MODEL_RECORD, self._record(digests))

    def _record(self, digests: dict[str, str]) -> ModelRecord:
        return ModelRecord(
            settings=self.config.used("training"),
            mu=self.mu,
            scale=ScaleSection(*self.scale),
            users=len(self.users),
            items=len(self.items),
            split=self.split_hash,
            folded_in=FoldedInSection(
                users=_size_of(self.folded_in),
                rows=self.folded_in,
                items=_size_of(self.folded_in_items),
                item_rows=self.folded_in_items,
            ),
            losses=self.losses,
            weights=_digest(self),
            files=digests,
            columns=self.columns,
            predicts=self.predicts,
            feedback=self.feedback,
            trained_on=self.trained_on,
            compiled_for=self.compiled_for,
        )

    @property
    def predicts(self) -> str:
        """What predictions are: "ratings", or "scores" without a unit, which only rank items."""
        return self.config.predicts

    @property
    def prediction_name(self) -> str:
        """Name of a column of predictions: "prediction", or "score"."""
        return "score" if self.predicts == "scores" else "prediction"

    def clipped(self, predictions: Floats) -> Floats:
        """Clip predicted ratings to the rating scale; scores stay, because they have none."""
        if self.predicts == "scores":
            return predictions
        return predictions.clip(self.scale.min, self.scale.max)

    def network(self, *, raw_ids: bool = False) -> Network:
        """Describe the Keras network, which takes rows or, if requested, raw ids."""
        ids = {"user": self.users.ids, "item": self.items.ids} if raw_ids else {}
        return Network(
            len(self.users), len(self.items), self.k, self.mu, self.config.table_regs, ids=ids
        )


def read_model_record(folder: Path) -> ModelRecord:
    """Read `model.json` in a model folder; the tables and ids are not read.

    Raises
    ------
    ArtifactError
        If there is no model, or its record is damaged or of another format.
    """
    return whole([folder / MODEL_RECORD], lambda: _read_record(folder))


def _read_record(folder: Path) -> ModelRecord:
    path = folder / MODEL_RECORD
    if not exists(path):
        raise missing_model(folder)
    return read_record(path, ModelRecord, remedy=_REMEDY)


def _check_memory(folder: Path, record: ModelRecord, config: Config) -> None:
    """Refuse a model whose tables do not fit in memory, before they are read."""
    # float32 values: factors and a bias for each row
    need = _COPIES * 4 * (record.users + record.items) * (config.width + 1)
    check_memory(need, f"reading {folder}", "free some memory")


def check_same_split(
    model: StoredModel,
    split: Split,
    folder: Path,
    split_folder: Path,
    remedy: Iterable[str | Param],
) -> None:
    """Refuse a model that was trained on another split, or on the one before its last update.

    Parameters
    ----------
    model : StoredModel
    split : Split
        That the model is to be used with.
    folder, split_folder : Path
        Where the model and the split were read, for the message.
    remedy : str, or pieces of a text
        What to do, other than to train again.

    Raises
    ------
    ArtifactError
    """
    if model.split_hash == split.hash:
        return
    if split.parent and model.split_hash == split.parent:
        rule = f"was trained on {split_folder} before its last update"
        places = Param("model", folder), " ", Param("split", split_folder)
        raise ArtifactError(rule, place=folder, remedy=["run: mfcli update ", *places])
    rule = (
        f"was trained on split {model.split_hash[:12]}, but {split_folder} is split"
        f" {split.hash[:12]}"
    )
    raise ArtifactError(rule, place=folder, remedy=["train again, or ", *remedy])


def _config(path: Path, settings: dict[str, Any]) -> Config:
    try:
        # Settings that this version does not know, or no longer allows, come here as errors.
        return Config(**settings)
    except (TypeError, ConfigError) as error:
        rule = f"is damaged ({error})"
        raise ArtifactError(rule, place=path, remedy=_REMEDY) from error


def _size_of(ranges: Iterable[tuple[int, int]]) -> int:
    return sum(end - start for start, end in ranges)


def _digest(model: Factorization) -> str:
    """Digest the tables, since `model.keras` also contains the time at which it was written."""
    digest = hashlib.sha256()
    for table in model.tables.values():
        digest.update(np.ascontiguousarray(table).data)
    return digest.hexdigest()
