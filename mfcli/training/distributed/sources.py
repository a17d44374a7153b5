"""Where workers read ratings: in the files of a split, or from the memory of the driver."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.arguments import is_address
from mfcli.config import Config
from mfcli.data import Ratings, Vocabulary, read_columns, read_ratings_arrow
from mfcli.errors import ArtifactError
from mfcli.splits import Extent, Split, hash_at
from mfcli.storage import joined, without_options
from mfcli.training.weights import Aging, WeightedRatings

RowColumns: TypeAlias = dict[str, NDArray[Any]]
"""Columns of some ratings: "user", "item" (int32), "rating" and perhaps "weight" (float32)."""

_REMEDY = "use a folder that all nodes can read, or an object store such as s3://bucket/split"
_SPLITS = 4  # that a process keeps open


@dataclass(frozen=True)
class RowSource:
    """Ratings in files that every node can read; small, so that it is sent to all workers.

    Attributes
    ----------
    address, hash : str
        As in `Split`.
    extents : tuple of Extent
        What the files hold of these ratings, in order.
    shape : tuple of int
        Number of users and of items.
    has_weights : bool
        Whether the files have a column of weights that counts.
    aging : Aging, optional
        By which weights decay.
    """

    address: str
    hash: str
    extents: tuple[Extent, ...]
    shape: tuple[int, int]
    has_weights: bool = False
    aging: Aging | None = None

    def __len__(self) -> int:
        return sum(stop - start for _, start, stop in self.extents)

    @property
    def types(self) -> dict[str, np.dtype[Any]]:
        """The types of the columns, by name."""
        return _types(self.has_weights or self.aging is not None)

    def pieces(self, rows: int) -> Iterator[RowRange]:
        """Yield all ratings in order, some at a time."""
        for start in range(0, len(self), rows):
            yield RowRange(self, start, min(start + rows, len(self)))


@dataclass(frozen=True)
class RowsInMemory:
    """Ratings that only the driver has.

    Attributes
    ----------
    ratings : Ratings or WeightedRatings
    """

    ratings: Ratings | WeightedRatings

    def __len__(self) -> int:
        return len(self.ratings)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of users and of items."""
        return len(self.ratings.users), len(self.ratings.items)

    @property
    def types(self) -> dict[str, np.dtype[Any]]:
        """The types of the columns, by name."""
        return _types("weight" in self.ratings.types)

    def pieces(self, rows: int) -> Iterator[RowColumns]:
        """Yield the columns of all ratings in order, some at a time."""
        for start in range(0, len(self), rows):
            part = self.ratings.take(slice(start, start + rows))
            yield {name: np.ascontiguousarray(getattr(part, name)) for name in self.types}


Source: TypeAlias = RowSource | RowsInMemory


class RowRange(NamedTuple):
    """The ratings `start` to ``stop - 1`` of a source."""

    source: RowSource
    start: int
    stop: int


def training_source(split: Split, train: Ratings, config: Config) -> Source:
    """Return where workers read training ratings, with their `training_weights`.

    Parameters
    ----------
    split : Split
    train : Ratings
        The training ratings of the split, or others with the same vocabularies.
    config : Config
    """
    weighted = WeightedRatings(train, config)
    if train is not split.train or not _is_in_files(split, "train", train):
        return RowsInMemory(weighted)
    return RowSource(
        split.address, split.hash, split.extents["train"], _shape(train),
        has_weights=train.weight is not None, aging=weighted.aging,
    )  # fmt: skip


def held_out_source(split: Split, held_out: Ratings) -> Source:
    """Return where workers read the ratings to validate on, which have no weights."""
    for name, part in split.parts.items():
        if part is held_out and _is_in_files(split, name, part):
            return RowSource(split.address, split.hash, split.extents[name], _shape(part))
    return RowsInMemory(held_out if held_out.weight is None else _without_weights(held_out))


def _is_in_files(split: Split, name: str, part: Ratings) -> bool:
    extents = split.extents.get(name, ())
    return bool(split.address) and sum(e.stop - e.start for e in extents) == len(part)


def _shape(ratings: Ratings) -> tuple[int, int]:
    return len(ratings.users), len(ratings.items)


def _without_weights(ratings: Ratings) -> Ratings:
    return Ratings(
        ratings.user, ratings.item, ratings.rating, None, ratings.users, ratings.items,
        feedback=ratings.feedback,
    )  # fmt: skip


def _types(weighted: bool) -> dict[str, np.dtype[Any]]:
    names = {"user": np.int32, "item": np.int32, "rating": np.float32}
    return {name: np.dtype(kind) for name, kind in names.items()} | (
        {"weight": np.dtype(np.float32)} if weighted else {}
    )


def read_rows(source: RowSource, start: int, stop: int) -> RowColumns:
    """Read some ratings of a source.

    Parameters
    ----------
    source : RowSource
    start, stop : int
        The ratings `start` to ``stop - 1``.

    Raises
    ------
    ArtifactError
        If this node cannot read the files, or they are not those of the split.
    """
    names = [name for name in source.types if name != "weight"]
    names += ["weight"] * source.has_weights + ["timestamp"] * (source.aging is not None)
    parts, before = list[RowColumns](), 0
    for file, first, last in source.extents:
        begin, end = max(start - before, 0) + first, min(stop - before + first, last)
        if begin < end:
            parts.append(_read_extent(source, Extent(file, begin, end), names))
        before += last - first
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    if source.aging:
        decay = source.aging.decay(columns.pop("timestamp"))
        columns["weight"] = columns["weight"] * decay if source.has_weights else decay
    _check_rows(source, columns)
    return columns


def _check_rows(source: RowSource, columns: RowColumns) -> None:
    # They are used as indices in compiled code, which does not check them.
    for name, size in zip(("user", "item"), source.shape, strict=True):
        rows = columns[name]
        if len(rows) and not 0 <= rows.min() <= rows.max() < size:
            rule = f"{name} rows must be from 0 to {size - 1}"
            place = without_options(source.address)
            raise ArtifactError(rule, place=place, remedy="split again")


def _read_extent(source: RowSource, extent: Extent, names: list[str]) -> RowColumns:
    """Read columns of consecutive ratings of one file: only their bytes are read."""
    if is_address(source.address):
        _check_hash(source.address, source.hash)
        file, start, stop = extent
        return read_columns(joined(source.address, file), start, stop, names)
    ratings = _opened(source.address, source.hash, extent.file)
    return {name: getattr(ratings, name)[extent.start : extent.stop] for name in names}


@functools.lru_cache(_SPLITS)
def _opened(address: str, digest: str, file: str) -> Ratings:
    """Map a file of a split into memory, after a check that it is the split that is meant."""
    _check_hash(address, digest)
    try:
        none = Vocabulary(pa.array([], pa.int64()), np.empty(0, np.int64))  # ids are not needed
        # The driver has checked the values.
        ratings = read_ratings_arrow(Path(address) / file, none, none, is_new=True)
    except ArtifactError as error:
        rule = f"cannot be read on every node of the cluster ({error})"
        raise ArtifactError(rule, place=address, remedy=_REMEDY) from error
    return ratings


@functools.lru_cache(_SPLITS)
def _check_hash(address: str, digest: str) -> None:
    """Check that the split at an address is the one that is meant, once in a process."""
    try:
        found = hash_at(address)
    except ArtifactError as error:
        rule = f"cannot be read on every node of the cluster ({error})"
        raise ArtifactError(rule, place=without_options(address), remedy=_REMEDY) from error
    if found != digest:
        rule = "holds another split on a node of the cluster than on this machine"
        raise ArtifactError(rule, place=without_options(address), remedy=_REMEDY)
