"""Ratings in memory, and a description of their source."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mfcli.data.feedback import EXPLICIT, common_feedback, rows_of
from mfcli.data.scales import Scale, scale_of
from mfcli.data.vocabulary import Translation, Vocabulary, united
from mfcli.storage import release, room, scratch
from mfcli.types import Counts, Floats, Rows

_PIECE = 1 << 20  # ratings that are in memory at a time, if they are mapped
_COLUMNS = ("user", "item", "rating", "timestamp", "weight")


@dataclass(frozen=True)
class Source:
    """Where ratings came from and how they were read.

    Attributes
    ----------
    name : str
        Name of the file without its folder, or the names of several files; "table" for a table in
        memory.
    files : int
        Number of files; 0 for a table in memory.
    bytes : int
    sha256 : str
        Digest of the file as stored, compressed or not; of the digests, if there are several files;
        empty for a table in memory.
    format : str
        Format of the first file, such as "text, separator ',', header".
    columns : dict of str
        The column names of user, item, rating, timestamp and weight in the first file; without a
        rating, each row is an event.
    rows : int
        Ratings read, duplicates included.
    duplicates : int
        Ratings merged into another rating of the same user and item.
    rejected : dict of int
        Rows that were skipped, by kind of fault.
    settings : dict
        The settings of the data stage that were used to read them.
    conflicts : int
        Duplicates that differ in value from the rating that was kept, without a time that tells
        which one is the latest.
    """

    name: str
    files: int
    bytes: int
    sha256: str
    format: str
    columns: dict[str, str]
    rows: int
    duplicates: int
    rejected: dict[str, int]
    settings: dict[str, str] = field(default_factory=dict)
    conflicts: int = 0

    def joined(self, other: Source) -> Source:
        """Return a description of two sources as one."""
        digests = f"{self.sha256}\n{other.sha256}"  # as for two files that are read together
        kinds = sorted({*self.rejected, *other.rejected})
        return replace(
            self,
            name=f"{self.name}, {other.name}",
            files=self.files + other.files,
            bytes=self.bytes + other.bytes,
            sha256=hashlib.sha256(digests.encode()).hexdigest(),
            rows=self.rows + other.rows,
            duplicates=self.duplicates + other.duplicates,
            conflicts=self.conflicts + other.conflicts,
            rejected={k: self.rejected.get(k, 0) + other.rejected.get(k, 0) for k in kinds},
        )


class RatedValues(Protocol):
    """Values of some ratings, and their weights, if they have any."""

    @property
    def rating(self) -> Floats: ...
    @property
    def weight(self) -> Floats | None: ...


class Counted(Protocol):
    """Rows of users or items with the number of training ratings of each."""

    @property
    def counts(self) -> Counts: ...
    def __len__(self) -> int: ...


class CountedColumns(Protocol):
    """Ratings whose columns are read piece by piece, in memory or not, without the ids."""

    @property
    def users(self) -> Counted: ...
    @property
    def items(self) -> Counted: ...
    @property
    def types(self) -> dict[str, np.dtype[Any]]: ...
    def __len__(self) -> int: ...
    def pieces(self, name: str) -> Iterator[NDArray[Any]]: ...


class Columns(CountedColumns, Protocol):
    """Ratings whose columns are read piece by piece, in memory or not."""

    @property
    def users(self) -> Vocabulary: ...
    @property
    def items(self) -> Vocabulary: ...


@dataclass(frozen=True)
class Ratings:
    """Ratings of items by users, or events between them.

    Attributes
    ----------
    user, item : int32 array, shape (n,)
        Rows of the vocabularies; -1 for an id that is not in them.
    rating : float32 array, shape (n,)
        For implicit feedback, a positive strength, such as a number of events.
    timestamp : int64 array, shape (n,), optional
        Seconds since 1970.
    users, items : Vocabulary
    source : Source, optional
        Where they were read from.
    weight : float32 array, shape (n,), optional
        How much each rating counts in training; positive. All count equally without it.
    feedback : {"explicit", "implicit"}
        Whether the values are ratings, or strengths of events.
    """

    user: Rows
    item: Rows
    rating: Floats
    timestamp: NDArray[np.int64] | None
    users: Vocabulary
    items: Vocabulary
    source: Source | None = None
    weight: Floats | None = None
    feedback: str = EXPLICIT

    def __len__(self) -> int:
        return len(self.rating)

    def __repr__(self) -> str:
        users, items = len(self.users), len(self.items)
        noun = rows_of(self.feedback)
        return f"Ratings({len(self):,} {noun} by {users:,} users of {items:,} items)"

    @property
    def types(self) -> dict[str, np.dtype[Any]]:
        """The types of the columns that exist, by name."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        return {name: column.dtype for name, column in columns.items() if column is not None}

    @property
    def mean(self) -> float:
        """Mean rating."""
        # float32 would lose digits over millions of ratings. NumPy adds up parts of 8,192 values,
        # so the sum has the same bits in pieces.
        total = np.float64(0)
        for piece in self.pieces("rating"):
            total = np.add.reduce(piece, dtype=np.float64, initial=total)
        return float(total / len(self))

    @property
    def density(self) -> float:
        """Fraction of all pairs of a user and an item that are rated."""
        return len(self) / (len(self.users) * len(self.items))

    @property
    def active_users(self) -> int:
        """Number of users with ratings."""
        active = np.zeros(len(self.users), np.bool_)
        for user in self.pieces("user"):
            active[user] = True
        return int(np.count_nonzero(active))

    def scale(self) -> Scale:
        """Return the smallest and the largest rating, and the step between ratings."""
        return scale_of(self.pieces("rating"))

    def pieces(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield a column in pieces of 2^20 values; mapped ones are released behind the last one."""
        yield from pieces_of(getattr(self, name))

    def take(self, rows: NDArray[Any] | slice) -> Ratings:
        """Select ratings by position, mask or slice, in that order; the vocabularies stay."""
        return replace(
            self,
            user=self.user[rows],
            item=self.item[rows],
            rating=self.rating[rows],
            timestamp=None if self.timestamp is None else self.timestamp[rows],
            weight=None if self.weight is None else self.weight[rows],
        )

    def without_empty(self) -> Ratings:
        """Return the same ratings with vocabularies that hold only the ids that have ratings."""
        users, user = self.users.counting(self.user).without_empty(self.user)
        items, item = self.items.counting(self.item).without_empty(self.item)
        return replace(self, user=user, item=item, users=users, items=items)

    def over(self, users: Vocabulary, items: Vocabulary) -> Ratings:
        """Return the same ratings with vocabularies of the same ids and other counts."""
        return replace(self, users=users, items=items)

    def within(self, users: Vocabulary, items: Vocabulary) -> Ratings:
        """Return the same ratings as rows of other vocabularies; -1 for ids that they lack."""
        user, item = Translation(self.users, users), Translation(self.items, items)
        return replace(self, user=user(self.user), item=item(self.item), users=users, items=items)


RatingsLike: TypeAlias = (
    Ratings | str | os.PathLike[str] | Mapping[str, Any] | tuple[Any, ...] | Any
)
"""What `ratings_from` takes, or `Ratings`."""


def pieces_of(column: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield a column in pieces, as `Ratings.pieces`."""
    for start in range(0, len(column), _PIECE):
        piece = np.ascontiguousarray(column[start : start + _PIECE])
        yield piece
        release(piece)


def concatenated(first: Ratings, second: Ratings) -> Ratings:
    """Append ratings to others, with vocabularies that hold the ids of both.

    Ids of different types become text. Times are kept if both have them. If one of them has no
    weights, each of its ratings has the weight 1.

    Raises
    ------
    DataError
        If one is explicit and the other implicit feedback.
    """
    feedback = common_feedback({"first": first.feedback, "second": second.feedback})
    users, second_user = united(first.users, second.users)
    items, second_item = united(first.items, second.items)
    user = np.concatenate([first.user, second_user[second.user]])
    item = np.concatenate([first.item, second_item[second.item]])
    times = (first.timestamp, second.timestamp)
    return Ratings(
        user,
        item,
        np.concatenate([first.rating, second.rating]),
        None if times[0] is None or times[1] is None else np.concatenate([times[0], times[1]]),
        users.counting(user),
        items.counting(item),
        first.source.joined(second.source) if first.source and second.source else None,
        _joined_weights(first, second),
        feedback,
    )


def joined_ratings(parts: Sequence[Ratings]) -> Ratings:
    """Append ratings with the same vocabularies and columns to each other.

    If they do not fit in memory, they are in temporary space as long as they are used.

    Raises
    ------
    LimitError, ArtifactError
        If there is too little temporary space.
    """
    first, count = parts[0], sum(map(len, parts))
    need = count * sum(kind.itemsize for kind in first.types.values())
    if need <= room():
        whole = parts[-1]
        for part in reversed(parts[:-1]):  # from the end, so that the largest part is copied once
            whole = concatenated(part, whole)
        return whole
    columns: dict[str, Any] = {}
    with scratch(need, "joining the parts of the split") as space:
        for name, kind in first.types.items():
            offset = end = space.reserve(count * kind.itemsize)
            for piece in chain.from_iterable(part.pieces(name) for part in parts):
                space.write(end, piece)
                end += piece.nbytes
            columns[name] = space.array(offset, kind, count)
    return replace(first, **columns)


def _joined_weights(first: Ratings, second: Ratings) -> Floats | None:
    if first.weight is None and second.weight is None:
        return None
    weights = [
        np.ones(len(ratings), np.float32) if ratings.weight is None else ratings.weight
        for ratings in (first, second)
    ]
    return np.concatenate(weights)
