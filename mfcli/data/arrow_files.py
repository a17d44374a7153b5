"""Ratings and vocabularies on disk, as Arrow IPC files (Feather v2).

They are not compressed, so that they can be mapped into memory. pandas, polars, R and DuckDB read
the same files.
"""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.data.arrow_arrays import one_array, to_arrow, to_numpy
from mfcli.data.feedback import EXPLICIT, IMPLICIT, positive_roles
from mfcli.data.ratings import Columns, Ratings, pieces_of
from mfcli.data.vocabulary import Vocabulary
from mfcli.errors import ArtifactError
from mfcli.storage import DigestedFile, MappedFile, mapped
from mfcli.types import Floats, Rows

_COLUMNS = {
    "user": pa.int32(),
    "item": pa.int32(),
    "rating": pa.float32(),
    "timestamp": pa.int64(),
    "weight": pa.float32(),
}
_OPTIONAL = ("timestamp", "weight")
_REMEDY = "create it again"


def write_ratings(path: Path, ratings: Columns) -> str:
    """Write the columns of ratings as one record batch, and return the SHA-256 of the file."""
    # Arrow is given columns of zeros, for which the system provides no memory unless it is written.
    # It writes everything else, and the sink writes the values.
    columns = {name: np.zeros(len(ratings), kind) for name, kind in ratings.types.items()}
    pieces = {column.ctypes.data: ratings.pieces(name) for name, column in columns.items()}
    with DigestedFile(path) as file:
        sink = _Sink(file, pieces if len(ratings) else {})
        _write_columns(sink, columns)
    if sink.is_complete:
        return file.sha256
    # Arrow has copied a column before it wrote it.
    columns = {n: np.concatenate([p.copy() for p in ratings.pieces(n)]) for n in columns}
    with DigestedFile(path) as file:
        _write_columns(_Sink(file, {}), columns)
    return file.sha256


def _write_columns(sink: _Sink, columns: Mapping[str, NDArray[Any]]) -> None:
    table = pa.table({name: to_arrow(column) for name, column in columns.items()})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


class _Sink(io.RawIOBase):
    """Writes columns in place of the buffers with certain addresses.

    Parameters
    ----------
    file : DigestedFile
    columns : dict
        The pieces of each column, by the address of the buffer that they replace.
    """

    def __init__(self, file: DigestedFile, columns: dict[int, Iterator[NDArray[Any]]]) -> None:
        self._file, self._columns = file, columns

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        pieces = self._columns.pop(getattr(data, "address", 0), None)
        if pieces is None:
            self._file.write(data)
        else:
            for piece in pieces:
                self._file.write(piece)
        return memoryview(data).nbytes

    @property
    def is_complete(self) -> bool:
        """Whether all columns are written."""
        return not self._columns


def read_ratings_arrow(
    file: Path | MappedFile, users: Vocabulary, items: Vocabulary, feedback: str = EXPLICIT
) -> Ratings:
    """Map a file of `write_ratings` into memory, unless it is mapped already, and check it.

    Raises
    ------
    ArtifactError
        If the file is missing or damaged, a column is missing or has the wrong type, a row is
        outside its vocabulary, a rating is not finite, or a weight or a strength is not positive.
    """
    path, table = _read(file)
    columns = {
        name: to_numpy(_column(path, table, name, (kind,)))
        for name, kind in _COLUMNS.items()
        if name in table.column_names or name not in _OPTIONAL
    }
    _check_rows(path, "user", columns["user"], users)
    _check_rows(path, "item", columns["item"], items)
    positive = positive_roles(feedback == IMPLICIT)
    _check_values(path, "rating", columns["rating"], "rating" in positive)
    if "weight" in columns:
        _check_values(path, "weight", columns["weight"], "weight" in positive)
    return Ratings(
        user=columns["user"],
        item=columns["item"],
        rating=columns["rating"],
        timestamp=columns.get("timestamp"),
        users=users,
        items=items,
        weight=columns.get("weight"),
        feedback=feedback,
    )


def _check_values(path: Path, name: str, values: Floats, positive: bool) -> None:
    is_finite, is_positive = True, True
    for piece in pieces_of(values):
        # A sum of float64 is finite only if all its terms are; it needs no array of flags.
        is_finite &= bool(np.isfinite(np.sum(piece, dtype=np.float64)))
        is_positive &= not positive or piece.min() > 0
    if not is_finite:
        raise ArtifactError(f"{name}s must be finite", place=path, remedy=_REMEDY)
    if not is_positive:
        raise ArtifactError(f"{name}s must be positive", place=path, remedy=_REMEDY)


def write_vocabulary(path: Path, vocabulary: Vocabulary) -> None:
    """Write the ids and counts of a vocabulary as one record batch."""
    _write(path, {"id": vocabulary.ids, "count": to_arrow(vocabulary.counts)})


def read_vocabulary(file: Path | MappedFile) -> Vocabulary:
    """Map a file of `write_vocabulary` into memory, unless it is mapped already, and check it.

    Raises
    ------
    ArtifactError
        If the file is missing or damaged, a column is missing or has the wrong type, or an id
        occurs twice.
    """
    path, table = _read(file)
    ids = _column(path, table, "id", (pa.int64(), pa.string()))
    counts = to_numpy(_column(path, table, "count", (pa.int64(),)))
    if _has_repeats(ids):
        raise ArtifactError("ids must be distinct", place=path, remedy=_REMEDY)
    return Vocabulary(ids, counts)


def _has_repeats(ids: pa.Array) -> bool:
    if ids.type == pa.string():
        return len(ids.unique()) != len(ids)
    # `unique` would import `pyarrow.compute`, which takes longer than a small training.
    ordered = np.sort(to_numpy(ids))
    return bool((ordered[1:] == ordered[:-1]).any())


def _write(path: Path, columns: dict[str, pa.Array]) -> None:
    table = pa.table(columns)
    with pa.OSFile(os.fsencode(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _read(source: Path | MappedFile) -> tuple[Path, pa.Table]:
    file = mapped(source)
    try:
        table = pa.ipc.open_file(pa.py_buffer(file.content)).read_all()
        # Arrow does not check the offsets of texts when it reads: wrong ones would be used later.
        table.validate(full=True)
    except MemoryError:  # of Arrow: not the fault of the file
        raise
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(f"is damaged ({reason})", place=file.path, remedy=_REMEDY) from error
    return file.path, table


def _column(path: Path, table: pa.Table, name: str, types: Collection[pa.DataType]) -> pa.Array:
    names = table.column_names
    if names.count(name) != 1:
        raise ArtifactError(
            f"must have one column {name!r}", place=path, value=names, remedy=_REMEDY
        )
    column = one_array(table[name])
    if column.type not in types or column.null_count:
        rule = f"column {name!r} has the wrong type, {column.type}"
        raise ArtifactError(rule, place=path, remedy=_REMEDY)
    return column


def _check_rows(path: Path, name: str, rows: Rows, vocabulary: Vocabulary) -> None:
    # Rows are used as indices in compiled code, which does not check them.
    ends = [(int(piece.min()), int(piece.max())) for piece in pieces_of(rows)]
    low, high = min((one for one, _ in ends), default=0), max((one for _, one in ends), default=-1)
    if low < 0 or high >= len(vocabulary):
        raise ArtifactError(
            f"{name} rows must be from 0 to {len(vocabulary) - 1}, got {low} to {high}",
            place=path,
            remedy=_REMEDY,
        )
