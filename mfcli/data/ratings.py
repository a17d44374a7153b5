"""Ratings and the vocabularies that give their users and items a row each.

Both live on disk as Arrow IPC files (Feather v2), uncompressed so that reading maps them into
memory. pandas, polars, R and DuckDB open the same files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mfcli.errors import ArtifactError, DataError

_COLUMNS = {
    "user": pa.int32(),
    "item": pa.int32(),
    "rating": pa.float32(),
    "timestamp": pa.int64(),
}
_DTYPES = {"user": np.int32, "item": np.int32, "rating": np.float32, "timestamp": np.int64}

_CHUNK = 1 << 16  # ratings looked at together
_MANY = 1000  # distinct values of a rating from which on it has no steps


Ids: TypeAlias = int | str | Sequence[int] | Sequence[str] | NDArray[Any] | Any
"""Raw ids of users or items: one, or several in whatever Arrow takes, as a pandas Series."""


class Scale(NamedTuple):
    """The values that ratings take: from `min` to `max`, in steps of `step` if there are steps."""

    min: float
    max: float
    step: float | None


@dataclass(frozen=True)
class Vocabulary:
    """The raw ids of users or items; the position of an id is its row in every table.

    Attributes
    ----------
    ids : Arrow array of int64 or string, length n
        Distinct, in the order in which the ratings file first names them.
    counts : int64 array, shape (n,)
        Ratings that each id has for a model to learn from.
    """

    ids: pa.Array
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.counts)

    def rows(self, ids: pa.Array) -> NDArray[np.int32]:
        """Find the rows of raw ids; -1 where an id is unknown.

        Ids of the other type are compared as text, so that 42 finds "42" and "42" finds 42.
        """
        own = self.ids
        if ids.type != own.type:
            own, ids = own.cast(pa.string()), ids.cast(pa.string())
        elif ids is own:
            return np.arange(len(own), dtype=np.int32)
        return places(ids, own)

    def counting(self, rows: NDArray[np.int32]) -> Vocabulary:
        """Return the same ids with the number of times each of their rows occurs in `rows`."""
        counts = np.bincount(rows, minlength=len(self)).astype(np.int64)
        return replace(self, counts=counts)

    def without_empty(self, rows: NDArray[np.int32]) -> tuple[Vocabulary, NDArray[np.int32]]:
        """Leave out the ids with a count of zero; return `rows` in the new numbering too."""
        full = self.counts > 0
        number = np.cumsum(full, dtype=np.int32) - 1
        return Vocabulary(self.ids.filter(pa.array(full)), self.counts[full]), number[rows]


def places(values: pa.Array, among: pa.Array) -> NDArray[np.int32]:
    """Find where values stand among distinct ones of their type; -1 where they do not."""
    found = pc.index_in(values, value_set=among)
    known = to_numpy(pc.is_valid(found).cast(pa.int32()), np.int32)  # fill_null imports pandas
    return np.where(known, to_numpy(found, np.int32), np.int32(-1))


def id_array(ids: Ids) -> pa.Array:
    """Return raw ids as an Arrow array of int64 or string, as a vocabulary has them.

    Raises
    ------
    DataError
        If they are neither integers nor text.
    """
    several = [ids] if isinstance(ids, int | str | np.integer) else ids
    try:
        found = pa.array(several)
        kind = _id_type(found.type)
        if kind is not None and not found.null_count:
            return found.cast(kind)
    except (TypeError, pa.ArrowException):
        pass
    raise DataError(f"ids must be integers or text, got {several!r:.60}")


def _id_type(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_integer(kind):
        return pa.int64()
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return pa.string() if text or pa.types.is_null(kind) else None


@dataclass(frozen=True)
class Source:
    """Where ratings came from and how they were read.

    Attributes
    ----------
    name : str
        The file's name, without its folder; the names of several.
    files : int
    bytes : int
    sha256 : str
        Digest of the file as it lies there, compressed or not; of the digests of several.
    format : str
        Such as "text, separator ',', header"; of the first file.
    columns : dict of str
        The file's name for each of user, item, rating and timestamp.
    rows : int
        Ratings read, duplicates included.
    duplicates : int
        Ratings merged into another one of the same user and item.
    rejected : dict of int
        Rows left out, by kind of fault.
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

    def joined(self, other: Source) -> Source:
        """Describe two sources as one."""
        digests = f"{self.sha256}\n{other.sha256}"
        kinds = sorted({*self.rejected, *other.rejected})
        return replace(
            self,
            name=f"{self.name}, {other.name}",
            files=self.files + other.files,
            bytes=self.bytes + other.bytes,
            sha256=hashlib.sha256(digests.encode()).hexdigest(),
            rows=self.rows + other.rows,
            duplicates=self.duplicates + other.duplicates,
            rejected={k: self.rejected.get(k, 0) + other.rejected.get(k, 0) for k in kinds},
        )


@dataclass(frozen=True)
class Ratings:
    """Ratings of items by users, a row each.

    Attributes
    ----------
    user, item : int32 array, shape (n,)
        Rows of the vocabularies; -1 for an id outside them.
    rating : float32 array, shape (n,)
    timestamp : int64 array, shape (n,), optional
        Seconds since 1970.
    users, items : Vocabulary
    source : Source, optional
        The file they were read from.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    rating: NDArray[np.float32]
    timestamp: NDArray[np.int64] | None
    users: Vocabulary
    items: Vocabulary
    source: Source | None = None

    def __len__(self) -> int:
        return len(self.rating)

    @property
    def mean(self) -> float:
        return float(self.rating.mean(dtype=np.float64))

    @property
    def density(self) -> float:
        """Share of all pairs of a user and an item that are rated."""
        return len(self) / (len(self.users) * len(self.items))

    def scale(self) -> Scale:
        values = _distinct(self.rating)
        if values is None:
            return Scale(float(self.rating.min()), float(self.rating.max()), None)
        return Scale(float(values[0]), float(values[-1]), _step(values))

    def take(self, rows: NDArray[Any] | slice) -> Ratings:
        """Select ratings by position, mask or slice, in order; the vocabularies stay."""
        return replace(
            self,
            user=self.user[rows],
            item=self.item[rows],
            rating=self.rating[rows],
            timestamp=None if self.timestamp is None else self.timestamp[rows],
        )

    def without_empty(self) -> Ratings:
        """Return the same ratings over vocabularies without the ids that have none."""
        users, user = self.users.counting(self.user).without_empty(self.user)
        items, item = self.items.counting(self.item).without_empty(self.item)
        return replace(self, user=user, item=item, users=users, items=items)

    def over(self, users: Vocabulary, items: Vocabulary) -> Ratings:
        """Return the same rows over vocabularies of the same ids, counted otherwise."""
        return replace(self, users=users, items=items)

    def within(self, users: Vocabulary, items: Vocabulary) -> Ratings:
        """Return the same ratings in the rows of other vocabularies; -1 for ids they lack."""
        if users.ids.equals(self.users.ids) and items.ids.equals(self.items.ids):
            return self.over(users, items)
        return replace(
            self,
            user=users.rows(self.users.ids)[self.user],
            item=items.rows(self.items.ids)[self.item],
            users=users,
            items=items,
        )


def concatenated(first: Ratings, second: Ratings) -> Ratings:
    """Put ratings behind one another, over vocabularies that hold the ids of both.

    Ids of different types become text. Times are kept if both have them.
    """
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
    )


def united(first: Vocabulary, second: Vocabulary) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Append the ids that only `second` has; return also the new rows of all of its ids.

    Ids of different types become text.
    """
    rows = first.rows(second.ids)
    new = rows < 0
    rows[new] = np.arange(len(first), len(first) + np.count_nonzero(new), dtype=np.int32)
    ids = [first.ids, second.ids.filter(pa.array(new))]
    if first.ids.type != second.ids.type:
        ids = [part.cast(pa.string()) for part in ids]
    counts = np.concatenate([first.counts, second.counts[new]])
    return Vocabulary(pa.concat_arrays(ids), counts), rows


def _distinct(rating: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Return the distinct values in ascending order; None if there are very many."""
    found = rating[:0]
    for start in range(0, len(rating), _CHUNK):
        chunk = np.unique(rating[start : start + _CHUNK])
        if len(chunk) > _MANY or len(found := np.union1d(found, chunk)) > _MANY:
            return None
    return found


def _step(values: NDArray[np.float32]) -> float | None:
    """Find the step of a scale: the least gap, if all gaps are multiples of it."""
    if len(values) < 2:
        return None
    gaps = np.diff(values.astype(np.float64))
    step = gaps.min()
    multiples = gaps / step
    even = np.allclose(multiples, np.round(multiples), atol=1e-3, rtol=0)
    return round(float(step), 6) if even else None


def write_ratings(path: Path, ratings: Ratings) -> None:
    """Write the columns of ratings as one Arrow IPC record batch."""
    columns = {name: getattr(ratings, name) for name in _COLUMNS}
    _write_arrow(
        path, {name: to_arrow(c, _COLUMNS[name]) for name, c in columns.items() if c is not None}
    )


def read_ratings_arrow(path: Path, users: Vocabulary, items: Vocabulary) -> Ratings:
    """Map a file of `write_ratings` into memory and check it.

    Raises
    ------
    ArtifactError
        If the file is missing or damaged, a column is missing or of the wrong type, a row is
        outside its vocabulary or a rating is not finite.
    """
    table = _read_arrow(path)
    names = [name for name in _COLUMNS if name in table.column_names or name != "timestamp"]
    columns = {
        name: to_numpy(_column(path, table, name, (kind,)), _DTYPES[name])
        for name, kind in _COLUMNS.items()
        if name in names
    }
    _check_rows(path, "user", columns["user"], users)
    _check_rows(path, "item", columns["item"], items)
    if not np.isfinite(np.sum(columns["rating"], dtype=np.float64)):
        raise ArtifactError(f"{path}: ratings must be finite; make it anew")
    return Ratings(
        user=columns["user"],
        item=columns["item"],
        rating=columns["rating"],
        timestamp=columns.get("timestamp"),
        users=users,
        items=items,
    )


def write_vocabulary(path: Path, vocabulary: Vocabulary) -> None:
    """Write the ids and counts of a vocabulary as one Arrow IPC record batch."""
    _write_arrow(path, {"id": vocabulary.ids, "count": to_arrow(vocabulary.counts, pa.int64())})


def read_vocabulary(path: Path) -> Vocabulary:
    """Read a file of `write_vocabulary` and check it.

    Raises
    ------
    ArtifactError
        If the file is missing or damaged, or an id occurs twice.
    """
    table = _read_arrow(path)
    ids = _column(path, table, "id", (pa.int64(), pa.string()))
    counts = to_numpy(_column(path, table, "count", (pa.int64(),)), np.int64)
    if len(ids.unique()) != len(ids):
        raise ArtifactError(f"{path}: ids must be distinct; make it anew")
    return Vocabulary(ids, counts)


def to_numpy(column: pa.Array, dtype: Any) -> NDArray[Any]:
    """View a column of numbers without nulls; Arrow's own `to_numpy` would import pandas."""
    values = column.buffers()[1]
    if not len(column):
        return np.empty(0, dtype)
    return np.frombuffer(values, dtype)[column.offset : column.offset + len(column)]


def to_arrow(column: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """View an array as a column; Arrow's own `array` would import pandas."""
    values = pa.py_buffer(np.ascontiguousarray(column))
    return pa.Array.from_buffers(kind, len(column), [None, values])


def to_texts(texts: Sequence[str]) -> pa.Array:
    """Make a column of texts; Arrow's own `array` would import pandas."""
    parts = [text.encode() for text in texts]
    bounds = np.cumsum([0, *map(len, parts)], dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(parts), [None, pa.py_buffer(bounds), pa.py_buffer(b"".join(parts))]
    )


def _write_arrow(path: Path, columns: dict[str, pa.Array]) -> None:
    table = pa.table(columns)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _read_arrow(path: Path) -> pa.Table:
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        table.validate(full=True)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror or error}") from error
    except pa.ArrowException as error:
        raise ArtifactError(f"{path}: is damaged ({_line(error)}); make it anew") from error
    return table


def _column(path: Path, table: pa.Table, name: str, types: Iterable[pa.DataType]) -> pa.Array:
    if table.column_names.count(name) != 1:
        raise ArtifactError(f"{path}: must have one column {name!r}, got {table.column_names}")
    chunks = table[name]
    column = chunks.chunk(0) if chunks.num_chunks == 1 else pa.concat_arrays(chunks.chunks)
    if column.type not in types or column.null_count:
        raise ArtifactError(f"{path}: column {name!r} has the wrong type, {column.type}")
    return column


def _check_rows(path: Path, name: str, rows: NDArray[np.int32], vocabulary: Vocabulary) -> None:
    if len(rows) and (rows.min() < 0 or rows.max() >= len(vocabulary)):
        raise ArtifactError(
            f"{path}: {name} rows must be from 0 to {len(vocabulary) - 1},"
            f" got {rows.min()} to {rows.max()}"
        )


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]
