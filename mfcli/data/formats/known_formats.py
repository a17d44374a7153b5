"""Formats that are recognized by their first bytes but not read, each with a name and a remedy."""

from __future__ import annotations

import re
from typing import NamedTuple

from mfcli.errors import DataError

_TAR_MAGIC = slice(257, 262)  # "ustar" is in the header of the first member
_DUCKDB_MAGIC = slice(8, 12)
AS_CSV = "save it as CSV"
IN_PYTHON = "load it in Python and write it with DataFrame.to_csv(..., index=False)"
_IN_R = 'load it in R and write it with write.csv(..., "ratings.csv", row.names = FALSE)'
_EXTRACT = "extract it, and name the file of ratings"


class _Kind(NamedTuple):
    magic: bytes
    name: str
    remedy: str


_KINDS = (
    _Kind(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel 97 workbook (.xls)", AS_CSV),
    _Kind(
        b"SQLite format 3\0",
        "an SQLite database",
        "export a table, as with: sqlite3 -header -csv FILE 'SELECT * FROM TABLE' > ratings.csv",
    ),
    _Kind(b"\x93NUMPY", "a NumPy array (.npy)", IN_PYTHON),
    _Kind(b"\x89HDF\r\n\x1a\n", "an HDF5 file", IN_PYTHON),
    _Kind(b"MATLAB", "a MATLAB file (.mat)", "write it as CSV, as with writematrix"),
    _Kind(b"FEA1", "a Feather file of version 1", "write it again with a newer version of Arrow"),
    _Kind(b"\xff\xff\xff\xff", "an Arrow stream", "write it as an Arrow file or as Parquet"),
    _Kind(b"PARE", "an encrypted Parquet file", "write it without encryption"),
    _Kind(b"ORC", "an ORC file", "write it as Parquet"),
    _Kind(b"Obj\x01", "an Avro file", "write it as Parquet"),
    _Kind(b"RDX2\n", "an R workspace (.RData)", _IN_R),
    _Kind(b"RDX3\n", "an R workspace (.RData)", _IN_R),
    _Kind(b"X\n\0\0\0", "an R object (.rds)", _IN_R),
    _Kind(b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _EXTRACT),
    _Kind(b"Rar!\x1a\x07", "a RAR archive", _EXTRACT),
    _Kind(b"\x04\x22\x4d\x18", "LZ4 data", "decompress it, as with: lz4 -d FILE ratings.csv"),
    _Kind(b"\x1f\x9d", "Unix compress data (.Z)", "decompress it, as with: gzip -d FILE"),
    _Kind(b"\xff\x06\0\0sNaPpY", "Snappy data", "decompress it"),
    _Kind(b"%PDF-", "a PDF document", AS_CSV),
    _Kind(b"$FL2", "an SPSS file (.sav)", AS_CSV),
    _Kind(b"<stata_dta>", "a Stata file (.dta)", AS_CSV),
    _Kind(
        b"version https://git-lfs",
        "a Git LFS pointer, not the file itself",
        "download the file with: git lfs pull",
    ),
)

_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|body)", re.IGNORECASE)
_TEXTS = (
    (
        re.compile(rb"\d+:\r?\n\d+,\d"),
        _Kind(
            b"",
            "a Netflix Prize file, in which each item has a separate line",
            'convert it, as with: awk -F, \'/:/ {item = $1; sub(/:.*/, "", item); next}'
            ' {print $1 "," item "," $2 "," $3}\' FILE > ratings.csv',
        ),
    ),
    (
        re.compile(rb"[^\s:,]+(?: \d+:[^\s:,]+)+ ?\r?\n"),
        _Kind(b"", "in libsvm or libFM format", "write one line per user, item and rating"),
    ),
    (
        re.compile(rb"(?:--[^\n]*\n|\s)*(?:create table|insert into|drop table)\s", re.IGNORECASE),
        _Kind(b"", "an SQL dump", "export the table as CSV"),
    ),
    (
        re.compile(rb"(?:%[^\n]*\n|\s)*@relation\s", re.IGNORECASE),
        _Kind(b"", "an ARFF file", "save it as CSV"),
    ),
)
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml")


def refuse_known_format(place: object, head: bytes) -> None:
    """Refuse a file in a format that cannot be read.

    Parameters
    ----------
    place : object
        The file, for messages.
    head : bytes
        Its first bytes, decompressed.

    Raises
    ------
    DataError
        With the name of the format and what to do.
    """
    kind = next((kind for kind in _KINDS if _is_kind(head, kind.magic)), None) or _other(head)
    if kind is not None:
        raise DataError(f"is {kind.name}", place=place, remedy=kind.remedy)


def _is_kind(head: bytes, magic: bytes) -> bool:
    """Return whether a file begins with magic bytes; letters, as in ORC, may also start a text."""
    # Binary files contain zero bytes, but a text such as "ORC,1,5" does not.
    return head.startswith(magic) and (b"\0" in head or not magic.isalnum())


def _other(head: bytes) -> _Kind | None:
    """Recognize the formats that have no constant bytes at the start."""
    if head[_TAR_MAGIC] == b"ustar":
        return _Kind(b"", "a tar archive", "extract it with: tar -xf FILE")
    if head[_DUCKDB_MAGIC] == b"DUCK":
        return _Kind(b"", "a DuckDB database", "export a table with: COPY ... TO 'ratings.parquet'")
    if _PICKLE.match(head):
        return _Kind(b"", "a Python pickle, which mfcli does not open", IN_PYTHON)
    if _MARKUP.match(head):
        return _Kind(b"", "a web page (HTML), not the data itself", "download the file again")
    if _XML.match(head):
        return _Kind(b"", "an XML document", AS_CSV)
    return next((kind for pattern, kind in _TEXTS if pattern.match(head)), None)
