"""Pairs of a user and an item in files of any size: pieces of whole rows that get one column more.

The file's own columns pass through as they are. A text is not taken apart for that: users and items
are parsed out of its lines, and a field is put at the end of each. A text that this does not fit is
gone through again from there, slowly, to name the faulty line or to write its rows plainly.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, Protocol, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mfcli.data.layout import Layout
from mfcli.data.ratings import to_arrow, to_numpy, to_texts
from mfcli.data.strict import line_of, sound_rows
from mfcli.data.tables import csv_rows
from mfcli.errors import DataError

_BLOCK = 1 << 23  # bytes of text in a piece
_LONGEST = 1 << 26  # bytes of text that must hold the end of a row
_ROWS = 1 << 18  # rows in a piece of Parquet
_SLOW_ROWS = 1 << 15  # rows in a piece of a text that is gone through slowly
_REMEDY = "mend the line"
_QUOTE, _LINE_FEED, _RETURN = b'"\n\r'
_UNIT = b"\x1f"  # in the place of "::", since Arrow's separators are single characters


class Refused(Exception):
    """A text is not as plain as it must be to be read fast."""


class Piece(Protocol):
    """Rows of a file.

    Attributes
    ----------
    user, item : Arrow arrays of int64 or string, length n
        Raw ids; none is empty.
    """

    user: pa.Array
    item: pa.Array

    def as_text(self, column: pa.Array) -> list[Any]:
        """Return the bytes of the rows, in parts, each row with a value more."""

    def as_table(self, name: str, column: pa.Array) -> pa.Table:
        """Return the rows with a column more."""


Pieces = Iterator[tuple[Callable[[], Piece], int]]
"""What makes each piece, on any thread, and how many bytes of the file are read by then."""


def read_pairs(layout: Layout, *, whole: bool) -> Pieces:
    """Cut a file into pieces.

    Parameters
    ----------
    layout : Layout
    whole : bool
        Whether pieces are to become tables.

    Raises
    ------
    DataError
        If the file cannot be read, or a row of Parquet lacks an id.
    Refused
        If a text has to be gone through with `reread_pairs`, here or by what makes a piece.
    """
    return _text_pieces(layout, whole) if layout.format == "text" else _table_pieces(layout)


def reread_pairs(layout: Layout, first: int, position: int, *, whole: bool) -> Pieces:
    """Go through a text from a row on, slowly, and write it plainly.

    Parameters
    ----------
    layout : Layout
    first : int
        The row, from 0.
    position : int
        How many bytes are read by then, about.
    whole : bool
        As in `read_pairs`.

    Raises
    ------
    DataError
        For the first row with a fault, with its line.
    """
    rows = enumerate(sound_rows(layout, first, _REMEDY), first)
    while group := list(itertools.islice(rows, _SLOW_ROWS)):
        if whole:
            _check_encoding(layout, group)
        data = _plain_text(layout, [fields for _, fields in group])
        position += len(data)
        yield partial(TextPiece, layout, data, whole), position


def _check_encoding(layout: Layout, rows: list[tuple[int, list[str]]]) -> None:
    for number, fields in rows:
        try:
            "".join(fields).encode()
        except UnicodeEncodeError:
            raise DataError(
                f"{layout.file}:{line_of(layout, number)}: must be UTF-8 text to become Parquet;"
                " convert the file, as with iconv"
            ) from None


def _plain_text(layout: Layout, rows: list[list[str]]) -> bytes:
    """Write rows so that all fields are found again; those that need no quotes get none."""
    separator = layout.separator
    if len(separator) == 1:
        special = {separator, '"', "\r", "\n"}  # csv.writer would leave a lone return bare
        rows = [[_quoted(field, special) for field in fields] for fields in rows]
    text = "".join(separator.join(fields) + "\n" for fields in rows)
    return text.encode(errors="surrogateescape")


def _quoted(field: str, special: set[str]) -> str:
    if special.isdisjoint(field):
        return field
    doubled = field.replace('"', '""')
    return f'"{doubled}"'


def _text_pieces(layout: Layout, whole: bool) -> Pieces:
    with layout.file.reading() as (stream, raw):
        file = io.BufferedReader(cast(io.RawIOBase, stream))
        for line in (file.readline(_LONGEST) for _ in range(layout.skip)):
            if _has_lone_return(line):
                raise Refused
        if not layout.skip and file.peek(3).startswith(codecs.BOM_UTF8):
            file.read(3)
        for data in _cut(file, quoted=len(layout.separator) == 1):
            yield partial(TextPiece, layout, data, whole), raw.tell()


def _cut(file: BinaryIO, quoted: bool) -> Iterator[bytes]:
    """Cut a text into pieces that end where a row does."""
    rest = b""
    while block := file.read(_BLOCK):
        rest += block
        end = _last_end(rest, quoted)
        if end:
            yield rest[:end]
            rest = rest[end:]
        elif len(rest) > _LONGEST:
            raise Refused
    if rest:
        yield rest + b"\n"


def _last_end(data: bytes, quoted: bool) -> int:
    """Find the end of the last line that no quote is open at; 0 if there is none."""
    quotes = data.count(b'"') if quoted and b'"' in data else 0
    end = len(data)
    while (line_feed := data.rfind(b"\n", 0, end)) >= 0:
        quotes -= data.count(b'"', line_feed, end) if quotes else 0
        if quotes % 2 == 0:
            return line_feed + 1
        end = line_feed
    return 0


def _has_lone_return(data: bytes) -> bool:
    """Whether a line ends as those of old Macs do."""
    return b"\r" in data and data.count(b"\r") != data.count(b"\r\n")


class TextPiece:
    """Whole lines of a text.

    Parameters
    ----------
    layout : Layout
    data : bytes
        Ends with a line feed.
    whole : bool
        Whether `as_table` is needed.

    Raises
    ------
    Refused
        If it is not certain where each row ends.
    """

    def __init__(self, layout: Layout, data: bytes, whole: bool) -> None:
        self._layout, self._data = layout, data
        self._line_feeds = _row_ends(data, layout.separator)
        letters = np.frombuffer(data, np.uint8)
        self._ends = self._line_feeds - (letters[self._line_feeds - 1] == _RETURN)
        self._filled = self._ends > np.concatenate([[0], self._line_feeds[:-1] + 1])
        self._columns = self._parsed(whole)
        self.user, self.item = (self._columns[place] for place in layout.columns.values())
        if any((np.diff(_bounds(ids)) == 0).any() for ids in (self.user, self.item)):
            raise Refused  # an id is empty

    def _parsed(self, whole: bool) -> dict[int, pa.Array]:
        """Parse the columns, by position: all of them, or users and items."""
        needed = range(len(self._layout.names)) if whole else {*self._layout.columns.values()}
        if not self._filled.any():
            return {place: to_texts([]) for place in needed}
        try:
            table = self._read(list(map(str, needed)))
        except pa.ArrowException as error:
            raise Refused from error
        if len(table) != np.count_nonzero(self._filled):
            raise Refused
        return {place: table[str(place)].combine_chunks() for place in needed}

    def _read(self, needed: list[str]) -> pa.Table:
        data, separator = self._data, self._layout.separator.encode()
        quoted = len(separator) == 1 and b'"' in data
        if len(separator) > 1:
            if _UNIT in data:
                raise Refused
            data, separator = data.replace(separator, _UNIT), _UNIT
        names = [str(place) for place in range(len(self._layout.names))]
        return pacsv.read_csv(
            pa.BufferReader(data),
            pacsv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            pacsv.ParseOptions(
                delimiter=separator.decode(),
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
            ),
            pacsv.ConvertOptions(
                column_types=dict.fromkeys(needed, pa.string()),
                include_columns=needed,
                strings_can_be_null=False,
            ),
        )

    def as_text(self, column: pa.Array) -> list[Any]:
        """Return the lines as they are, each with a field more.

        A line is taken together with the line break before it, so that all of them lie one behind
        another in one buffer.
        """
        if not len(column):
            return []
        offsets = to_arrow(np.concatenate([[0], self._ends]).astype(np.int32), pa.int32())
        lines = pa.Array.from_buffers(
            pa.binary(), len(self._ends), [None, offsets.buffers()[1], pa.py_buffer(self._data)]
        )
        if not self._filled.all():
            lines = lines.filter(_mask(self._filled))
        values = column.cast(pa.string()).cast(pa.binary())
        separator = to_texts([self._layout.separator]).cast(pa.binary())[0]
        joined = pc.binary_join_element_wise(lines, values, separator)
        first = 0 if self._filled[0] else len(_line_break(lines[0].as_py()))
        last = slice(self._ends[-1], self._line_feeds[-1] + 1)
        return [_content(joined)[first:], self._data[last]]

    def as_table(self, name: str, column: pa.Array) -> pa.Table:
        """Return the fields as text, and a column more."""
        return pa.table([*self._columns.values(), column], [*self._layout.names, name])


def _row_ends(data: bytes, separator: str) -> NDArray[np.intp]:
    """Find the line feeds that end a row: those that no quote is open at.

    An even number of quotes before it says so, if every quote that opens stands at the beginning of
    a field. One behind a quote that has just closed is the second half of an escaped quote.
    """
    letters = np.frombuffer(data, np.uint8)
    line_feeds = np.flatnonzero(letters == _LINE_FEED)
    quotes = np.empty(0, np.intp)
    if len(separator) == 1 and b'"' in data:
        quotes = np.flatnonzero(letters == _QUOTE)
        before = letters[quotes[::2] - 1]  # of the first letter, the last: a line feed
        if not np.isin(before, [ord(separator), _LINE_FEED, _QUOTE]).all():
            raise Refused
        line_feeds = _outside(quotes, line_feeds)
        if not len(line_feeds) or line_feeds[-1] != len(data) - 1:
            raise Refused
    if _has_lone_return(data):
        returns = np.flatnonzero((letters[:-1] == _RETURN) & (letters[1:] != _LINE_FEED))
        if len(_outside(quotes, returns)):
            raise Refused
    return line_feeds


def _outside(quotes: NDArray[np.intp], places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Keep the places that have an even number of quotes before them."""
    kept: NDArray[np.intp] = places[np.searchsorted(quotes, places) % 2 == 0]
    return kept


def _mask(rows: NDArray[np.bool_]) -> pa.Array:
    bits = pa.py_buffer(np.packbits(rows, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(rows), [None, bits])


def _line_break(line: bytes) -> bytes:
    return line[: len(line) - len(line.lstrip(b"\r\n"))]


def _bounds(values: pa.Array) -> NDArray[np.int32]:
    """Return where the bytes of each value begin in their buffer, and the last ones end."""
    if not len(values):
        return np.zeros(1, np.int32)
    bounds: NDArray[np.int32] = np.frombuffer(values.buffers()[1], np.int32)
    return bounds[values.offset : values.offset + len(values) + 1]


def _content(values: pa.Array) -> memoryview:
    """Return the bytes of all values one behind another."""
    bounds = _bounds(values)
    return memoryview(values.buffers()[2])[bounds[0] : bounds[-1]]


def _table_pieces(layout: Layout) -> Pieces:
    done = 0
    try:
        file = pq.ParquetFile(layout.file.path)
        for batch in file.iter_batches(_ROWS):
            table = pa.Table.from_batches([batch])
            done += len(batch)
            position = layout.file.bytes * done // max(file.metadata.num_rows, 1)
            yield partial(TablePiece, layout, table, done - len(batch)), position
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{layout.file}: cannot be read: {reason}; get it anew") from error


class TablePiece:
    """Rows of Parquet.

    Parameters
    ----------
    layout : Layout
    table : Arrow table
    before : int
        Rows before them.

    Raises
    ------
    DataError
        If ids are neither integers nor text, or one is missing or empty.
    """

    def __init__(self, layout: Layout, table: pa.Table, before: int) -> None:
        self._layout, self._table, self._before = layout, table, before
        self.user, self.item = (self._ids(role) for role in ("user", "item"))

    def _ids(self, role: str) -> pa.Array:
        position = self._layout.columns[role]
        column = self._table.column(position).combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        kind = _id_type(column.type)
        if kind is None:
            raise DataError(
                f"{self._layout.file}: column {self._layout.names[position]!r} must hold integer"
                f" or text ids, got {column.type}"
            )
        ids = column.cast(kind)
        missing = to_numpy(pc.is_null(ids).cast(pa.int8()), np.int8).astype(np.bool_)
        if kind == pa.string():
            missing |= np.diff(_bounds(ids)) == 0
        if missing.any():
            row = self._before + int(np.argmax(missing)) + 1
            raise DataError(f"{self._layout.file}: row {row}: {role} id must not be empty; mend it")
        return ids

    def as_text(self, column: pa.Array) -> list[Any]:
        """Return the rows as lines of CSV.

        Raises
        ------
        DataError
            If there is a column that CSV cannot hold.
        """
        return [_csv(self._layout, self._table.append_column("", column))]

    def as_table(self, name: str, column: pa.Array) -> pa.Table:
        return self._table.append_column(name, column)


def _id_type(kind: pa.DataType) -> pa.DataType | None:
    """Say what ids of a type become: integers, or text if they may be larger than those."""
    if pa.types.is_integer(kind):
        return pa.string() if kind == pa.uint64() else pa.int64()
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()
    return pa.string() if text else None


def _csv(layout: Layout, table: pa.Table) -> bytes:
    try:
        return csv_rows(table)
    except pa.ArrowException as error:
        raise DataError(
            f"{layout.file}: cannot be written as CSV ({str(error).splitlines()[0]});"
            " write Parquet: --out FILE.parquet"
        ) from error


def header_with(layout: Layout, name: str) -> bytes:
    """Return the header of a text of the same rows with a column more; empty if there is none.

    Raises
    ------
    DataError
        If there is a column that CSV cannot hold.
    """
    if layout.format == "parquet":
        _csv(layout, schema_with(layout, name).empty_table())
    elif not layout.header:
        return b""
    else:
        line = _header_line(layout)
        if not _has_lone_return(line):
            own = line.rstrip(b"\r\n")
            return own + f"{layout.separator}{name}".encode() + (line[len(own) :] or b"\n")
    out = io.StringIO()
    separator = layout.separator or ","
    csv.writer(out, delimiter=separator, lineterminator="\n").writerow([*layout.names, name])
    return out.getvalue().encode()


def _header_line(layout: Layout) -> bytes:
    with layout.file.reading() as (stream, _):
        file = io.BufferedReader(cast(io.RawIOBase, stream))
        return [file.readline(_LONGEST) for _ in range(layout.skip)][-1]


def schema_with(layout: Layout, name: str) -> pa.Schema:
    """Return the schema of a table of the same rows with a column of predicted ratings more."""
    if layout.format == "parquet":
        own = pq.read_schema(layout.file.path)
    else:
        own = pa.schema([(column, pa.string()) for column in layout.names])
    return own.append(pa.field(name, pa.float32()))
