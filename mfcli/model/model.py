"""The model, rating(u, i) = mu + b_u + b_i + p_u . q_i, and the folder that keeps it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli import __version__
from mfcli.config import Config
from mfcli.data import Ids, Ratings, Scale, id_array, read_vocabulary, write_vocabulary
from mfcli.errors import ArtifactError, ConfigError, DataError
from mfcli.model.factorization import TABLES, Factorization
from mfcli.model.keras_file import read_keras_file, write_keras_file
from mfcli.model.network import Network
from mfcli.storage import (
    check_digests,
    check_fields,
    cores,
    read_manifest,
    replacing_folder,
    sha256,
    write_manifest,
)

FORMAT = 1
_MANIFEST = "model.json"
_VOCABULARIES = ("users.arrow", "items.arrow")
KERAS_FILE = "model.keras"
NAMES = (_MANIFEST, KERAS_FILE, *_VOCABULARIES)
_FIELDS: dict[str, Any] = {
    "mfcli": str,
    "config": {},
    "mu": float,
    "scale": {"min": float, "max": float, "step": (float, None)},
    "split": str,
    "losses": {str: float},
    "folded_in?": {"rows": [[int]]},
    "weights": str,
}
_INITIAL = 0.05  # Keras draws an embedding uniformly from -0.05 to 0.05


@dataclass(frozen=True)
class Model(Factorization):
    """A factorization and what it was trained on.

    Attributes
    ----------
    scale : Scale
        Of the ratings it was trained on.
    config : Config
        That it was trained with.
    split_hash : str
        Of the split it was trained on.
    folded_in : tuple of (start, end)
        Rows of users that were not trained but estimated from their ratings by `mfcli fold-in`.
    losses : dict of float
        `loss`, `mse`, `val_loss` and `val_mse` of the last epoch, if it is known.
    """

    scale: Scale
    config: Config
    split_hash: str
    folded_in: tuple[tuple[int, int], ...] = ()
    losses: dict[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path | str) -> Model:
        """Read a model folder, as `read_model` does."""
        return read_model(Path(folder))

    def save(self, folder: Path | str) -> None:
        """Write a model folder, as `write_model` does."""
        write_model(Path(folder), self, self.losses)

    def network(self, *, raw_ids: bool = False) -> Network:
        """Describe the Keras network, which takes rows or, if asked for, raw ids."""
        ids = {"user": self.users.ids, "item": self.items.ids} if raw_ids else {}
        return Network(
            len(self.users), len(self.items), self.k, self.mu, self.config.table_regs, ids=ids
        )

    def predict(self, users: Ids, items: Ids, *, clip: bool = True) -> NDArray[np.float32]:
        """Predict ratings by raw ids.

        Parameters
        ----------
        users, items : id or sequence of ids, length n
            Integers or text. A single one goes with all of the others. What is unknown adds
            nothing: such a prediction is mu plus the bias of the other side.
        clip : bool
            Clip to the rating scale.

        Returns
        -------
        float32 array, shape (n,)

        Raises
        ------
        DataError
            If ids are neither integers nor text, or as many users as items are not given.
        """
        user, item = self.users.rows(id_array(users)), self.items.rows(id_array(items))
        if len(user) != len(item) and 1 not in (len(user), len(item)):
            raise DataError(
                f"users and items must be as many, or one, got {len(user)} and {len(item)}"
            )
        user, item = np.broadcast_arrays(user, item)
        predicted = self.predict_rows(user, item)
        return predicted.clip(self.scale.min, self.scale.max) if clip else predicted

    def recommend(
        self,
        users: Ids,
        n: int = 10,
        *,
        exclude: Ratings | None = None,
        threads: int | None = None,
    ) -> pa.Table:
        """Rank the items for some users by predicted rating.

        Parameters
        ----------
        users : id or sequence of ids
        n : int
            Items for each.
        exclude : Ratings, optional
            What is not to be recommended, as a rule `split.train`.
        threads : int, optional
            The cores by default; the result does not depend on it.

        Returns
        -------
        Arrow table
            Columns `user`, `rank` (from 1), `item` and `prediction` (not clipped).

        Raises
        ------
        UnknownIdError
            If the model does not know a user.
        """
        from mfcli.data import find_rows
        from mfcli.model.recommendations import Rated, top_items

        rated = Rated.of(exclude.within(self.users, self.items)) if exclude is not None else None
        rows = find_rows(self.users, id_array(users), "user")
        ranking = top_items(self, rows, n, exclude=rated, threads=threads or cores())
        return ranking.table(self.users, self.items, "user", "prediction")


def initial_model(
    train: Ratings, scale: Scale, config: Config, split_hash: str, rng: np.random.Generator
) -> Model:
    """Draw the weights that training starts from.

    All four tables are uniform in -0.05..0.05, Keras's default, except that a row with no training
    rating is zero. It stays so, since neither gradients nor the penalty move it.
    """
    tables: dict[str, Any] = {}
    for name in TABLES:
        counts = (train.users if name.startswith("user") else train.items).counts
        shape = (len(counts), config.k) if name.endswith("factors") else (len(counts),)
        table = rng.uniform(-_INITIAL, _INITIAL, shape).astype(np.float32)
        table[counts == 0] = 0
        tables[name] = table
    return Model(
        mu=train.mean,
        users=train.users,
        items=train.items,
        scale=scale,
        config=config,
        split_hash=split_hash,
        **tables,
    )


def write_model(folder: Path, model: Model, losses: dict[str, float]) -> None:
    """Write a model folder, replacing an older one whole.

    Parameters
    ----------
    folder : Path
    model : Model
    losses : dict of float
        Of the last epoch, to be recorded.

    Raises
    ------
    ArtifactError
        If the folder holds files of others or cannot be written.
    """
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "mfcli": __version__,
        "config": model.config.used("training"),
        "mu": model.mu,
        "scale": model.scale._asdict(),
        "users": len(model.users),
        "items": len(model.items),
        "split": model.split_hash,
        "folded_in": {
            "users": sum(end - start for start, end in model.folded_in),
            "rows": model.folded_in,
        },
        "losses": losses,
        "weights": _digest(model),
    }
    with replacing_folder(folder, NAMES) as temporary:
        write_keras_file(temporary / KERAS_FILE, model.network(), model.tables)
        write_vocabulary(temporary / "users.arrow", model.users)
        write_vocabulary(temporary / "items.arrow", model.items)
        manifest["files"] = {name: sha256(temporary / name) for name in _VOCABULARIES}
        write_manifest(temporary / _MANIFEST, manifest)


def read_model(folder: Path) -> Model:
    """Read a model folder; TensorFlow is not needed.

    Raises
    ------
    ArtifactError
        If there is no model, or it is damaged or of a newer format.
    """
    record = read_record(folder)
    check_digests(folder, record, _VOCABULARIES)
    users, items = (read_vocabulary(folder / name) for name in _VOCABULARIES)
    try:
        config = Config(**record["config"])
    except (TypeError, ConfigError) as error:
        raise ArtifactError(f"{folder / _MANIFEST}: is damaged ({error}); train again") from error
    scale = record["scale"]
    model = Model(
        mu=float(record["mu"]),
        users=users,
        items=items,
        scale=Scale(*(scale[name] for name in Scale._fields)),
        config=config,
        split_hash=record["split"],
        folded_in=_row_ranges(record),
        losses={name: float(value) for name, value in record["losses"].items()},
        **read_keras_file(folder / KERAS_FILE, len(users), len(items), config.width),
    )
    if _digest(model) != record["weights"]:
        raise ArtifactError(f"{folder}: is damaged (the weights' digest is wrong); train again")
    return model


def read_record(folder: Path) -> dict[str, Any]:
    """Read what `model.json` says of a model; the tables and ids are not read.

    Raises
    ------
    ArtifactError
        If there is no model, or its record is damaged or of a newer format.
    """
    path = folder / _MANIFEST
    if not path.is_file():
        raise ArtifactError(f"{folder}: holds no model; train one with: mfcli train")
    record = read_manifest(path, FORMAT)
    check_fields(path, record, _FIELDS, "train again")
    return record


def _row_ranges(manifest: dict[str, Any]) -> tuple[tuple[int, int], ...]:
    """Return the rows that were folded in; models of older versions do not speak of them."""
    rows = manifest["folded_in"]["rows"] if "folded_in" in manifest else []
    return tuple((int(start), int(end)) for start, end in rows)


def _digest(model: Model) -> str:
    """Digest the tables; not the Keras file itself, which holds the time it was written."""
    digest = hashlib.sha256()
    for table in model.tables.values():
        digest.update(np.ascontiguousarray(table).data)
    return digest.hexdigest()


def check_same_split(
    model: Model, split_hash: str, folder: Path, split_folder: Path, remedy: str
) -> None:
    """Refuse a model that was trained on another split.

    Raises
    ------
    ArtifactError
    """
    if model.split_hash != split_hash:
        raise ArtifactError(
            f"{folder}: was trained on split {model.split_hash[:12]}, but {split_folder} is split"
            f" {split_hash[:12]}; train again, or {remedy}"
        )
