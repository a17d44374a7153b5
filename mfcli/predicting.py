"""Predicted ratings of the pairs in a file of any size: read, predicted and written piece by piece.

Several pieces are in work at the same time; they are written in the order of the file. The file's
own columns pass through as they are: a text gets one field more at the end of each line.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mfcli.errors import DataError, UnknownIdError
from mfcli.faults import find_fault, line_of
from mfcli.layout import PAIRS, Layout, find_layout
from mfcli.lists import csv_bytes
from mfcli.lookup import unknown_text
from mfcli.model import Model
from mfcli.ratings import Vocabulary, to_arrow, to_numpy
from mfcli.sources import open_sources

PREDICTION = "prediction"

_BLOCK = 1 << 21  # bytes of text in a piece
_ROWS = 1 << 17  # rows in a piece of Parquet, or of a text whose lines cannot be told by their ends
_IDS = pa.dictionary(pa.int32(), pa.string())
_REMEDY = "mend the line"
_NEEDED = "integer or text ids"

Progress = Callable[[int, int], None]


@dataclass
class Counts:
    """What was predicted.

    Attributes
    ----------
    pairs : int
    unknown_users, unknown_items : int
        Pairs whose user, or item, the model does not know.
    """

    pairs: int = 0
    unknown_users: int = 0
    unknown_items: int = 0


class Sink(Protocol):
    """Where results go: bytes of text, or tables."""

    def write(self, piece: Any) -> object: ...


class Predicted(NamedTuple):
    """The predictions of a piece.

    Attributes
    ----------
    ratings : float32 array, shape (n,)
    user, item : int32 arrays, shape (n,)
        Rows of the model; -1 for the unknown.
    """

    ratings: NDArray[np.float32]
    user: NDArray[np.int32]
    item: NDArray[np.int32]


class Predictor:
    """Predicts pairs of raw ids that come as Arrow dictionaries of text.

    Parameters
    ----------
    model : Model
    clip : bool
        Clip to the rating scale.
    """

    def __init__(self, model: Model, *, clip: bool) -> None:
        self.model, self._clip = model, clip
        self._users, self._items = _numbered(model.users), _numbered(model.items)

    def __call__(self, user: pa.DictionaryArray, item: pa.DictionaryArray) -> Predicted:
        rows = _found(self._users, user), _found(self._items, item)
        ratings = self.model.predict_rows(*rows)
        scale = self.model.scale
        return Predicted(ratings.clip(scale.min, scale.max) if self._clip else ratings, *rows)


def _numbered(vocabulary: Vocabulary) -> dict[str, int]:
    texts = vocabulary.ids.cast(pa.string()).to_pylist()
    return dict(zip(texts, range(len(texts)), strict=True))


def _found(rows: dict[str, int], ids: pa.DictionaryArray) -> NDArray[np.int32]:
    distinct = [rows.get(text, -1) for text in ids.dictionary.to_pylist()]
    found: NDArray[np.int32] = np.array(distinct, np.int32)[to_numpy(ids.indices, np.int32)]
    return found


class _Done(NamedTuple):
    """A piece that is ready to be written."""

    shown: Any
    predicted: Predicted
    ids: tuple[pa.Array, pa.Array]


def predict_pairs(
    predict: Predictor,
    name: Path | str,
    open_sink: Callable[[Layout], Sink],
    *,
    as_table: bool,
    columns: Mapping[str, str] | None = None,
    strict: bool = False,
    threads: int = 1,
    on_progress: Progress = lambda done, total: None,
) -> Counts:
    """Predict the rating of each pair in a file.

    Parameters
    ----------
    predict : Predictor
    name : Path or str
        A text or Parquet as for `read_ratings`, but that only users and items are needed; "-" for
        the standard input.
    open_sink : callable
        Told the layout of the file, gives what the results are written to, in the file's order.
    as_table : bool
        Whether the sink takes Arrow tables, not text.
    columns : mapping of str, optional
        Names of the columns "user" and "item".
    strict : bool
        Refuse pairs that the model does not know.
    threads : int
        Does not change the result.
    on_progress : callable, optional
        Told the bytes read so far, and all of them.

    Raises
    ------
    DataError
        At the first line that is no pair, or if there is a column `prediction` already.
    UnknownIdError
        If `strict`, for the first pair that is not known, with its place.
    """
    with open_sources([name]) as files:
        if len(files) > 1:
            raise DataError(f"{name}: holds {len(files)} files; predict one after another")
        layout = find_layout(files[0], columns, needed=PAIRS)
        if PREDICTION in layout.names:
            raise DataError(f"{layout.file}: has a column {PREDICTION!r} already; rename it")
        job = (_Table if layout.format == "parquet" else _Text)(layout, predict, as_table)
        sink, counts, total = open_sink(layout), Counts(), layout.file.bytes
        for done, position in _in_order(job, threads):
            _count(counts, done.predicted, layout, predict.model, done.ids, strict)
            sink.write(done.shown)
            on_progress(min(position, total), total)
    return counts


def _count(
    counts: Counts,
    predicted: Predicted,
    layout: Layout,
    model: Model,
    ids: tuple[pa.Array, pa.Array],
    strict: bool,
) -> None:
    """Count the unknown ids of a piece, or refuse the first."""
    unknown = predicted.user < 0, predicted.item < 0
    if strict and (unknown[0] | unknown[1]).any():
        row = int(np.argmax(unknown[0] | unknown[1]))
        side = 0 if unknown[0][row] else 1
        vocabulary = (model.users, model.items)[side]
        text = unknown_text(vocabulary, ids[side][row].as_py(), PAIRS[side])
        raise UnknownIdError(f"{_place(layout, counts.pairs + row)}: {text}")
    counts.pairs += len(predicted.ratings)
    counts.unknown_users += int(np.count_nonzero(unknown[0]))
    counts.unknown_items += int(np.count_nonzero(unknown[1]))


def _place(layout: Layout, row: int) -> str:
    if layout.format == "text":
        return f"{layout.file}:{line_of(layout, row)}"
    return f"{layout.file}: row {row + 1}"


class _Job(Protocol):
    def pieces(self) -> Iterator[tuple[Any, int]]:
        """Yield pieces of the file, and how many bytes of it are read."""

    def work(self, piece: Any) -> _Done:
        """Predict a piece; called on any thread."""


def _in_order(job: _Job, threads: int) -> Iterator[tuple[_Done, int]]:
    """Work at several pieces at the same time, and yield them in the order of the file."""
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[tuple[Future[_Done], int]] = deque()
        try:
            for piece, position in job.pieces():
                pending.append((pool.submit(job.work, piece), position))
                if len(pending) > 2 * threads:
                    future, done = pending.popleft()
                    yield future.result(), done
            for future, done in pending:
                yield future.result(), done
        finally:
            for future, _ in pending:
                future.cancel()


class _Table:
    """Predicts the rows of a Parquet file."""

    def __init__(self, layout: Layout, predict: Predictor, as_table: bool) -> None:
        self._layout, self._predict, self._as_table = layout, predict, as_table

    def pieces(self) -> Iterator[tuple[pa.Table, int]]:
        layout, row = self._layout, 0
        try:
            file = pq.ParquetFile(layout.file.path)
            for batch in file.iter_batches(_ROWS):
                row += len(batch)
                position = layout.file.bytes * row // max(file.metadata.num_rows, 1)
                self._check(batch, row - len(batch))
                yield pa.Table.from_batches([batch]), position
        except (OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"{layout.file}: cannot be read: {reason}; get it anew") from error

    def _check(self, batch: pa.RecordBatch, before: int) -> None:
        for role, position in self._layout.columns.items():
            column, place = batch.column(position), f"{self._layout.file}"
            kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
            text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
            if not text and not pa.types.is_integer(kind):
                name = self._layout.names[position]
                raise DataError(f"{place}: column {name!r} must hold {_NEEDED}, got {kind}")
            if column.null_count:
                row = before + pc.index(pc.is_null(column), True).as_py() + 1
                raise DataError(f"{place}: row {row}: {role} id must not be empty; {_REMEDY}")

    def work(self, table: pa.Table) -> _Done:
        user, item = (_hashed(table.column(p)) for p in self._layout.columns.values())
        predicted = self._predict(user, item)
        column = to_arrow(predicted.ratings, pa.float32())
        shown = table.append_column(PREDICTION, column)
        return _Done(shown if self._as_table else csv_rows(shown), predicted, (user, item))


def _hashed(column: pa.ChunkedArray) -> pa.DictionaryArray:
    plain = column.combine_chunks()
    if not pa.types.is_dictionary(plain.type):
        plain = plain.dictionary_encode()
    texts = plain.dictionary.cast(pa.string())
    return pa.DictionaryArray.from_arrays(plain.indices.cast(pa.int32()), texts)


def csv_rows(table: pa.Table) -> bytes:
    """Format a table as CSV without its header."""
    return csv_bytes(table).split(b"\n", 1)[1]


class _Text:
    """Predicts the lines of a text."""

    def __init__(self, layout: Layout, predict: Predictor, as_table: bool) -> None:
        self._layout, self._predict, self._as_table = layout, predict, as_table
        self._separator = layout.separator.encode()
        self._places = [str(position) for position in layout.columns.values()]

    def pieces(self) -> Iterator[tuple[bytes | list[list[str]], int]]:
        """Yield whole lines; from the first quote on, records, which may have several lines."""
        layout = self._layout
        with layout.file.reading() as (stream, raw):
            file = io.BufferedReader(cast(io.RawIOBase, stream))
            if file.peek(3).startswith(codecs.BOM_UTF8):
                file.read(3)
            for _ in range(layout.skip):
                file.readline()
            while piece := file.read(_BLOCK) + file.readline():
                if b'"' in piece and len(layout.separator) == 1:
                    yield from self._records(_Joined(piece, file), raw.tell)
                    return
                yield piece, raw.tell()

    def _records(self, file: Any, position: Callable[[], int]) -> Iterator[tuple[Any, int]]:
        text = io.TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="")
        rows = (row for row in csv.reader(text, delimiter=self._layout.separator) if row)
        try:
            while group := list(itertools.islice(rows, _ROWS)):
                yield group, position()
        except csv.Error as error:
            raise self._fault() from error

    def work(self, piece: bytes | list[list[str]]) -> _Done:
        if isinstance(piece, list):
            return self._work_slowly(piece)
        piece = piece.replace(b"\r\n", b"\n")
        piece = piece if piece.endswith(b"\n") else piece + b"\n"
        ends = np.flatnonzero(np.frombuffer(piece, np.uint8) == ord("\n"))
        blank = ends[0] == 0 or (np.diff(ends) == 1).any()
        if blank or b"\r" in piece or len(self._separator) > 1:
            return self._work_slowly(self._split(piece))
        try:
            table = self._parsed(piece)
        except pa.ArrowException:
            raise self._fault() from None
        user, item = (table.column(place).combine_chunks() for place in self._places)
        if len(user) != len(ends) or _has_empty(user) or _has_empty(item):
            raise self._fault()
        predicted = self._predict(user, item)
        if self._as_table:
            shown = self._named(table.columns, predicted.ratings)
        else:
            shown = self._lengthened(piece, ends, predicted.ratings)
        return _Done(shown, predicted, (user, item))

    def _parsed(self, piece: bytes) -> pa.Table:
        """Parse lines: users and items, or all columns if a table is to be written."""
        names = [str(position) for position in range(len(self._layout.names))]
        types = dict.fromkeys(names, pa.string()) | dict.fromkeys(self._places, _IDS)
        return pacsv.read_csv(
            pa.BufferReader(piece),
            pacsv.ReadOptions(use_threads=False, block_size=len(piece) + 1, column_names=names),
            pacsv.ParseOptions(delimiter=self._layout.separator, quote_char=False),
            pacsv.ConvertOptions(
                column_types=types,
                include_columns=names if self._as_table else self._places,
                strings_can_be_null=False,
            ),
        )

    def _named(self, columns: list[pa.Array], ratings: NDArray[np.float32]) -> pa.Table:
        names = [*self._layout.names, PREDICTION]
        return pa.table([*columns, to_arrow(ratings, pa.float32())], names)

    def _lengthened(
        self, piece: bytes, ends: NDArray[np.intp], ratings: NDArray[np.float32]
    ) -> bytes:
        """Put a prediction at the end of each line.

        Each line is taken with the line break before it, so that they lie in one buffer.
        """
        offsets = np.concatenate([[0], ends + 1]).astype(np.int32)
        lines = pa.StringArray.from_buffers(
            len(ends), pa.py_buffer(offsets), pa.py_buffer(b"\n" + piece)
        )
        numbers = to_arrow(ratings, pa.float32()).cast(pa.string())
        joined = pc.binary_join_element_wise(lines, numbers, self._layout.separator)
        return bytes(_content(joined))[1:] + b"\n"

    def _split(self, piece: bytes) -> list[list[str]]:
        """Split lines into fields, without those that are blank."""
        text = piece.decode("utf-8", errors="surrogateescape")
        if self._layout.separator == "::":
            return [line.split("::") for line in text.splitlines() if line.strip()]
        reader = csv.reader(io.StringIO(text), delimiter=self._layout.separator)
        return [row for row in reader if "".join(row).strip() or len(row) > 1]

    def _work_slowly(self, rows: list[list[str]]) -> _Done:
        width, places = len(self._layout.names), list(self._layout.columns.values())
        if any(len(row) != width or not all(row[place] for place in places) for row in rows):
            raise self._fault()
        try:
            columns = [pa.array([row[n] for row in rows], pa.string()) for n in range(width)]
        except UnicodeEncodeError:  # bytes that are no UTF-8
            raise self._fault() from None
        user, item = (columns[place].dictionary_encode() for place in places)
        predicted = self._predict(user, item)
        if self._as_table:
            return _Done(self._named(columns, predicted.ratings), predicted, (user, item))
        return _Done(self._written(rows, predicted.ratings), predicted, (user, item))

    def _written(self, rows: list[list[str]], ratings: NDArray[np.float32]) -> bytes:
        numbers = to_arrow(ratings, pa.float32()).cast(pa.string()).to_pylist()
        if self._layout.separator == "::":
            lines = ("::".join([*row, n]) + "\n" for row, n in zip(rows, numbers, strict=True))
            return "".join(lines).encode()
        out = io.StringIO()
        writer = csv.writer(out, delimiter=self._layout.separator, lineterminator="\n")
        writer.writerows([*row, number] for row, number in zip(rows, numbers, strict=True))
        return out.getvalue().encode()

    def _fault(self) -> DataError:
        """Look for the line that could not be read, slowly."""
        fault = find_fault(self._layout, _REMEDY)
        return fault or DataError(f"{self._layout.file}: cannot be split into lines of fields")


class _Joined(io.RawIOBase):
    """Bytes that were read already, and the rest of the file behind them."""

    def __init__(self, piece: bytes, rest: BinaryIO) -> None:
        self._piece, self._rest = piece, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._piece[: len(buffer)] or self._rest.read(len(buffer))
        self._piece = self._piece[len(part) :]
        buffer[: len(part)] = part
        return len(part)


def _has_empty(ids: pa.DictionaryArray) -> bool:
    return bool(pc.index(ids.dictionary, "").as_py() >= 0)


def _content(texts: pa.StringArray) -> memoryview:
    """Return the text of all entries one behind another."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)
    first, last = offsets[texts.offset], offsets[texts.offset + len(texts)]
    return memoryview(texts.buffers()[2])[first:last]


def header_of(layout: Layout) -> bytes:
    """Return the first line of a text of results; empty if the file has none."""
    names = [*layout.names, PREDICTION]
    if layout.format == "parquet":
        return csv_bytes(pa.table([pa.nulls(0)] * len(names), names))
    if not layout.header:
        return b""
    if layout.separator == "::":
        return "::".join(names).encode() + b"\n"
    out = io.StringIO()
    csv.writer(out, delimiter=layout.separator, lineterminator="\n").writerow(names)
    return out.getvalue().encode()


class ParquetSink:
    """Writes tables into one Parquet file; an empty one with the right columns if there are none.

    Parameters
    ----------
    path : Path
    layout : Layout
        Of the file of pairs.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self._writer = pq.ParquetWriter(path, _schema(layout))

    def write(self, piece: pa.Table) -> None:
        self._writer.write_table(piece.cast(self._writer.schema))

    def close(self) -> None:
        self._writer.close()


def _schema(layout: Layout) -> pa.Schema:
    if layout.format == "parquet":
        own = pq.read_schema(layout.file.path).remove_metadata()
    else:
        own = pa.schema([(name, pa.string()) for name in layout.names])
    return own.append(pa.field(PREDICTION, pa.float32()))
