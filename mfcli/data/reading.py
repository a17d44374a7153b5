"""Reading ratings files of any layout into `Ratings`, in bounded pieces.

Arrow parses the text and hashes the ids, several pieces at the same time; only the encoded columns
stay in memory. A file that they refuse is read again, slowly, to name the faulty line or to
leave out the faulty rows.
"""

from __future__ import annotations

import io
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mfcli.data.duplicates import merge_duplicates
from mfcli.data.layout import Layout, find_layout
from mfcli.data.ratings import Ratings, Source, Vocabulary
from mfcli.data.sources import File, digest, open_sources
from mfcli.data.strict import BadRow, Fault, Rejects, find_fault, line_of, write_sound_rows
from mfcli.errors import DataError
from mfcli.storage import check_memory

_BLOCK = 1 << 23  # bytes of text parsed at a time
_HEAD = 1 << 16  # bytes by which the length of lines is judged
_BYTES = 40  # of memory a rating, at least, while it is read and split
_PARSERS = 4  # pieces parsed at the same time

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""

Names = Path | str | Sequence[Path | str]


def read_ratings(
    names: Names,
    *,
    columns: Mapping[str, str] | None = None,
    decimal: str = ".",
    duplicates: str = "keep-last",
    rejected: Path | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Ratings:
    """Read ratings from a file, several files, folders of part files, or "-", the standard input.

    Parameters
    ----------
    names : Path or str, or a sequence of them
        CSV or TSV with or without a header, MovieLens `u.data` or `ratings.dat`, gzip, bz2, xz or
        zstd of any of them, or Parquet; told apart by what they hold.
    columns : mapping of str, optional
        Names of the columns "user", "item", "rating" and "timestamp" where they are not the usual
        ones; positions from 1 where a file has no header.
    decimal : {".", ","}
        Decimal mark of the ratings in a text.
    duplicates : {"keep-last", "mean", "error"}
        What a user and an item rated twice become.
    rejected : Path, optional
        Leave out faulty rows and list them in this CSV file, which is made if there are any.
        Without it the first faulty row is an error.
    on_progress : callable, optional
        Called with the bytes read so far and the bytes of all files.

    Returns
    -------
    Ratings
        In the order of the files; ids are integers if all of a column are, else strings.

    Raises
    ------
    DataError
        At the first thing that is wrong, with its line.
    """
    listed = [names] if isinstance(names, Path | str) else list(names)
    with open_sources(listed) as files, ThreadPoolExecutor(1) as pool:
        sha256 = pool.submit(digest, files)
        rejects = Rejects(rejected) if rejected else None
        layouts = [find_layout(file, columns, decimal) for file in files]
        _check_memory(layouts)
        pieces = _Pieces(layouts)
        pieces.read(rejects, on_progress)
        pa.default_memory_pool().release_unused()
        ratings, doubles = merge_duplicates(pieces.ratings(), duplicates, pieces.place)
        source = _source(listed, files, pieces, rejects, doubles, sha256.result())
    return replace(ratings, source=source)


def _check_memory(layouts: list[Layout]) -> None:
    """Refuse files that cannot fit into memory, by the ratings that they must have at least."""
    ratings = sum(map(_ratings_in, layouts))
    need, name = ratings * _BYTES, ", ".join(str(layout.file) for layout in layouts[:3])
    check_memory(need, f"reading {name} ({ratings:,} ratings or more)", "read fewer ratings")


def _ratings_in(layout: Layout) -> int:
    """Estimate, rather low, how many ratings a file has."""
    if layout.format == "parquet":
        rows: int = pq.read_metadata(layout.file.path).num_rows
        return rows
    with layout.file.reading() as (stream, _):
        head = stream.read(_HEAD)
    longest = max(map(len, head.splitlines()), default=1) + 1
    return layout.file.bytes // longest


def ratings_from(
    table: Any,
    *,
    columns: Mapping[str, str] | None = None,
    duplicates: str = "keep-last",
) -> Ratings:
    """Take ratings from a table in memory; it is checked as a file is.

    Parameters
    ----------
    table : pandas DataFrame, or Arrow table
    columns, duplicates
        As in `read_ratings`.

    Raises
    ------
    DataError
        At the first thing that is wrong, with its row.
    """
    arrow = table if isinstance(table, pa.Table) else pa.Table.from_pandas(table)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table"
        pq.write_table(arrow, path, compression="none")
        try:
            return read_ratings(path, columns=columns, duplicates=duplicates)
        except DataError as error:
            raise DataError(str(error).replace(str(path), "table")) from None


def _source(
    names: list[Path | str],
    files: list[File],
    pieces: _Pieces,
    rejects: Rejects | None,
    doubles: int,
    sha256: str,
) -> Source:
    layout = pieces.layouts[0]
    return Source(
        name=", ".join(Path(name).name for name in names) if names != ["-"] else "<stdin>",
        files=len(files),
        bytes=sum(file.bytes for file in files),
        sha256=sha256,
        format=str(layout),
        columns={role: layout.names[position] for role, position in layout.columns.items()},
        rows=sum(pieces.rows),
        duplicates=doubles,
        rejected=dict(sorted(rejects.counts.items())) if rejects else {},
    )


@dataclass
class _Encoder:
    """Numbers the distinct ids of a column in the order in which they come."""

    codes: dict[Any, int] = field(default_factory=dict)

    def encode(self, column: pa.DictionaryArray) -> NDArray[np.int32]:
        codes = self.codes
        numbers = [codes.setdefault(raw, len(codes)) for raw in column.dictionary.to_pylist()]
        encoded: NDArray[np.int32] = np.array(numbers, np.int32)[column.indices.to_numpy()]
        return encoded

    def forget(self, count: int) -> None:
        """Forget all ids but the first `count`."""
        for raw in list(self.codes)[count:]:
            del self.codes[raw]

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


class _Pieces:
    """Columns collected piece by piece from files of known layouts."""

    def __init__(self, layouts: list[Layout]) -> None:
        self.layouts = layouts
        self.rows = [0] * len(layouts)  # of each file
        self._users, self._items = _Encoder(), _Encoder()
        self._columns: dict[str, list[NDArray[Any]]] = {role: [] for role in layouts[0].columns}
        for layout in layouts[1:]:
            _check_alike(layouts[0], layout)

    def read(self, rejects: Rejects | None, on_progress: Progress) -> None:
        """Read all files; faulty rows are left out if there is a place to list them."""
        total, before = sum(layout.file.bytes for layout in self.layouts), 0
        for number, layout in enumerate(self.layouts):
            mark = (len(self._columns["user"]), len(self._users.codes), len(self._items.codes))
            try:
                self._read_file(number, layout, rejects, before, total, on_progress)
            except _Refused as refused:
                fault = find_fault(layout) if rejects is None else None
                if fault:
                    raise fault from refused
                self._forget(number, *mark)
                with tempfile.TemporaryDirectory() as folder:
                    sound = write_sound_rows(layout, Path(folder) / "sound.csv", rejects)
                    self._read_file(number, sound, rejects, before, total, on_progress)
            before += layout.file.bytes

    def _read_file(
        self,
        number: int,
        layout: Layout,
        rejects: Rejects | None,
        before: int,
        total: int,
        on_progress: Progress,
    ) -> None:
        for batch, position in _batches(layout):
            if layout.format == "parquet":
                batch = _sound(batch, layout, self.rows[number], rejects)
            self._add(layout, batch)
            self.rows[number] += len(batch)
            on_progress(min(before + position, total), total)

    def _forget(self, number: int, batches: int, users: int, items: int) -> None:
        """Forget what was read of a file."""
        self.rows[number] = 0
        for columns in self._columns.values():
            del columns[batches:]
        self._users.forget(users)
        self._items.forget(items)

    def _add(self, layout: Layout, batch: pa.RecordBatch) -> None:
        columns = dict(zip(layout.columns, batch.columns, strict=True))
        converted: dict[str, NDArray[Any] | None] = {
            "user": _encoded(columns["user"], self._users),
            "item": _encoded(columns["item"], self._items),
            "rating": _ratings(columns["rating"]),
        }
        if "timestamp" in columns:
            converted["timestamp"] = _seconds(columns["timestamp"])
        for role, values in converted.items():
            if values is None:
                raise _refused(layout, role, columns[role])
            self._columns[role].append(values)

    def place(self, row: int) -> str:
        """Name the file and line of a rating by its position, from 0."""
        number = int(np.searchsorted(np.cumsum(self.rows), row, side="right"))
        layout, row = self.layouts[number], row - sum(self.rows[:number])
        if layout.format == "text":
            return f"{layout.file}:{line_of(layout, row)}"
        return f"{layout.file}: row {row + 1}"

    def ratings(self) -> Ratings:
        """Put the pieces together; they are given up one column after another."""
        if not sum(self.rows):
            rest = (
                "no rating without fault" if self._columns["user"] else "no rating, only a header"
            )
            raise DataError(f"{self.layouts[0].file}: holds {rest}")
        columns = {role: np.concatenate(self._columns.pop(role)) for role in [*self._columns]}
        text = self.layouts[0].format == "text"
        return Ratings(
            user=columns["user"],
            item=columns["item"],
            rating=columns["rating"],
            timestamp=columns.get("timestamp"),
            users=_vocabulary(self._users.ids(text), columns["user"]),
            items=_vocabulary(self._items.ids(text), columns["item"]),
        )


def _check_alike(first: Layout, other: Layout) -> None:
    if first.format != other.format:
        raise DataError(f"{other.file}: is {other.format}, but {first.file} is {first.format}")
    if set(first.columns) != set(other.columns):
        raise DataError(
            f"{other.file}: must have timestamps like {first.file}, or neither;"
            " leave them out with --time-col ''"
        )


def _vocabulary(ids: pa.Array, rows: NDArray[np.int32]) -> Vocabulary:
    return Vocabulary(ids, np.bincount(rows, minlength=len(ids)).astype(np.int64))


def _encoded(column: pa.Array, encoder: _Encoder) -> NDArray[np.int32] | None:
    if column.null_count:
        return None
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    values = encoder.encode(column)
    return None if "" in encoder.codes else values


def _ratings(column: pa.Array) -> NDArray[np.float32] | None:
    values: NDArray[np.float32] = column.to_numpy(zero_copy_only=False)
    return values if np.isfinite(values).all() else None


def _seconds(column: pa.Array) -> NDArray[np.int64] | None:
    try:
        column = _whole_seconds(column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return None if column.null_count else column.to_numpy()


def _whole_seconds(column: pa.Array) -> pa.Array:
    if pa.types.is_boolean(column.type):
        raise pa.ArrowInvalid("true and false are no times")
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("s"), safe=False)
    if pa.types.is_floating(column.type):
        column = pc.floor(column)
    return column.cast(pa.int64())


_NEEDS = {
    "user": "integer or text ids, none empty",
    "item": "integer or text ids, none empty",
    "rating": "finite numbers",
    "timestamp": "seconds or ISO 8601 dates",
}
_NEEDS_ONE = {
    "user": "an id that is not empty",
    "item": "an id that is not empty",
    "rating": "a finite number",
    "timestamp": "a time",
}


class _Refused(DataError):
    """The fast reader does not take a text."""


def _refused(layout: Layout, role: str, column: pa.Array) -> DataError:
    """Say what is wrong with a column that could not be converted."""
    name = layout.names[layout.columns[role]]
    kind = _Refused if layout.format == "text" else DataError
    return kind(f"{layout.file}: column {name!r} must hold {_NEEDS[role]}, got {column.type}")


def _batches(layout: Layout) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Yield pieces of the columns needed, in the order of `layout.columns`, and bytes read."""
    if layout.format == "text":
        try:
            yield from _text_batches(layout)
        except pa.ArrowException as error:
            raise _Refused(f"{layout.file}: {str(error).splitlines()[0]}") from error
        return
    try:
        yield from _parquet_batches(layout)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{layout.file}: cannot be read: {reason}; get it anew") from error


def _text_batches(layout: Layout) -> Iterator[tuple[pa.RecordBatch, int]]:
    with layout.file.reading() as (stream, raw):
        if layout.file.compression:
            yield from _streamed(layout, stream, raw.tell, layout.skip)
            return
        file = io.BufferedReader(raw)
        if b"\r" in file.peek().rstrip(b"\r").replace(b"\r\n", b""):  # the line ends of old Macs
            yield from _streamed(layout, file, file.tell, layout.skip)
        else:
            yield from _parsed_at_once(layout, file)


def _parsed_at_once(
    layout: Layout, file: io.BufferedReader
) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Parse pieces of whole lines on several threads; yield them in order.

    Where a quote is found, lines may not be whole any more, and the rest is read in one stream.
    """
    for _ in range(layout.skip):
        file.readline()
    with ThreadPoolExecutor(_PARSERS) as pool:
        pending: deque[tuple[Future[list[pa.RecordBatch]], int]] = deque()
        start, quoted = file.tell(), False
        while (piece := file.read(_BLOCK) + file.readline()) and not quoted:
            quoted = len(layout.separator) == 1 and b'"' in piece
            if not quoted:
                start += len(piece)
                pending.append((pool.submit(_parsed, layout, piece), start))
            while len(pending) > (0 if quoted else _PARSERS):
                yield from _done(*pending.popleft())
        while pending:
            yield from _done(*pending.popleft())
    if quoted:
        file.seek(start)
        yield from _streamed(layout, file, file.tell, 0)


def _parsed(layout: Layout, piece: bytes) -> list[pa.RecordBatch]:
    read, parse, convert = _csv_options(layout, 0)
    read.use_threads, read.block_size = False, len(piece) + 1
    try:
        batches: list[pa.RecordBatch] = pacsv.read_csv(
            pa.BufferReader(piece), read, parse, convert
        ).to_batches()
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return []
        raise
    return batches


def _done(
    future: Future[list[pa.RecordBatch]], position: int
) -> Iterator[tuple[pa.RecordBatch, int]]:
    yield from ((batch, position) for batch in future.result() if len(batch))


def _streamed(
    layout: Layout, stream: Any, position: Callable[[], int], skip: int
) -> Iterator[tuple[pa.RecordBatch, int]]:
    try:
        reader = pacsv.open_csv(stream, *_csv_options(layout, skip))
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return
        raise
    yield from ((batch, position()) for batch in reader if len(batch))


def _csv_options(layout: Layout, skip: int) -> tuple[Any, Any, Any]:
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
        pacsv.ReadOptions(block_size=_BLOCK, column_names=names, skip_rows=skip),
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
            decimal_point=layout.decimal,
        ),
    )


def _parquet_batches(layout: Layout) -> Iterator[tuple[pa.RecordBatch, int]]:
    names = [layout.names[position] for position in layout.columns.values()]
    file = pq.ParquetFile(layout.file.path)
    size, total, done = layout.file.bytes, max(file.metadata.num_rows, 1), 0
    for batch in file.iter_batches(columns=names):
        done += len(batch)
        if len(batch):
            plain = [
                _plain(layout, role, batch.column(layout.names[position]))
                for role, position in layout.columns.items()
            ]
            yield pa.RecordBatch.from_arrays(plain, list(layout.columns)), size * done // total


def _plain(layout: Layout, role: str, column: pa.Array) -> pa.Array:
    """Check the type of a Parquet column and bring its variants to one form."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    whole = pa.types.is_integer(kind)
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    number = whole or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    time = pa.types.is_date(kind) or pa.types.is_timestamp(kind) or number
    right = {"user": whole or text, "item": whole or text, "rating": number, "timestamp": time}
    if not right[role]:
        name = layout.names[layout.columns[role]]
        raise DataError(
            f"{layout.file}: column {name!r} must hold {_NEEDS[role]}, got {column.type}"
        )
    if role == "timestamp":
        return _whole_seconds(column)
    target = pa.float32() if role == "rating" else pa.string() if text else pa.int64()
    return column.cast(target, safe=role != "rating")


def _sound(
    batch: pa.RecordBatch, layout: Layout, before: int, rejects: Rejects | None
) -> pa.RecordBatch:
    """Leave out the rows of a Parquet batch that have a fault, or raise for the first."""
    faulty = {role: _faulty(role, batch.column(role)) for role in layout.columns}
    rows = np.flatnonzero(np.any(list(faulty.values()), axis=0))
    for row in rows.tolist():
        role = next(role for role in layout.columns if faulty[role][row])
        value = batch.column(role)[row].as_py()
        fault = Fault(role, f"{role} must be {_NEEDS_ONE[role]}, got {value!r}")
        if rejects is None:
            raise BadRow(
                f"{layout.file}: row {before + row + 1}: {fault.text};"
                " or leave it out: --on-bad-row skip"
            )
        shown = ",".join(str(column[row].as_py()) for column in batch.columns)
        rejects.add(layout.file, before + row + 1, fault, shown)
    if not len(rows):
        return batch
    return batch.filter(pa.array(~np.any(list(faulty.values()), axis=0)))


def _faulty(role: str, column: pa.Array) -> NDArray[np.bool_]:
    faulty = pc.is_null(column)
    if role == "rating":
        faulty = pc.or_(faulty, pc.invert(pc.is_finite(pc.fill_null(column, 0.0))))
    elif column.type == pa.string():
        faulty = pc.or_(faulty, pc.equal(pc.fill_null(column, ""), ""))
    found: NDArray[np.bool_] = faulty.to_numpy(zero_copy_only=False)
    return found
