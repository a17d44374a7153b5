"""The fast reader of delimited text, for ratings and for pairs.

A text is cut into pieces of whole rows, which Arrow parses on several threads. A piece is refused
if it is not certain where its rows or fields end, or if a field does not have the type that is
needed. The strict reader (`strict_text.py`) then takes over; it names the faulty line.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sized
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, BinaryIO, TypeVar, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from mfcli.data.arrow_arrays import one_array
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.quotes import Quotes
from mfcli.data.formats.separators import COLONS, SPACES
from mfcli.data.formats.text_rows import first_spanning_row, rows_are_whole
from mfcli.errors import DataError, warn
from mfcli.storage import Apply, in_order

LONGEST = 1 << 26  # bytes within which a row must end, so that memory is limited
_BLOCK = 1 << 21  # bytes of a piece, so that it stays in the cache of a processor
_EXTRA_SPACES = re.compile(rb"(?m)^ +| +(?=\r?$)|(?<= ) +")
_UNIT = b"\x1f"  # replaces "::", since Arrow takes single characters as separators


class Refused(Exception):
    """The fast reader cannot read a text with certainty."""


@dataclass(frozen=True)
class TextPiece:
    """Whole rows of a text.

    Attributes
    ----------
    layout : Layout
    data : bytes
        Ends with a line feed.
    written : int, optional
        How many rows spanned lines, if the strict reader has written the text.
    """

    layout: Layout
    data: bytes
    written: int | None = None

    @property
    def spanning(self) -> int:
        """How many rows span lines."""
        return self._spanning or 0

    @property
    def quoted(self) -> bool:
        """Whether there are quotes, and they are special.

        Raises
        ------
        Refused
            If it is not certain whether quotes are special.
        """
        return self.has_quotes and self._spanning is not None

    @cached_property
    def has_quotes(self) -> bool:
        return self.layout.separator != COLONS and b'"' in self.data

    @cached_property
    def _spanning(self) -> int | None:
        """How many rows span lines; None if quotes are text, since one stays open on its row."""
        if self.written is not None or not self.has_quotes:
            return self.written
        whole = rows_are_whole(self.layout, self.data)
        if all(whole):
            return len(whole)
        if any(whole) or _has_quoted_separator(self.data, self.layout.separator):
            raise Refused  # some quotes are special, others are text
        return None

    def parse(self, types: Mapping[int, pa.DataType | None]) -> dict[int, pa.Array]:
        """Parse some columns.

        Parameters
        ----------
        types : mapping of int
            Arrow types of the columns, by position; None to infer the type.

        Returns
        -------
        dict of int
            An Arrow array of each column, by position. An empty field is a null unless the type is
            text.

        Raises
        ------
        Refused
            If a row has another number of fields, a field does not have the type, or quotes are
            text in some rows and special in others.
        """
        if not self.data.lstrip(b"\r\n"):  # Arrow refuses a text without rows
            return {place: pa.nulls(0, kind or pa.int64()) for place, kind in types.items()}
        if self.layout.spaced and b'"' in self.data:
            raise Refused  # a quote after a space is text to Arrow
        try:
            columns = self._parse(types)
        except pa.ArrowException as error:
            raise Refused from error
        if self.layout.spaced:
            return {place: _trimmed(column) for place, column in columns.items()}
        return columns

    def _parse(self, types: Mapping[int, pa.DataType | None]) -> dict[int, pa.Array]:
        data, separator = self.data, self.layout.separator
        if separator == SPACES:
            if b'"' in data and self.written is None:
                raise Refused  # a word in quotes ends on its line
            return self._read(_single_spaces(data), separator, types)
        if separator != COLONS:
            return self._read(data, separator, types)
        try:
            return self._read(data, ":", types, stride=2)
        except pa.ArrowException:  # some field contains a colon
            if _UNIT in data:
                raise
            return self._read(data.replace(b"::", _UNIT), _UNIT.decode(), types)

    def _read(
        self,
        data: bytes,
        separator: str,
        types: Mapping[int, pa.DataType | None],
        stride: int = 1,
    ) -> dict[int, pa.Array]:
        """Parse with Arrow; with a stride of 2, there is an empty column between any two."""
        quoted = self.quoted
        if data.startswith(codecs.BOM_UTF8):
            data = b"\n" + data  # Arrow would drop the mark, but ignores blank lines
        # Columns are named by position, since names may repeat.
        names = [str(n) for n in range(stride * (len(self.layout.names) - 1) + 1)]
        kinds = {names[stride * place]: kind for place, kind in types.items()}
        gaps = {name: pa.null() for n, name in enumerate(names) if n % stride}
        table = pacsv.read_csv(
            pa.BufferReader(data),
            pacsv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            pacsv.ParseOptions(
                delimiter=separator,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
            ),
            pacsv.ConvertOptions(
                column_types=gaps | {name: kind for name, kind in kinds.items() if kind},
                include_columns=[*kinds, *gaps],
                null_values=[""],
                strings_can_be_null=False,
                decimal_point=self.layout.decimal,
            ),
        )
        columns = {place: one_array(table[names[stride * place]]) for place in types}
        if self.has_quotes and not quoted and any(map(_contain_quotes, columns.values())):
            raise Refused  # in other rows, the quotes may be special
        return columns


def _has_quoted_separator(data: bytes, separator: str) -> bool:
    """Return whether a field that closes on its line contains a separator."""
    end = rb"[%b\r\n]" % separator.encode()
    inside = rb'[^"\r\n]*'
    # The pattern starts with a letter that is rare, so the search is fast.
    pattern = b'"(?<=' + end + b'")' + inside + separator.encode() + inside + b'"(?=' + end + b")"
    return re.search(pattern, b"\n" + data) is not None


def _contain_quotes(column: pa.Array) -> bool:
    texts = column.dictionary if pa.types.is_dictionary(column.type) else column
    return pa.types.is_string(texts.type) and pc.any(pc.match_substring(texts, '"')).as_py() is True


def _single_spaces(data: bytes) -> bytes:
    """Separate the fields of a text by single spaces."""
    data = data.replace(b"\t", b" ")
    if data[:1] != b" " and not any(odd in data for odd in (b"  ", b"\n ", b" \n", b" \r")):
        return data
    if b'"' in data:
        raise Refused  # spaces may be part of a field
    return _EXTRA_SPACES.sub(b"", data)


def _trimmed(column: pa.Array) -> pa.Array:
    """Remove the spaces around text; other columns stay as they are."""
    if pa.types.is_dictionary(column.type):
        texts = pc.ascii_trim_whitespace(column.dictionary_decode())
        return texts.dictionary_encode()
    return pc.ascii_trim_whitespace(column) if column.type == pa.string() else column


Result = TypeVar("Result", bound=Sized)


def read_text(
    layout: Layout,
    work: Callable[[TextPiece], Result],
    strictly: Callable[[int, int], Iterator[tuple[TextPiece, int]]],
    threads: int,
    apply: Apply = in_order,
) -> Iterator[tuple[Result, int]]:
    """Read a text piece by piece.

    Parameters
    ----------
    layout : Layout
    work : callable
        Returns the rows of a piece in another form, or raises `Refused`; called on any thread.
    strictly : callable
        Takes over if the fast reader refuses a piece. Given the number of rows and bytes that have
        been read, it returns plain pieces of all further rows.
    threads : int
    apply : callable
        Applies a function to pieces as `in_order` does.

    Yields
    ------
    result, int
        What `work` returns, in the order of the file, and the number of bytes read so far.

    Raises
    ------
    DataError
        If the file cannot be read, or as `strictly` does.
    """
    rows = position = spanning = 0
    counted = partial(_counted, work)
    try:
        try:
            for (done, count), position in apply(text_pieces(layout), counted, threads):
                yield done, position
                rows, spanning = rows + len(done), spanning + count
        except Refused:
            pieces = strictly(rows, position)
            # A piece that is refused again cannot be split at all.
            for (done, count), position in apply(pieces, counted, threads):
                yield done, position
                spanning += count
    except Refused:
        raise DataError(
            f"cannot be split into rows of {len(layout.names)} fields",
            place=layout.file,
            remedy="convert it to CSV",
        ) from None
    if spanning:
        _report(layout, spanning)


def _counted(work: Callable[[TextPiece], Result], piece: TextPiece) -> tuple[Result, int]:
    """Return what `work` returns for a piece, and how many of its rows span lines."""
    return work(piece), piece.spanning


def _report(layout: Layout, spanning: int) -> None:
    first = first_spanning_row(layout)
    others = f", and {spanning - 1:,} more rows span lines" if spanning > 1 else ""
    warn(
        f"the row spans {first.lines} lines, since a quoted field contains line breaks{others}",
        place=layout.place(first.line - first.lines + 1),
        remedy="check that its quotation marks close where they should",
    )


def text_pieces(layout: Layout) -> Iterator[tuple[TextPiece, int]]:
    """Cut a text into pieces.

    Yields
    ------
    piece, int
        Whole rows, and the number of bytes of the file that have been read.

    Raises
    ------
    DataError
        If the file cannot be read.
    Refused
        If it is not certain where a row ends.
    """
    with layout.file.reading() as (stream, raw):
        file = _with_line_feeds(stream)
        for line in (file.readline(LONGEST) for _ in range(layout.skip)):
            if has_lone_return(line):
                raise Refused
        while not layout.header and file.peek(3).startswith(codecs.BOM_UTF8):
            file.read(3)
        for data in _cut(file, layout.separator):
            yield TextPiece(layout, data), raw.tell()


def _with_line_feeds(stream: BinaryIO) -> io.BufferedReader:
    """Buffer a text; if it has the line ends of old Macs, convert them."""
    file: io.BufferedReader = io.BufferedReader(cast(io.RawIOBase, stream))
    head = file.peek(1)  # a buffer, several kilobytes; its last byte may be half of a line end
    if b"\r" in head[:-1] and b"\n" not in head:
        return io.BufferedReader(cast(io.RawIOBase, _OldMacText(file)))
    return file


class _OldMacText(io.RawIOBase):
    """A text whose lines end with carriage returns, read with line feeds instead."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        if b'"' in data or b"\n" in data:  # a return may be part of a field
            raise Refused
        buffer[: len(data)] = data.replace(b"\r", b"\n")
        return len(data)


def _cut(file: io.BufferedReader, separator: str) -> Iterator[bytes]:
    """Cut a text into pieces that end where a row ends."""
    quoted = separator != COLONS
    rest = b""
    # With the rest of the last line, so that a block usually ends where a row ends.
    while block := file.read(_BLOCK) + file.readline(LONGEST):
        data = rest + block if rest else block
        end = _end_of_rows(data, separator) if quoted and b'"' in data else data.rfind(b"\n") + 1
        if end:
            yield data[:end]
        rest = data[end:]
        if len(rest) > LONGEST:
            raise Refused
    if rest:
        yield rest + b"\n"  # the last line of a file may lack its line feed


def _end_of_rows(data: bytes, separator: str) -> int:
    """Return the end of the last line feed outside quotes; 0 if there is none."""
    quotes = Quotes(data, separator)
    line_feed = data.rfind(b"\n")
    while line_feed >= 0:
        opening = quotes.opening(line_feed)
        if opening is None:
            return line_feed + 1
        line_feed = data.rfind(b"\n", 0, opening)  # skip the whole field
    return 0


def has_lone_return(data: bytes) -> bool:
    """Return whether a carriage return is not followed by a line feed."""
    return b"\r" in data and data.count(b"\r") != data.count(b"\r\n")
