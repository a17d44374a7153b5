"""Read files of user-item pairs in pieces that can be written with more columns.

The columns of the file stay as they are: users and items are parsed from the lines of a text, and
fields are appended to each line without splitting it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mfcli.data.arrow_arrays import text_bounds, to_arrow, to_arrow_mask, to_texts
from mfcli.data.checked_columns import sound_columns
from mfcli.data.faults import OnFault, stopping
from mfcli.data.formats.columnar import TablePiece
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.quotes import Quotes
from mfcli.data.formats.strict_text import plain_pairs
from mfcli.data.formats.tables import table_pieces, table_schema
from mfcli.data.formats.text import LONGEST, Refused, TextPiece, has_lone_return, read_text
from mfcli.data.ids import empty_ids
from mfcli.data.table_files import csv_rows
from mfcli.errors import DataError, Param
from mfcli.storage import Apply, in_order

_LINE_FEED, _RETURN = b"\n\r"

Columns: TypeAlias = Mapping[str, pa.Array]
"""New columns by name, at least one."""


class PairPiece(Protocol):
    """Rows of a file of pairs.

    Attributes
    ----------
    user, item : Arrow arrays of int64 or string, length n
        Raw ids; none is missing or empty.
    """

    user: pa.Array
    item: pa.Array

    def as_text(self, columns: Columns) -> list[Any]:
        """Return the bytes of the rows, in parts, with values appended to each row."""

    def as_table(self, columns: Columns) -> pa.Table:
        """Return the rows with columns appended."""


Result = TypeVar("Result", bound=Sized)


def read_pairs(
    layout: Layout,
    work: Callable[[PairPiece], Result],
    *,
    whole: bool,
    threads: int,
    on_fault: OnFault | None = None,
    apply: Apply = in_order,
) -> Iterator[tuple[Result, int]]:
    """Apply `work` to the pairs of a file, piece by piece, and yield the results.

    Parameters
    ----------
    layout : Layout
    work : callable
        Called on any thread.
    whole : bool
        Whether `work` calls `PairPiece.as_table`, for which all columns of a text are parsed.
    threads : int
    on_fault : callable, optional
        Called for each invalid row, which is skipped; by default, the first one is an error.
    apply : callable
        Applies a function to pieces as `in_order` does, for instance in other processes. The
        function can be pickled if `work` and `on_fault` can.

    Yields
    ------
    result, int
        In the order of the file, with the number of bytes read so far.

    Raises
    ------
    DataError
        If the file cannot be read, or for the first row that lacks an id or cannot be split.
    """
    if layout.format != "text":
        pieces = table_pieces(layout.file, layout.format)
        return apply(pieces, partial(_on_table, layout, work, on_fault), threads)

    skip = on_fault or stopping(layout.place, "correct the line")
    strictly = partial(plain_pairs, layout, on_fault=skip, utf8=whole)
    return read_text(layout, partial(_on_text, work, whole), strictly, threads, apply)


def _on_table(
    layout: Layout, work: Callable[[PairPiece], Result], on_fault: OnFault | None, piece: TablePiece
) -> Result:
    skip = on_fault or stopping(layout.place, "correct the row")
    return work(_TablePairs(layout, piece, skip))


def _on_text(work: Callable[[PairPiece], Result], whole: bool, piece: TextPiece) -> Result:
    return work(_TextPairs(piece, whole))


class _TextPairs:
    """Pairs in whole lines of a text.

    Parameters
    ----------
    piece : TextPiece
    whole : bool
        Whether `as_table` is needed.

    Raises
    ------
    Refused
        If it is not certain where a row ends, or an id is empty.
    """

    def __init__(self, piece: TextPiece, whole: bool) -> None:
        self._layout, self._data = piece.layout, piece.data
        self._line_feeds = _row_ends(piece.data, piece.layout.separator if piece.quoted else None)
        letters = np.frombuffer(piece.data, np.uint8)
        # A line ends before its line feed, and before a carriage return in front of that.
        self._ends = self._line_feeds - (letters[self._line_feeds - 1] == _RETURN)
        # A line is blank if it ends where it starts: after the line feed before it.
        self._filled = self._ends > np.concatenate([[0], self._line_feeds[:-1] + 1])
        positions = self._layout.columns.values()
        needed = range(len(self._layout.names)) if whole else positions
        self._columns = piece.parse(dict.fromkeys(needed, pa.string()))
        self.user, self.item = (self._columns[position] for position in positions)
        if empty_ids(self.user).any() or empty_ids(self.item).any():
            raise Refused  # the strict reader names the line

    def as_text(self, columns: Columns) -> list[Any]:
        """Return the lines as they are, each with fields appended.

        A line is taken together with the line break before it, so that all lines are adjacent in
        one buffer and Arrow can join them with the values without splitting them.
        """
        if not len(self.user):
            return []
        # Line i is bytes ends[i - 1] to ends[i]; int32 is enough for a piece.
        offsets = to_arrow(np.concatenate([[0], self._ends]).astype(np.int32))
        lines = pa.Array.from_buffers(
            pa.binary(), len(self._ends), [None, offsets.buffers()[1], pa.py_buffer(self._data)]
        )
        if not self._filled.all():
            lines = lines.filter(to_arrow_mask(self._filled))
        # Binary, because columns other than the ids need not be UTF-8.
        values = [column.cast(pa.string()).cast(pa.binary()) for column in columns.values()]
        separator = to_texts([self._layout.separator]).cast(pa.binary())[0]
        joined = pc.binary_join_element_wise(lines, *values, separator)
        # The first line must not start with the line break of a blank line before it.
        first = 0 if self._filled[0] else len(_line_break(lines[0].as_py()))
        last = slice(self._ends[-1], self._line_feeds[-1] + 1)  # the line break after the last line
        return [_content(joined)[first:], self._data[last]]

    def as_table(self, columns: Columns) -> pa.Table:
        """Return all fields as text, with columns appended."""
        arrays = [*self._columns.values(), *columns.values()]
        return pa.table(arrays, [*self._layout.names, *columns])


def _row_ends(data: bytes, separator: str | None) -> NDArray[np.intp]:
    """Return the positions of the line feeds that end a row; no separator means no quotes."""
    letters = np.frombuffer(data, np.uint8)
    line_feeds = np.flatnonzero(letters == _LINE_FEED)
    quotes = Quotes(data, separator) if separator else None
    if has_lone_return(data):
        returns = np.flatnonzero((letters[:-1] == _RETURN) & (letters[1:] != _LINE_FEED))
        if quotes is None or len(quotes.outside(returns)):
            raise Refused  # Arrow would end a row there
    return line_feeds if quotes is None else quotes.outside(line_feeds)


def _line_break(line: bytes) -> bytes:
    return line[: len(line) - len(line.lstrip(b"\r\n"))]


def _content(values: pa.Array) -> memoryview:
    """Return the bytes of all values, one after another."""
    bounds = text_bounds(values)
    return memoryview(values.buffers()[2])[bounds[0] : bounds[-1]]


class _TablePairs:
    """Pairs in rows of a table.

    Raises
    ------
    DataError
        If ids are neither integers nor text, or one is missing or empty.
    """

    def __init__(self, layout: Layout, piece: TablePiece, on_fault: OnFault) -> None:
        self._layout, self._table = layout, piece.table
        columns = {role: piece.table.column(n) for role, n in layout.columns.items()}
        before, invalid = piece.before, piece.invalid
        ids = sound_columns(layout.file, layout.roles, columns, on_fault, before, invalid)
        self.user, self.item = ids["user"], ids["item"]

    def as_text(self, columns: Columns) -> list[Any]:
        """Return the rows as lines of CSV, with fields appended.

        Raises
        ------
        DataError
            If there is a column that CSV cannot hold.
        """
        return [_csv(self._layout, self.as_table(columns))]

    def as_table(self, columns: Columns) -> pa.Table:
        table = self._table
        for name, column in columns.items():
            table = table.append_column(name, column)
        return table


def _csv(layout: Layout, table: pa.Table) -> bytes:
    try:
        return csv_rows(table)
    except pa.ArrowException as error:
        raise DataError(
            f"cannot be written as CSV ({str(error).splitlines()[0]})",
            place=layout.file,
            remedy=["write Parquet with ", Param("out", "FILE.parquet")],
        ) from error


def header_with(layout: Layout, new: Sequence[str]) -> bytes:
    """Return the header of a text of the same rows with new columns; empty if there is none.

    Raises
    ------
    DataError
        If there is a column that CSV cannot hold.
    """
    if layout.format != "text":
        _csv(layout, schema_with(layout, new).empty_table())  # fails before anything is written
    elif not layout.header:
        return b""
    else:
        line = _header_line(layout)
        if not has_lone_return(line):  # the header as it is, with names appended
            names = line.rstrip(b"\r\n")
            added = "".join(f"{layout.separator}{name}" for name in new)
            return names + added.encode() + (line[len(names) :] or b"\n")
    out = io.StringIO()
    separator = layout.separator or ","
    csv.writer(out, delimiter=separator, lineterminator="\n").writerow([*layout.names, *new])
    return out.getvalue().encode()


def _header_line(layout: Layout) -> bytes:
    with layout.file.reading() as (stream, _):
        file = io.BufferedReader(cast(io.RawIOBase, stream))
        # The header is the last line before the first row.
        return [file.readline(LONGEST) for _ in range(layout.skip)][-1]


def schema_with(layout: Layout, new: Sequence[str]) -> pa.Schema:
    """Return the schema of a table of the same rows with new columns of float32."""
    if layout.format != "text":
        schema = table_schema(layout.file, layout.format)
    else:
        schema = pa.schema([(column, pa.string()) for column in layout.names])
    for name in new:
        schema = schema.append(pa.field(name, pa.float32()))
    return schema
