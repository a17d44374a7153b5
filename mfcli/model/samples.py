"""Samples from the posterior of the factorization, and their files in a model folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.data import Vocabulary
from mfcli.errors import ArtifactError
from mfcli.model.factorization import TABLES
from mfcli.storage import (
    MappedFile,
    mapped_array,
    read_arrays,
    release,
    write_array,
    write_arrays,
)
from mfcli.types import Doubles, Floats

_LARGE = {name: f"{name}_samples.npy" for name in ("user", "item", "noise")}
_SMALL = "samples.npz"
_PER_SAMPLE = ("mu", "user_covariance", "item_covariance", "unknown_noise")
_RATINGS = ("values", "thresholds")
SAMPLE_FILES = (*_LARGE.values(), _SMALL)
"""The files of samples in a model folder."""

LEAST_SAMPLES = 2
"""Number of samples from which a variance follows."""

_REMEDY = "train again"
_PIECE = 1 << 13  # rows of a sample that are copied together


@dataclass(frozen=True, eq=False)
class Samples:
    """S samples from the posterior, in rating units.

    Sample s predicts ``mu + b_u + b_i + p_u . q_i``, where ``(b_u, p_u)`` is ``users[u, :, s]`` and
    ``(b_i, q_i)`` is ``items[i, :, s]``. Rows without training ratings are zero: this is the mean
    of their distribution, whose covariance is known too.

    Attributes
    ----------
    user_ids, item_ids : Arrow arrays of int64 or string
        The ids of the rows.
    mu : float64 array, shape (S,)
    users, items : float32 arrays, shapes (n_users, 1 + k, S) and (n_items, 1 + k, S)
        The samples are last, so that all samples of a row are together in memory. k is that of one
        chain; a model that is the mean of an ensemble has more factors.
    noise : float32 array, shape (n_users, S)
        Noise: variance of a rating of each user around its prediction.
    user_covariance, item_covariance : float64 arrays, shape (S, 1 + k, 1 + k)
        Of the rows of users and of items without training ratings.
    unknown_noise : float64 array, shape (S,)
        Noise of a user without training ratings.
    values : float32 array, shape (m,)
        The distinct training ratings, ascending; empty if there are too many to list.
    thresholds : float64 array, shape (m,)
        A rating is at least ``values[j]`` if the normal variate that stands for it is at least
        ``thresholds[j]``.
    """

    user_ids: pa.Array
    item_ids: pa.Array
    mu: Doubles
    users: Floats
    items: Floats
    noise: Floats
    user_covariance: Doubles
    item_covariance: Doubles
    unknown_noise: Doubles
    values: Floats
    thresholds: Doubles

    def __len__(self) -> int:
        return len(self.mu)

    def __repr__(self) -> str:
        return f"Samples({len(self)}, k={self.k})"

    @property
    def k(self) -> int:
        """Number of factors of a sample."""
        return int(self.users.shape[1]) - 1

    def are_of(self, users: Vocabulary, items: Vocabulary) -> bool:
        """Return whether the rows are those of these users and items."""
        return bool(self.user_ids.equals(users.ids) and self.item_ids.equals(items.ids))

    def tables(self, number: int) -> dict[str, Floats]:
        """Return the tables of a sample by their names in `Factorization`, to which mu belongs."""
        users, items = (_sample_of(rows, number) for rows in (self.users, self.items))
        tables = users[:, 1:], items[:, 1:], users[:, 0], items[:, 0]
        return dict(zip(TABLES, map(np.ascontiguousarray, tables), strict=True))

    def write(self, folder: Path) -> None:
        """Write the `SAMPLE_FILES` into a folder."""
        for name, array in self._large.items():
            write_array(folder / _LARGE[name], array)
        small = {name: getattr(self, name) for name in (*_PER_SAMPLE, *_RATINGS)}
        write_arrays(folder / _SMALL, small)

    @property
    def _large(self) -> dict[str, Floats]:
        return {"user": self.users, "item": self.items, "noise": self.noise}

    @classmethod
    def read(
        cls, files: Mapping[str, MappedFile], users: Vocabulary, items: Vocabulary
    ) -> Self | None:
        """Read samples from the files of a model folder; None if there are none.

        Parameters
        ----------
        files : mapping of MappedFile
            Some of them are `SAMPLE_FILES`, whose digests are verified. They stay mapped.
        users, items : Vocabulary
            Of the model.

        Raises
        ------
        ArtifactError
            If files are missing, or arrays have other types or shapes.
        """
        found = [name for name in SAMPLE_FILES if name in files]
        if not found:
            return None
        _check_complete(found, next(iter(files.values())).path.parent)
        small = read_arrays(files[_SMALL], _REMEDY)
        user, item, noise = (mapped_array(files[file], _REMEDY) for file in _LARGE.values())
        _check(files[_SMALL].path, small, user, item, noise, (len(users), len(items)))
        return cls(users.ids, items.ids, users=user, items=item, noise=noise, **small)


def _sample_of(rows: Floats, number: int) -> Floats:
    """Copy the rows of one sample."""
    found = np.empty(rows.shape[:2], np.float32)
    for start in range(0, len(rows), _PIECE):
        some = rows[start : start + _PIECE]
        found[start : start + _PIECE] = some[:, :, number]
        release(some)
    return found


def pooled(parts: Sequence[Samples]) -> Samples | None:
    """Join the samples of several chains with the same ids and number of factors."""
    if len(parts) < 2:
        return parts[0] if parts else None
    last = {name: [getattr(part, name) for part in parts] for name in ("users", "items", "noise")}
    first = {name: [getattr(part, name) for part in parts] for name in _PER_SAMPLE}
    return Samples(
        parts[0].user_ids,
        parts[0].item_ids,
        **{name: np.concatenate(arrays, axis=-1) for name, arrays in last.items()},
        **{name: np.concatenate(arrays) for name, arrays in first.items()},
        **{name: getattr(parts[0], name) for name in _RATINGS},
    )


def _check_complete(found: Collection[str], folder: Path) -> None:
    if len(found) < len(SAMPLE_FILES):
        rule = "its record does not list all files of its samples"
        raise ArtifactError(rule, place=folder, remedy=_REMEDY)


def _check(
    path: Path,
    small: Mapping[str, NDArray[Any]],
    users: NDArray[Any],
    items: NDArray[Any],
    noise: NDArray[Any],
    rows: tuple[int, int],
) -> None:
    """Refuse arrays that are not those of samples."""
    size, d = (users.shape[-1], users.shape[1]) if users.ndim == 3 else (0, 0)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_PER_SAMPLE, (size,))
    shapes |= dict.fromkeys(("user_covariance", "item_covariance"), (size, d, d))
    large = ((users, (rows[0], d, size)), (items, (rows[1], d, size)), (noise, (rows[0], size)))
    shapes |= dict.fromkeys(_RATINGS, (len(small.get("values", ())),))
    kinds = dict.fromkeys(shapes, np.float64) | {"values": np.float32}
    is_sound = (
        size > 0
        and d > 0
        and {name: array.shape for name, array in small.items()} == shapes
        and all(array.dtype == kinds[name] for name, array in small.items())
        and all(array.shape == shape and array.dtype == np.float32 for array, shape in large)
    )
    if not is_sound:
        raise ArtifactError("its samples do not fit the model", place=path, remedy=_REMEDY)
