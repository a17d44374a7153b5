"""Ratings and vocabularies on disk, as Arrow IPC files (Feather v2).

They are not compressed, so that they can be mapped into memory. pandas, polars, R and DuckDB read
the same files.
"""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

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

RATING_COLUMNS = {
    "user": pa.int32(),
    "item": pa.int32(),
    "rating": pa.float32(),
    "timestamp": pa.int64(),
    "weight": pa.float32(),
}
"""Types of the columns of a file of ratings."""
_OPTIONAL = ("timestamp", "weight")
_REMEDY = "create it again"
_END = ""  # what follows the last column


Pieces: TypeAlias = Callable[[str], Iterable[tuple[int, NDArray[Any]]]]
"""Given the name of a column, yields its pieces, each with the number of the file it belongs to."""


def write_ratings(
    paths: Sequence[Path],
    ratings: Sequence[Columns],
    pieces: Pieces,
    on_written: Callable[[int], None] = lambda size: None,
) -> list[str]:
    """Write several files of ratings, column by column, and return their SHA-256.

    Each file has one record batch.

    Parameters
    ----------
    paths : sequence of Path
    ratings : sequence of Columns
        With the same columns.
    pieces : callable
        As `pieces_in_turn`, but may read the columns of all files together.
    on_written : callable, optional
        Called with the size of each piece after it is written, in bytes.
    """
    layouts = [_layout(one) for one in ratings]
    with ExitStack() as stack:
        files = [stack.enter_context(DigestedFile(path)) for path in paths]
        for name in (*ratings[0].types, _END):
            for file, layout in zip(files, layouts, strict=True):
                file.write(layout[name])
            for number, piece in pieces(name) if name != _END else ():
                files[number].write(piece)
                on_written(piece.nbytes)
    return [file.sha256 for file in files]


def pieces_in_turn(ratings: Sequence[Columns]) -> Pieces:
    """Return what yields the pieces of a column of all files, one file after the other."""
    return lambda name: (
        (number, piece) for number, one in enumerate(ratings) for piece in one.pieces(name)
    )


def _layout(ratings: Columns) -> dict[str, bytes]:
    """Return the bytes of a file before each column, and after the last one."""
    # Arrow is given columns of zeros, for which the system provides no memory unless it is written.
    columns = {name: np.zeros(len(ratings), kind) for name, kind in ratings.types.items()}
    table = pa.table({name: to_arrow(column) for name, column in columns.items()})
    sink = _Sink([*columns] if len(ratings) else [])
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return dict.fromkeys(columns, b"") | sink.before | {_END: sink.rest}


class _Sink(io.RawIOBase):
    """Keeps what Arrow writes, except columns.

    Parameters
    ----------
    names : sequence of str
        Of the columns.

    Attributes
    ----------
    before : dict of bytes
        What was written before each column.
    rest : bytes
        What was written after the last column.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.before, self.rest, self._names = dict[str, bytes](), b"", deque(names)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if isinstance(data, pa.Buffer):  # of a column; everything else comes as bytes
            self.before[self._names.popleft()], self.rest = self.rest, b""
        else:
            self.rest += data
        return memoryview(data).nbytes


def read_ratings_arrow(
    file: Path | MappedFile,
    users: Vocabulary,
    items: Vocabulary,
    feedback: str = EXPLICIT,
    *,
    is_new: bool = False,
) -> Ratings:
    """Map a file of `write_ratings` into memory, unless it is mapped already, and check it.

    The values of a file that has just been written (`is_new`) are not checked.

    Raises
    ------
    ArtifactError
        If the file is missing or damaged, a column is missing or has the wrong type, a row is
        outside its vocabulary, a rating is not finite, or a weight or a strength is not positive.
    """
    path, table = _read(file)
    columns = {
        name: to_numpy(_column(path, table, name, (kind,)))
        for name, kind in RATING_COLUMNS.items()
        if name in table.column_names or name not in _OPTIONAL
    }
    ratings = Ratings(
        user=columns["user"],
        item=columns["item"],
        rating=columns["rating"],
        timestamp=columns.get("timestamp"),
        users=users,
        items=items,
        weight=columns.get("weight"),
        feedback=feedback,
    )
    if not is_new:
        _check(path, ratings)
    return ratings


def _check(path: Path, ratings: Ratings) -> None:
    _check_rows(path, "user", ratings.user, ratings.users)
    _check_rows(path, "item", ratings.item, ratings.items)
    positive = positive_roles(ratings.feedback == IMPLICIT)
    _check_values(path, "rating", ratings.rating, "rating" in positive)
    if ratings.weight is not None:
        _check_values(path, "weight", ratings.weight, "weight" in positive)


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
