"""Predicted ratings of pairs: of those in a file of any size, and of all of some users and items.

Several pieces of a file are in work at the same time; they are written in the file's order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mfcli.data import (
    PAIRS,
    File,
    Layout,
    Piece,
    Pieces,
    Refused,
    Vocabulary,
    check_table_suffix,
    find_layout,
    find_rows,
    header_with,
    is_number,
    line_of,
    open_sources,
    places,
    read_pairs,
    reread_pairs,
    schema_with,
    to_arrow,
    to_numpy,
    to_texts,
    unknown_text,
)
from mfcli.errors import DataError, UnknownIdError
from mfcli.model import Model
from mfcli.storage import replacing_file

PREDICTION = "prediction"

_GROUP_ROWS = 1 << 20  # of a row group of Parquet: at most so many rows,
_GROUP_BYTES = 1 << 26  # and about so many bytes
_LARGE = 1 << 19  # ids from which on a vocabulary is hashed only once

Rows = NDArray[np.int32]
Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""


@dataclass
class Counts:
    """What was predicted, and what of it without knowing both sides.

    Attributes
    ----------
    pairs : int
    unknown_users, unknown_items : int
        Pairs whose user, or item, is not among the model's.
    unrated_users, unrated_items : int
        Pairs whose user, or item, is among them, but has no training rating.
    """

    pairs: int = 0
    unknown_users: int = 0
    unknown_items: int = 0
    unrated_users: int = 0
    unrated_items: int = 0

    def add(self, model: Model, user: Rows, item: Rows) -> None:
        self.pairs += len(user)
        self.unknown_users += int(np.count_nonzero(user < 0))
        self.unknown_items += int(np.count_nonzero(item < 0))
        self.unrated_users += _unrated(model.users, user)
        self.unrated_items += _unrated(model.items, item)

    def __str__(self) -> str:
        """Say what is unknown; nothing if all is known."""
        counts = {
            "an unknown user": self.unknown_users,
            "an unknown item": self.unknown_items,
            "a user without training ratings": self.unrated_users,
            "an item without training ratings": self.unrated_items,
        }
        found = [f"{count:,} {words}" for words, count in counts.items() if count]
        if not found:
            return ""
        first, _, words = found[0].partition(" ")
        verb = "has" if first == "1" else "have"
        found[0] = f"{first} of {self.pairs:,} pair{'s' * (self.pairs != 1)} {verb} {words}"
        return f"{', '.join(found)}; such an id adds nothing to the mean and the other side's bias"


def _unrated(vocabulary: Vocabulary, rows: Rows) -> int:
    return int(np.count_nonzero((vocabulary.counts[rows] == 0) & (rows >= 0)))


class Predicted(NamedTuple):
    """Predicted ratings.

    Attributes
    ----------
    ratings : float32 array, shape (n,)
    user, item : int32 arrays, shape (n,)
        Rows of the model; -1 for the unknown.
    """

    ratings: NDArray[np.float32]
    user: Rows
    item: Rows

    @property
    def column(self) -> pa.Array:
        return to_arrow(self.ratings, pa.float32())


class Predictor:
    """Predicts pairs of raw ids, piece by piece, on any thread.

    Parameters
    ----------
    model : Model
    clip : bool
        Clip to the rating scale.
    """

    def __init__(self, model: Model, *, clip: bool) -> None:
        self.model, self._clip = model, clip
        self._users, self._items = _Finder(model.users), _Finder(model.items)

    def __call__(self, user: pa.Array, item: pa.Array) -> Predicted:
        rows = self._users(user), self._items(item)
        ratings = self.model.predict_rows(*rows)
        scale = self.model.scale
        return Predicted(ratings.clip(scale.min, scale.max) if self._clip else ratings, *rows)


class _Finder:
    """Finds rows as `Vocabulary.rows` does, many times.

    Arrow hashes the vocabulary each time. That is cheap beside a piece of a file, and takes no
    lock, unless the vocabulary is large: then a dictionary is made once.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._ids, self._texts = vocabulary.ids, vocabulary.ids.cast(pa.string())
        self._rows: dict[str, int] = {}
        if len(vocabulary) > _LARGE:
            self._rows = {text: row for row, text in enumerate(self._texts.to_pylist())}

    def __call__(self, ids: pa.Array) -> Rows:
        if self._rows:
            return self._found(ids.dictionary_encode())
        same = ids.type == self._ids.type
        return places(ids, self._ids) if same else places(ids.cast(pa.string()), self._texts)

    def _found(self, ids: pa.DictionaryArray) -> Rows:
        texts = ids.dictionary.cast(pa.string()).to_pylist()
        distinct = np.array([self._rows.get(text, -1) for text in texts], np.int32)
        found: Rows = distinct[to_numpy(ids.indices, np.int32)]
        return found


def predict_named(
    predict: Predictor, users: list[str], items: list[str], *, strict: bool = False
) -> tuple[pa.Table, Counts]:
    """Predict the ratings of all pairs of some users and items.

    Parameters
    ----------
    predict : Predictor
    users, items : list of str
    strict : bool
        Refuse ids that the model does not know.

    Returns
    -------
    table : Arrow table
        Columns user, item and prediction, user by user; ids are those of the model if it knows all
        of the column, else text.
    counts : Counts

    Raises
    ------
    UnknownIdError
        If `strict`, for the first id that is not known.
    """
    model, counts = predict.model, Counts()
    user, item = to_texts(users), to_texts(items)
    if strict:
        find_rows(model.users, user, "user")
        find_rows(model.items, item, "item")
    first = np.repeat(np.arange(len(users), dtype=np.int32), len(items))
    second = np.tile(np.arange(len(items), dtype=np.int32), len(users))
    user, item = user.take(to_arrow(first, pa.int32())), item.take(to_arrow(second, pa.int32()))
    predicted = predict(user, item)
    counts.add(model, predicted.user, predicted.item)
    columns = {
        "user": _own_ids(model.users, predicted.user, user),
        "item": _own_ids(model.items, predicted.item, item),
        PREDICTION: predicted.column,
    }
    return pa.table(columns), counts


def _own_ids(vocabulary: Vocabulary, rows: Rows, ids: pa.Array) -> pa.Array:
    return ids if (rows < 0).any() else vocabulary.ids.take(to_arrow(rows, pa.int32()))


def predict_file(
    predict: Predictor,
    name: Path | str,
    out: Path | BinaryIO,
    *,
    columns: Mapping[str, str] | None = None,
    strict: bool = False,
    threads: int = 1,
    on_progress: Progress = lambda done, total: None,
) -> Counts:
    """Predict the rating of each pair in a file and write it behind the file's own columns.

    Parameters
    ----------
    predict : Predictor
    name : Path or str
        A text or Parquet as for `read_ratings`, but that only users and items are needed; "-" for
        the standard input.
    out : Path or binary file
        CSV or Parquet to replace, by its suffix; or where to write text. A text stays as it is but
        for a field more in each line; made of Parquet, it is CSV.
    columns : mapping of str, optional
        Names of the columns "user" and "item"; positions from 1 where a text has no header.
    strict : bool
        Refuse pairs that the model does not know.
    threads : int
        Does not change the result.
    on_progress : callable, optional
        Told the bytes read so far, and all of them.

    Raises
    ------
    DataError
        At the first row that is no pair, or if there is a column `prediction` already.
    UnknownIdError
        If `strict`, for the first pair that is not known, with its place.
    ArtifactError
        If the file cannot be written.
    """
    with open_sources([name]) as files:
        layout = _layout(str(name), files, columns)
        with _opened(out, layout) as sink:
            return _predict(predict, layout, sink, strict, not columns, threads, on_progress)


def _layout(name: str, files: list[File], columns: Mapping[str, str] | None) -> Layout:
    if len(files) > 1:
        raise DataError(f"{name}: holds {len(files)} files; predict one after another")
    layout = find_layout(files[0], columns, needed=PAIRS)
    if PREDICTION in layout.names:
        raise DataError(
            f"{layout.file}: has a column {PREDICTION!r} already; rename it, or leave it out"
        )
    return layout


def _predict(
    predict: Predictor,
    layout: Layout,
    sink: _Sink,
    strict: bool,
    guessed: bool,
    threads: int,
    on_progress: Progress,
) -> Counts:
    counts, total = Counts(), layout.file.bytes

    def work(make: Callable[[], Piece]) -> _Done:
        piece = make()
        predicted = predict(piece.user, piece.item)
        return _Done(piece, predicted, sink.form(piece, predicted.column))

    for done, position in _worked(layout, work, sink.whole, threads):
        if guessed and not counts.pairs:
            _check_first(layout, done)
        if strict:
            _check_known(predict.model, layout, done, counts.pairs)
        counts.add(predict.model, done.predicted.user, done.predicted.item)
        sink.write(done.formed)
        on_progress(min(position, total), total)
    return counts


class _Done(NamedTuple):
    """A piece that is ready to be written."""

    piece: Piece
    predicted: Predicted
    formed: Any


def _worked(
    layout: Layout, work: Callable[[Callable[[], Piece]], _Done], whole: bool, threads: int
) -> Iterator[tuple[_Done, int]]:
    """Work at all pieces of a file; what the fast reader refuses is read slowly, from there on."""
    rows = position = 0
    try:
        for done, position in _in_order(read_pairs(layout, whole=whole), work, threads):
            yield done, position
            rows += len(done.predicted.ratings)
        return
    except Refused:
        pieces = reread_pairs(layout, rows, position, whole=whole)
    try:
        yield from _in_order(pieces, work, threads)
    except Refused:
        raise DataError(
            f"{layout.file}: cannot be split into rows of {len(layout.names)} fields; write it anew"
        ) from None


def _in_order(
    pieces: Pieces, work: Callable[[Callable[[], Piece]], _Done], threads: int
) -> Iterator[tuple[_Done, int]]:
    """Work at several pieces at the same time, and yield them in the order of the file."""
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[tuple[Future[_Done], int]] = deque()
        try:
            for make, position in pieces:
                pending.append((pool.submit(work, make), position))
                if len(pending) > threads + 1:
                    future, done = pending.popleft()
                    yield future.result(), done
            while pending:
                future, done = pending.popleft()
                yield future.result(), done
        finally:
            for future, _ in pending:
                future.cancel()


def _check_first(layout: Layout, done: _Done) -> None:
    """Refuse a first line that is taken for a pair, but rather names the columns."""
    if layout.format == "parquet" or layout.header or not len(done.predicted.ratings):
        return
    names = [done.piece.user[0].as_py(), done.piece.item[0].as_py()]
    known = done.predicted.user[0] >= 0 or done.predicted.item[0] >= 0
    if not known and not any(is_number(name, ".") for name in names):
        raise DataError(
            f"{layout.file}:{line_of(layout, 0)}: names no known user or item, got"
            f" {', '.join(map(repr, names))}; if these are names of columns, give them with"
            " --user-col and --item-col, else positions: --user-col 1 --item-col 2"
        )


def _check_known(model: Model, layout: Layout, done: _Done, before: int) -> None:
    """Refuse the first pair that is not known."""
    unknown_user, unknown_item = done.predicted.user < 0, done.predicted.item < 0
    unknown = unknown_user | unknown_item
    if not unknown.any():
        return
    row = int(np.argmax(unknown))
    role = "user" if unknown_user[row] else "item"
    vocabulary = model.users if role == "user" else model.items
    text = unknown_text(vocabulary, getattr(done.piece, role)[row].as_py(), role)
    raise UnknownIdError(f"{_place(layout, before + row)}: {text}")


def _place(layout: Layout, row: int) -> str:
    if layout.format == "text":
        return f"{layout.file}:{line_of(layout, row)}"
    return f"{layout.file}: row {row + 1}"


class _Sink(Protocol):
    """Where results are written.

    Attributes
    ----------
    whole : bool
        Whether it needs all columns of a text.
    """

    whole: bool

    def form(self, piece: Piece, column: pa.Array) -> Any:
        """Bring a piece into the form that is written; called on any thread."""

    def write(self, formed: Any) -> None:
        """Write the next piece."""


@contextmanager
def _opened(out: Path | BinaryIO, layout: Layout) -> Iterator[_Sink]:
    if not isinstance(out, Path):
        yield _TextSink(out, layout)
        return
    check_table_suffix(out)
    with replacing_file(out) as temporary:
        if out.suffix.lower() == ".parquet":
            with _ParquetSink(temporary, layout) as sink:
                yield sink
        else:
            with temporary.open("wb") as file:
                yield _TextSink(file, layout)


class _TextSink:
    """Writes text; the header at once."""

    whole = False

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        self._file = file
        file.write(header_with(layout, PREDICTION))

    def form(self, piece: Piece, column: pa.Array) -> list[Any]:
        return piece.as_text(column)

    def write(self, formed: list[Any]) -> None:
        self._file.writelines(formed)


class _ParquetSink:
    """Writes a Parquet file, with row groups of the usual size whatever that of the pieces is."""

    whole = True

    def __init__(self, path: Path, layout: Layout) -> None:
        _check_distinct(layout)
        self._schema = schema_with(layout, PREDICTION)
        self._writer = pq.ParquetWriter(path, self._schema)
        self._group: list[pa.Table] = []

    def __enter__(self) -> _ParquetSink:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            if kind is None:
                self._write_group()
        finally:
            self._writer.close()

    def form(self, piece: Piece, column: pa.Array) -> pa.Table:
        return piece.as_table(PREDICTION, column).cast(self._schema)

    def write(self, formed: pa.Table) -> None:
        self._group.append(formed)
        rows = sum(map(len, self._group))
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
                f"{layout.file}: has several columns {name!r}, which Parquet cannot tell apart;"
                " rename them, or write CSV"
            )
