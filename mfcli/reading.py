"""Reading ratings files of any layout into `Ratings`, in bounded pieces.

Arrow's multi-threaded readers parse the text and hash the ids of each piece; only the encoded
columns stay in memory. A file that they refuse is read again, slowly, to name the faulty line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mfcli.errors import DataError
from mfcli.faults import find_fault, line_of
from mfcli.files import sha256
from mfcli.layout import Layout, damaged_gzip, find_layout
from mfcli.ratings import Ratings, Source, Vocabulary

_BLOCK = 1 << 24  # bytes of text parsed at a time

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""


def read_ratings(
    path: Path | str,
    *,
    columns: Mapping[str, str] | None = None,
    duplicates: str = "keep-last",
    on_progress: Progress | None = None,
) -> Ratings:
    """Read a file of ratings.

    Parameters
    ----------
    path : Path or str
        CSV or TSV with or without a header, MovieLens `u.data` or `ratings.dat`, gzip of any of
        them, or Parquet; told apart by what they hold.
    columns : mapping of str, optional
        Names of the columns "user", "item", "rating" and "timestamp" where they are not the usual
        ones; positions from 1 where the file has no header.
    duplicates : {"keep-last", "mean", "error"}
        What a user and an item rated twice become.
    on_progress : callable, optional
        Called with the bytes read so far and the bytes of the file.

    Returns
    -------
    Ratings
        In the order of the file; ids are integers if all of a column are, else strings.

    Raises
    ------
    DataError
        At the first thing that is wrong, with its line.
    """
    layout = find_layout(Path(path), columns)
    pieces = _Pieces(layout)
    for batch, position in _batches(layout):
        pieces.add(batch)
        if on_progress:
            on_progress(position, layout.path.stat().st_size)
    ratings = pieces.ratings()
    return _merged(ratings, layout, duplicates)


@dataclass
class _Encoder:
    """Numbers the distinct ids of a column in the order in which they come."""

    codes: dict[Any, int] = field(default_factory=dict)

    def encode(self, column: pa.DictionaryArray) -> NDArray[np.int32]:
        codes = self.codes
        numbers = [codes.setdefault(raw, len(codes)) for raw in column.dictionary.to_pylist()]
        encoded: NDArray[np.int32] = np.array(numbers, np.int32)[column.indices.to_numpy()]
        return encoded

    def ids(self, text: bool) -> pa.Array:
        """Return the ids; text becomes integers where nothing of any id is lost by that."""
        ids = pa.array(list(self.codes))
        if not text:
            return ids if ids.type == pa.string() else ids.cast(pa.int64())
        try:
            whole = ids.cast(pa.int64())
        except pa.ArrowInvalid:
            return ids
        return whole if whole.cast(pa.string()).equals(ids) else ids


@dataclass
class _Pieces:
    """Columns collected batch by batch."""

    layout: Layout
    users: _Encoder = field(default_factory=_Encoder)
    items: _Encoder = field(default_factory=_Encoder)
    columns: dict[str, list[NDArray[Any]]] = field(default_factory=dict)

    def add(self, batch: pa.RecordBatch) -> None:
        for role, column in zip(self.layout.columns, batch.columns, strict=True):
            values = _CONVERT[role](self, column)
            if values is None:
                raise self.fault(role, column)
            self.columns.setdefault(role, []).append(values)

    def user(self, column: pa.Array) -> NDArray[np.int32] | None:
        return self._id(column, self.users)

    def item(self, column: pa.Array) -> NDArray[np.int32] | None:
        return self._id(column, self.items)

    def _id(self, column: pa.Array, encoder: _Encoder) -> NDArray[np.int32] | None:
        if column.null_count:
            return None
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        values = encoder.encode(column)
        return None if "" in encoder.codes else values

    def rating(self, column: pa.Array) -> NDArray[np.float32] | None:
        with np.errstate(over="ignore"):
            values = column.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
        return values if np.isfinite(values).all() else None

    def timestamp(self, column: pa.Array) -> NDArray[np.int64] | None:
        try:
            if pa.types.is_date(column.type):
                column = column.cast(pa.timestamp("s"))
            if pa.types.is_timestamp(column.type):
                column = column.cast(pa.timestamp("s"), safe=False)
            if pa.types.is_floating(column.type):
                column = pc.floor(column)
            column = column.cast(pa.int64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
        return None if column.null_count else column.to_numpy()

    def fault(self, role: str, column: pa.Array) -> DataError:
        """Say what is wrong with a column that could not be converted."""
        if self.layout.format == "text":
            found = find_fault(self.layout)
            if found:
                return found
        rows = sum(map(len, self.columns.get(role, ())))
        name = self.layout.names[self.layout.columns[role]]
        return DataError(
            f"{self.layout.path}: column {name!r} must hold {_NEEDS[role]}, got"
            f" {_culprit(role, column)!r} in or after row {rows + 1}"
        )

    def ratings(self) -> Ratings:
        if not self.columns:
            raise DataError(f"{self.layout.path}: holds no rating, only a header")
        columns = {role: np.concatenate(values) for role, values in self.columns.items()}
        text = self.layout.format == "text"
        return Ratings(
            user=columns["user"],
            item=columns["item"],
            rating=columns["rating"],
            timestamp=columns.get("timestamp"),
            users=_vocabulary(self.users.ids(text), columns["user"]),
            items=_vocabulary(self.items.ids(text), columns["item"]),
        )


_CONVERT: dict[str, Callable[[_Pieces, pa.Array], NDArray[Any] | None]] = {
    "user": _Pieces.user,
    "item": _Pieces.item,
    "rating": _Pieces.rating,
    "timestamp": _Pieces.timestamp,
}
_NEEDS = {
    "user": "integer or text ids, none empty",
    "item": "integer or text ids, none empty",
    "rating": "finite numbers",
    "timestamp": "seconds or ISO 8601 dates",
}


def _vocabulary(ids: pa.Array, rows: NDArray[np.int32]) -> Vocabulary:
    return Vocabulary(ids, np.bincount(rows, minlength=len(ids)).astype(np.int64))


def _culprit(role: str, column: pa.Array) -> Any:
    if column.null_count:
        return None
    for value in column.to_pylist():
        if value == "" or (role == "rating" and not np.isfinite(value)):
            return value
    return column.type


def _batches(layout: Layout) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Yield pieces of the columns needed, in the order of `layout.columns`, and bytes read."""
    try:
        reader = _parquet_batches if layout.format == "parquet" else _text_batches
        yield from reader(layout)
    except pa.ArrowException as error:
        found = find_fault(layout) if layout.format == "text" else None
        raise found or DataError(f"{layout.path}: {str(error).splitlines()[0]}") from error
    except OSError as error:
        if layout.compressed:
            raise damaged_gzip(layout.path, error) from error
        raise DataError(f"{layout.path}: cannot be read: {error.strerror or error}") from error


def _text_batches(layout: Layout) -> Iterator[tuple[pa.RecordBatch, int]]:
    raw = pa.OSFile(str(layout.path))
    stream = pa.CompressedInputStream(raw, "gzip") if layout.compressed else raw
    try:
        reader = pacsv.open_csv(stream, *_csv_options(layout))
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return
        raise
    for batch in reader:
        if len(batch):
            yield batch, raw.tell()


def _csv_options(layout: Layout) -> tuple[Any, Any, Any]:
    """Options of Arrow's reader; columns are named by position, since names may repeat.

    Arrow's separators are single characters, so "::" is read as ":" with an empty column between
    any two.
    """
    stride = len(layout.separator)
    names = [str(position) for position in range(stride * (len(layout.names) - 1) + 1)]
    place = {role: str(stride * position) for role, position in layout.columns.items()}
    hashed = pa.dictionary(pa.int32(), pa.string())
    types = {place["user"]: hashed, place["item"]: hashed, place["rating"]: pa.float32()}
    return (
        pacsv.ReadOptions(block_size=_BLOCK, column_names=names, skip_rows=layout.skip),
        pacsv.ParseOptions(
            delimiter=layout.separator[0],
            quote_char=False if stride > 1 else '"',
            newlines_in_values=stride == 1,
        ),
        pacsv.ConvertOptions(
            column_types=types,
            include_columns=list(place.values()),
            null_values=[""],
            strings_can_be_null=False,
        ),
    )


def _parquet_batches(layout: Layout) -> Iterator[tuple[pa.RecordBatch, int]]:
    names = [layout.names[position] for position in layout.columns.values()]
    file = pq.ParquetFile(layout.path)
    size, total, done = layout.path.stat().st_size, max(file.metadata.num_rows, 1), 0
    for batch in file.iter_batches(columns=names):
        done += len(batch)
        if len(batch):
            yield (
                pa.RecordBatch.from_arrays(
                    [_plain(layout, name, batch.column(name)) for name in names], names
                ),
                size * done // total,
            )


def _plain(layout: Layout, name: str, column: pa.Array) -> pa.Array:
    """Check the type of a Parquet column and bring its variants to one form."""
    role = next(r for r, position in layout.columns.items() if layout.names[position] == name)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if role == "timestamp":
        return column
    if role == "rating":
        right = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        return _typed(layout, name, column, pa.float32(), right, "numbers")
    right = text or pa.types.is_integer(kind)
    return _typed(layout, name, column, pa.string() if text else pa.int64(), right, _NEEDS[role])


def _typed(
    layout: Layout, name: str, column: pa.Array, kind: pa.DataType, right: bool, need: str
) -> pa.Array:
    if not right:
        raise DataError(f"{layout.path}: column {name!r} must hold {need}, got {column.type}")
    return column.cast(kind, safe=False)


def _merged(ratings: Ratings, layout: Layout, duplicates: str) -> Ratings:
    """Merge ratings of the same user and item, and note the source."""
    pair = pd.Series(ratings.user.astype(np.int64) * len(ratings.items) + ratings.item)
    twice = pair.duplicated(keep="last").to_numpy()
    kept = _without(twice, ratings, pair, layout, duplicates) if twice.any() else ratings
    source = Source(
        name=layout.path.name,
        bytes=layout.path.stat().st_size,
        sha256=sha256(layout.path),
        format=str(layout),
        columns={role: layout.names[position] for role, position in layout.columns.items()},
        rows=len(ratings),
        duplicates=int(twice.sum()),
    )
    return replace(kept, source=source)


def _without(
    twice: NDArray[np.bool_], ratings: Ratings, pair: Any, layout: Layout, duplicates: str
) -> Ratings:
    if duplicates == "error":
        raise _duplicate(ratings, layout, int(np.argmax(pair.duplicated().to_numpy())))
    if duplicates == "mean":
        means = pd.Series(ratings.rating.astype(np.float64)).groupby(pair, sort=False)
        ratings = replace(ratings, rating=means.transform("mean").to_numpy(np.float32))
    kept = ratings.take(~twice)
    return replace(kept, users=kept.users.counting(kept.user), items=kept.items.counting(kept.item))


def _duplicate(ratings: Ratings, layout: Layout, row: int) -> DataError:
    user = ratings.users.ids[ratings.user[row]].as_py()
    item = ratings.items.ids[ratings.item[row]].as_py()
    place = (
        f"{layout.path}:{line_of(layout, row)}"
        if layout.format == "text"
        else f"{layout.path}: row {row + 1}"
    )
    return DataError(
        f"{place}: user {user!r} has rated item {item!r} before; choose with --duplicates"
    )
