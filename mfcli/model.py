"""The model, rating(u, i) = mu + b_u + b_i + p_u . q_i, and the folder that keeps it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli import __version__
from mfcli.config import Config
from mfcli.errors import ArtifactError, ConfigError
from mfcli.fields import check_fields
from mfcli.files import check_digests, read_manifest, replacing_folder, sha256, write_manifest
from mfcli.keras_file import TABLES, read_keras_file, write_keras_file
from mfcli.ratings import Ratings, Scale, Vocabulary, read_vocabulary, write_vocabulary

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
    "weights": str,
}
_CHUNK = 1 << 16  # ratings predicted at a time: two gathered factor matrices stay in cache
_INITIAL = 0.05  # Keras draws an embedding uniformly from -0.05 to 0.05


@dataclass(frozen=True)
class Model:
    """A biased matrix factorization with the ids it knows.

    Attributes
    ----------
    mu : float
        Mean of the training ratings.
    user_factors, item_factors : float32 arrays, shapes (n_users, k) and (n_items, k)
    user_biases, item_biases : float32 arrays, shapes (n_users,) and (n_items,)
    users, items : Vocabulary
    scale : Scale
        Of the ratings it was trained on.
    config : Config
        That it was trained with.
    split_hash : str
        Of the split it was trained on.
    """

    mu: float
    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]
    user_biases: NDArray[np.float32]
    item_biases: NDArray[np.float32]
    users: Vocabulary
    items: Vocabulary
    scale: Scale
    config: Config
    split_hash: str

    @property
    def k(self) -> int:
        return int(self.user_factors.shape[1])

    @property
    def tables(self) -> dict[str, NDArray[np.float32]]:
        """The four tables by their names in the Keras file."""
        return {name: getattr(self, name) for name in TABLES}

    def with_tables(self, tables: dict[str, NDArray[np.float32]]) -> Model:
        return replace(self, **tables)  # type: ignore[arg-type]

    def predict(self, user: NDArray[np.int32], item: NDArray[np.int32]) -> NDArray[np.float32]:
        """Predict ratings, not clipped.

        Parameters
        ----------
        user, item : int32 arrays, shape (n,)
            Rows of the tables. What is unknown (-1) adds nothing: such a prediction is mu plus the
            bias of the other side.

        Returns
        -------
        float32 array, shape (n,)
        """
        ratings = np.empty(len(user), dtype=np.float32)
        for chunk in _chunks(len(user)):
            ratings[chunk] = self._predict(user[chunk], item[chunk])
        return ratings

    def _predict(self, user: NDArray[np.int32], item: NDArray[np.int32]) -> NDArray[np.float32]:
        p, q = self.user_factors[user], self.item_factors[item]  # (b, k)
        interaction = np.einsum("bk,bk->b", p, q)
        known_user, known_item = user >= 0, item >= 0
        rating = np.where(known_user & known_item, interaction, np.float32(0))
        rating += np.where(known_user, self.user_biases[user], np.float32(0))
        rating += np.where(known_item, self.item_biases[item], np.float32(0))
        return rating + np.float32(self.mu)

    def squared_norm(self) -> float:
        """Sum the squares of all weights: what the L2 penalty multiplies."""
        return sum(
            float(np.sum(np.square(table), dtype=np.float64)) for table in self.tables.values()
        )


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, n, _CHUNK))


def initial_model(
    train: Ratings, scale: Scale, config: Config, split_hash: str, rng: np.random.Generator
) -> Model:
    """Draw the weights that training starts from.

    All four tables are uniform in -0.05..0.05, Keras's default, except that a row with no training
    rating is zero. It stays so, since neither gradients nor the penalty move it.
    """
    tables = {}
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
        "config": model.config.as_dict(),
        "mu": model.mu,
        "scale": model.scale._asdict(),
        "users": len(model.users),
        "items": len(model.items),
        "split": model.split_hash,
        "losses": losses,
        "weights": _digest(model),
    }
    with replacing_folder(folder, NAMES) as temporary:
        write_keras_file(temporary / KERAS_FILE, model.tables, model.mu, model.config.reg)
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
        **read_keras_file(folder / KERAS_FILE, len(users), len(items), config.k),
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


def layers(n_users: int, n_items: int, k: int) -> list[tuple[str, str, tuple[Any, ...], int]]:
    """List the layers of the Keras model: name, type, output shape, parameters."""
    return [
        ("user", "InputLayer", (None, 1), 0),
        ("item", "InputLayer", (None, 1), 0),
        ("user_factors", "Embedding", (None, 1, k), n_users * k),
        ("item_factors", "Embedding", (None, 1, k), n_items * k),
        ("dot", "Dot", (None, 1, 1), 0),
        ("user_biases", "Embedding", (None, 1, 1), n_users),
        ("item_biases", "Embedding", (None, 1, 1), n_items),
        ("add", "Add", (None, 1, 1), 0),
        ("flatten", "Flatten", (None, 1), 0),
        ("rating", "Rescaling", (None, 1), 0),
    ]
