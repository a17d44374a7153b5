"""Predictions for the pairs in a file of any size.

Pieces of the file are predicted in parallel and written in the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from mfcli.clusters import current_cluster
from mfcli.data import (
    PAIRS,
    Layout,
    check_table_suffix,
    find_layout,
    header_with,
    is_number,
    open_sources,
    place_of,
    read_pairs,
    schema_with,
    side_names,
    unknown_id,
)
from mfcli.errors import DataError, Param, UnknownIdError
from mfcli.model import Model
from mfcli.predict.pair_counts import PairCounts
from mfcli.predict.pieces_on_cluster import OnCluster
from mfcli.predict.predicted_pieces import (
    FirstPair,
    Format,
    PieceWork,
    TableFormat,
    TextFormat,
    UnknownId,
)
from mfcli.predict.predictor import Predictor
from mfcli.storage import check_memory, in_order, replacing_file
from mfcli.types import Progress

_GROUP_ROWS = 1 << 20  # rows of a row group of Parquet, at most
_GROUP_BYTES = 1 << 26  # bytes of a row group, about
_PIECE_BYTES = 40 << 20  # memory for a piece of the file and its predictions, about


def predict_file(
    predict: Predictor,
    name: Path | str,
    out: Path | BinaryIO,
    *,
    columns: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
    strict: bool = False,
    threads: int = 1,
    on_progress: Progress = lambda done, total: None,
) -> PairCounts:
    """Predict the rating of each pair in a file and write it after the columns of the file.

    The names of the new columns are those of the predictor. Inside `mfcli.cluster`, workers predict
    the pairs that this process reads and writes.

    Parameters
    ----------
    predict : Predictor
    name : Path or str
        A text or Parquet file as for `read_ratings`, in which only users and items are needed; "-"
        for standard input.
    out : Path or binary file
        CSV or Parquet file to replace, by its suffix; or a stream for text. A text stays as it is,
        with fields appended to each line. Parquet becomes CSV if text is written.
    columns : mapping of str, optional
        Names of the columns "user" and "item"; positions from 1 if a text has no header.
    encoding : str
        Encoding of a text, as for `read_ratings`; UTF-8 is written.
    strict : bool
        Whether a pair that the model does not know is an error.
    threads : int
        Does not change the result.
    on_progress : callable, optional
        Called with the bytes read so far and the bytes of the file.

    Returns
    -------
    PairCounts

    Raises
    ------
    DataError
        For the first row that is not a pair, or if there is a column of such a name already.
    UnknownIdError
        If `strict`, for the first unknown id, with its place.
    ArtifactError
        If the file cannot be written.
    """
    with open_sources([name], encoding) as files:
        if len(files) > 1:  # a folder; one result cannot keep the header of each file
            rule = f"holds {len(files)} files"
            raise DataError(rule, place=name, remedy="predict one file at a time")
        names = side_names(predict.model.columns)
        layout = find_layout(files[0], columns, needed=PAIRS, aliases=names)
        for column in predict.names:
            if column in layout.names:  # two columns of one name could not be distinguished
                rule = f"has a column {column!r} already"
                raise DataError(rule, place=layout.file, remedy="rename or remove it")
        with _opened(out, layout, predict.names) as sink:
            return _predict(predict, layout, sink, strict, not columns, threads, on_progress)


def _predict(
    predict: Predictor,
    layout: Layout,
    sink: _Sink,
    strict: bool,
    guessed: bool,
    threads: int,
    on_progress: Progress,
) -> PairCounts:
    """Predict all pieces; `guessed` is whether no column was chosen."""
    counts, total, cluster = PairCounts(), layout.file.bytes, current_cluster()
    if not cluster:  # with one, the pieces are in its store
        need = (threads + 2) * _PIECE_BYTES  # as many pieces are in memory
        check_memory(need, f"predicting {layout.file}", "use fewer threads")
    work, apply = PieceWork(predict, sink.format), OnCluster(cluster) if cluster else in_order
    whole = sink.format.whole
    for done, position in read_pairs(layout, work, whole=whole, threads=threads, apply=apply):
        # Only the first line can be a header, and only if no columns were chosen.
        if guessed and not counts.pairs and done.first:
            _check_first(layout, done.first)
        if strict and done.unknown:
            raise _unknown(predict.model, layout, done.unknown, counts.pairs)
        counts.merge(done.counts)
        sink.write(done.formatted)
        on_progress(min(position, total), total)
    return counts


def _check_first(layout: Layout, first: FirstPair) -> None:
    """Refuse a first line that is read as a pair, but probably names the columns."""
    if layout.format != "text" or layout.header:
        return  # the columns have names
    names = first.ids
    if not first.is_known and not any(is_number(name, ".") for name in names):
        user, item = Param("columns.user"), Param("columns.item")
        raise DataError(
            f"names no known user or item, got {', '.join(map(repr, names))}",
            place=place_of(layout, 0),
            remedy=[
                *("if these are names of columns, choose with ", user, " and ", item),
                *("; if not, choose positions with ", Param("columns.user", "1"), " and "),
                Param("columns.item", "2"),
            ],
        )


def _unknown(model: Model, layout: Layout, unknown: UnknownId, before: int) -> UnknownIdError:
    """Return the error for an unknown id, given the number of rows before its piece."""
    vocabulary = model.users if unknown.role == "user" else model.items
    place = place_of(layout, before + unknown.row)
    return unknown_id(vocabulary, unknown.id, unknown.role, place)


class _Sink(Protocol):
    """Where results are written.

    Attributes
    ----------
    format : Format
        Of what it writes.
    """

    @property
    def format(self) -> Format: ...
    def write(self, formatted: Any) -> None:
        """Write the next piece."""


@contextmanager
def _opened(out: Path | BinaryIO, layout: Layout, names: Sequence[str]) -> Iterator[_Sink]:
    """Open the target; `names` are those of the new columns."""
    if not isinstance(out, Path):
        yield _TextSink(out, layout, names)
        return
    check_table_suffix(out)
    # Nothing replaces the file if a piece of the input is faulty.
    with replacing_file(out) as temporary:
        if out.suffix.lower() == ".parquet":
            with _ParquetSink(temporary, layout, names) as sink:
                yield sink
        else:
            with temporary.open("wb") as file:
                yield _TextSink(file, layout, names)


class _TextSink:
    """Writes text; the header is written immediately."""

    def __init__(self, file: BinaryIO, layout: Layout, names: Sequence[str]) -> None:
        self._file, self.format = file, TextFormat()
        file.write(header_with(layout, names))

    def write(self, formatted: list[Any]) -> None:
        self._file.writelines(formatted)


class _ParquetSink:
    """Writes a Parquet file with row groups of the usual size, whatever the size of the pieces."""

    def __init__(self, path: Path, layout: Layout, names: Sequence[str]) -> None:
        _check_distinct(layout)
        self.format = TableFormat(schema_with(layout, names))
        self._writer = pq.ParquetWriter(path, self.format.schema)
        self._group: list[pa.Table] = []

    def __enter__(self) -> _ParquetSink:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            # After an error, the temporary file is discarded, so the rest need not be written.
            if kind is None:
                self._write_group()
        finally:
            self._writer.close()

    def write(self, formatted: pa.Table) -> None:
        # Pieces are small, so that memory is bounded; a row group collects several of them.
        self._group.append(formatted)
        rows = sum(map(len, self._group))
        # Row groups of a few thousand rows would make the file slow to read.
        if rows >= _GROUP_ROWS or sum(table.nbytes for table in self._group) >= _GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        if self._group:
            self._writer.write_table(pa.concat_tables(self._group), _GROUP_ROWS)
        self._group.clear()


def _check_distinct(layout: Layout) -> None:
    for name in layout.names:
        if layout.names.count(name) > 1:
            raise DataError(
                f"has several columns {name!r}, which Parquet cannot distinguish",
                place=layout.file,
                remedy="rename them, or write CSV",
            )
