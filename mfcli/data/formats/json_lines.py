"""The reader of JSON lines: one object per line, as in reviews published by Amazon and Yelp.

Arrow parses blocks of whole lines. A block that it refuses is parsed line by line.
"""

from __future__ import annotations

import codecs
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.json as pajson

from mfcli.data.formats.columnar import TablePiece
from mfcli.data.sources import HEAD, File
from mfcli.errors import DataError

_BLOCK = 1 << 23  # bytes of a piece
_LONGEST = 1 << 26  # bytes of a line
_BLANK = b" \t\r\n"
_ARRAY = re.compile(rb"\[\s*[{\]]")
_OBJECT = re.compile(rb"\{\s*[\"'}]")
_LITERAL = re.compile(rb"\{\s*'")


def is_json_lines(file: File, head: bytes) -> bool:
    """Return whether a text is JSON with one object per line.

    Raises
    ------
    DataError
        If it is other JSON, or Python code.
    """
    start = head.removeprefix(codecs.BOM_UTF8).lstrip(_BLANK)
    if _ARRAY.match(start):
        rows = "json.load(sys.stdin)"
        raise _convertible(file, "is a JSON array, not one JSON object per line", "", rows)
    if not _OBJECT.match(start):
        return False
    line = start.splitlines()[0]
    if _LITERAL.match(line):
        rows = "map(ast.literal_eval, sys.stdin)"
        raise _convertible(file, "holds Python dictionaries, not JSON", "ast, ", rows)
    if _parsed(line) is None and b"\n" in start:
        raise DataError(
            "is JSON, but its first line is not one object",
            place=file,
            remedy="write it with one object per line",
        )
    return True


def _convertible(file: File, rule: str, imports: str, rows: str) -> DataError:
    """Return an error with the command that converts a file to JSON lines."""
    code = f"import {imports}json, sys; [print(json.dumps(row)) for row in {rows}]"
    unpack = {"gzip": "gzip -dc", "bz2": "bzip2 -dc", "xz": "xz -dc", "zstd": "zstd -dc"}
    unpack |= {"zip": "unzip -p", "": "cat"}
    name = shlex.quote(file.name) if str(file.path) == file.name else "FILE"
    command = f"{unpack[file.compression]} {name} | python3 -c {shlex.quote(code)} > ratings.jsonl"
    return DataError(rule, place=file, remedy=f"convert it, as with: {command}")


def json_schema(file: File) -> pa.Schema:
    """Return the keys of the first objects whose values are numbers or text, with their types.

    Raises
    ------
    DataError
        If the first line is not a JSON object.
    """
    with file.reading() as (stream, _):
        head = stream.read(HEAD)
    lines = head.removeprefix(codecs.BOM_UTF8).strip(_BLANK).splitlines()
    if len(head) == HEAD and len(lines) > 1:
        lines.pop()  # it may be cut off
    types: dict[str, pa.DataType] = {}
    for row in map(_parsed, lines):
        for key, value in (row or {}).items():
            kind = _TYPES.get(type(value))
            # Programs write 4.0 as 4, and Arrow would refuse all blocks with a 4.5 as integers.
            if kind and (key not in types or {kind, types[key]} == _NUMBERS):
                types[key] = pa.float64() if key in types else kind
    if not types:
        raise DataError(
            "holds no JSON object with values",
            place=file,
            remedy="write one object per line, with a user, an item and a rating",
        )
    return pa.schema(list(types.items()))


_TYPES = {int: pa.int64(), float: pa.float64(), str: pa.string()}
_NUMBERS = {pa.int64(), pa.float64()}


def json_pieces(
    file: File, columns: Sequence[str] | None = None
) -> Iterator[tuple[TablePiece, int]]:
    """Read a file piece by piece; the arguments and results are those of `parquet_pieces`.

    A value that is missing is null. Values that are lists or objects are not read.
    """
    whole = json_schema(file)
    schema = pa.schema([whole.field(name) for name in columns or whole.names])
    before = 0
    with file.reading() as (stream, raw):
        for data in _blocks(file, stream):
            piece = _piece(data, schema, before)
            yield piece, raw.tell()
            before += len(piece.table)


def _blocks(file: File, stream: Any) -> Iterator[bytes]:
    """Cut a text into blocks of whole lines."""
    # A byte order mark would be a syntax error.
    rest = stream.read(3).removeprefix(codecs.BOM_UTF8)
    while block := stream.read(_BLOCK):
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end]
            rest = block[end:]
        else:
            rest += block
        if len(rest) > _LONGEST:
            raise DataError(f"has a line of more than {_LONGEST >> 20} MB", place=file)
    if rest:
        yield rest


def _piece(data: bytes, schema: pa.Schema, before: int) -> TablePiece:
    if not data.strip(_BLANK):
        return TablePiece(schema.empty_table(), before)
    try:
        table = pajson.read_json(
            pa.BufferReader(data),
            pajson.ReadOptions(use_threads=False, block_size=len(data) + 1),
            pajson.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        ).select(schema.names)
        return TablePiece(table, before)
    except (pa.ArrowException, KeyError):
        lines = [line for line in data.split(b"\n") if line.strip(_BLANK)]
    rows = [_parsed(line) for line in lines]
    columns = [_column([(row or {}).get(name) for row in rows]) for name in schema.names]
    invalid = {
        at: lines[at].decode(errors="backslashreplace")
        for at, row in enumerate(rows)
        if row is None
    }
    return TablePiece(pa.table(columns, schema.names), before, invalid)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _column(values: list[Any]) -> pa.Array:
    """Return values of several types as one column: numbers if all are, otherwise text."""
    values = [value if type(value) in _TYPES else None for value in values]
    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {int, float}:
        try:
            return pa.array(values, pa.float64() if float in kinds else pa.int64())
        except (OverflowError, pa.ArrowException):
            pass
    return pa.array([value if value is None else str(value) for value in values], pa.string())
