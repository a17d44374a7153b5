"""How a ratings file is laid out: compression, separator, header and which column is what."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

from mfcli.errors import DataError

ALIASES: dict[str, tuple[str, ...]] = {
    "user": ("userid", "user_id", "user", "uid"),
    "item": ("movie_idx", "movieid", "item_id", "itemid", "item", "movie_id", "iid"),
    "rating": ("rating", "score"),
    "timestamp": ("timestamp", "ts"),
}
"""Names of each column, best first, in lower case."""

OPTIONS = {
    "user": "--user-col",
    "item": "--item-col",
    "rating": "--rating-col",
    "timestamp": "--time-col",
}

_HEAD = 1 << 16
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_SEPARATORS = ("\t", ",", ";")


@dataclass(frozen=True)
class Layout:
    """How to read one ratings file.

    Attributes
    ----------
    path : Path
    format : str
        "parquet" or "text".
    compressed : bool
        Whether the text is gzipped.
    separator : str
        Of the fields of a text: tab, comma, semicolon or "::".
    header : bool
        Whether the first line that is not blank names the columns.
    skip : int
        Lines before the first rating.
    names : list of str
        All columns of the file; "1", "2", ... where it has no header.
    columns : dict of int
        The position of user, item, rating and, if there is one, timestamp.
    """

    path: Path
    format: str
    compressed: bool
    separator: str
    header: bool
    skip: int
    names: list[str]
    columns: dict[str, int]

    def __str__(self) -> str:
        if self.format == "parquet":
            return "parquet"
        header = "header" if self.header else "no header"
        return f"{'gzipped ' * self.compressed}text, separator {self.separator!r}, {header}"


def find_layout(path: Path, chosen: Mapping[str, str] | None = None) -> Layout:
    """Look at the start of a ratings file.

    Parameters
    ----------
    path : Path
        CSV, TSV, MovieLens `u.data` or `ratings.dat`, gzip of any of them, or Parquet.
    chosen : mapping of str, optional
        Names of columns for some of user, item, rating and timestamp; an empty timestamp leaves
        times out.

    Raises
    ------
    DataError
        If the file is missing, empty, neither text nor Parquet, or lacks a column.
    """
    head = _head(path)
    if head[:4] == _PARQUET:
        names = _parquet_names(path)
        return Layout(path, "parquet", False, "", True, 0, names, _columns(path, names, chosen))
    compressed = head[:2] == _GZIP
    blank, line = _first_line(path, _unzipped_head(path) if compressed else head)
    separator = _separator(line)
    fields = [field.strip() for field in split_line(line, separator)]
    header = _is_header(fields, chosen)
    names = fields if header else [str(position + 1) for position in range(len(fields))]
    columns = _columns(path, names, chosen) if header else _positions(path, names, chosen)
    skip = blank + header
    return Layout(path, "text", compressed, separator, header, skip, names, columns)


def open_text(layout: Layout) -> TextIO:
    """Open a text for slow reading; bytes that are no UTF-8 become surrogates."""
    options: dict[str, Any] = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    opener = gzip.open if layout.compressed else open
    return cast(TextIO, opener(layout.path, "rt", **options))


def split_line(line: str, separator: str) -> list[str]:
    """Split one line into fields, quotes respected unless the separator is "::"."""
    if separator == "::":
        return line.split("::")
    return next(csv.reader([line], delimiter=separator), [])


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except IsADirectoryError:
        raise DataError(f"{path}: is a directory; name the ratings file in it") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not head.strip():
        raise DataError(f"{path}: is empty; a line for each rating is needed")
    return head


def _unzipped_head(path: Path) -> bytes:
    try:
        with gzip.open(path, "rb") as file:
            return file.read(_HEAD)
    except EOFError:
        # Short of the end, but its start may be readable: the reader will tell the whole story.
        return _unzipped_start(path)
    except (OSError, zlib.error) as error:
        raise damaged_gzip(path, error) from error


def _unzipped_start(path: Path) -> bytes:
    with path.open("rb") as file:
        start = zlib.decompressobj(wbits=31).decompress(file.read(_HEAD), _HEAD)
    if not start:
        raise damaged_gzip(path, EOFError("it ends early"))
    return start


def damaged_gzip(path: Path, error: Exception) -> DataError:
    """Say that the compressed data cannot be read to its end."""
    return DataError(f"{path}: its gzip data is truncated or damaged ({error}); get the file anew")


def _first_line(path: Path, head: bytes) -> tuple[int, str]:
    """Return the first line that is not blank, and how many come before it."""
    if b"\0" in head:
        raise DataError(f"{path}: is not a text file of ratings; CSV, TSV or Parquet is needed")
    lines = head.decode("utf-8-sig", errors="replace").splitlines()
    blank, line = next(((n, line) for n, line in enumerate(lines) if line.strip()), (0, ""))
    if "\N{REPLACEMENT CHARACTER}" in line:
        raise DataError(
            f"{path}:{blank + 1}: must be UTF-8 text; convert it, for instance with iconv"
        )
    if not line:
        raise DataError(f"{path}: is empty; a line for each rating is needed")
    return blank, line


def _separator(line: str) -> str:
    if "::" in line:
        return "::"
    return max(_SEPARATORS, key=lambda separator: len(split_line(line, separator)))


def _is_header(fields: Sequence[str], chosen: Mapping[str, str] | None) -> bool:
    """A header names a known or chosen column; else its third field would be a rating."""
    known = {alias for aliases in ALIASES.values() for alias in aliases}
    known.update(name.lower() for name in (chosen or {}).values() if not name.isdigit())
    if known.intersection(field.lower() for field in fields):
        return True
    return len(fields) < 3 or not is_number(fields[2])


def is_number(text: str) -> bool:
    """Whether a text can be read as a number, NaN and infinity included."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parquet_names(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: is a damaged Parquet file ({error}); get it anew") from error


def _columns(path: Path, names: list[str], chosen: Mapping[str, str] | None) -> dict[str, int]:
    lower = [name.lower() for name in names]
    columns = {}
    for role, aliases in ALIASES.items():
        wanted = (chosen or {}).get(role)
        if wanted is not None:
            aliases = (wanted.lower(),)
        found = [lower.index(alias) for alias in aliases if alias in lower]
        if found:
            columns[role] = names.index(wanted) if wanted in names else found[0]
        elif role != "timestamp" or wanted:
            raise DataError(_missing(path, role, wanted, names))
    return columns


def _positions(path: Path, names: list[str], chosen: Mapping[str, str] | None) -> dict[str, int]:
    defaults = dict(zip(ALIASES, names, strict=False)) | dict(chosen or {})
    if len(names) < 3:
        raise DataError(f"{path}:1: must have 3 fields (user, item, rating), got {len(names)}")
    return _columns(path, names, {"timestamp": ""} | defaults)


def _missing(path: Path, role: str, wanted: str | None, names: list[str]) -> str:
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    sought = f"column {wanted!r}" if wanted else f"{role} column"
    return f"{path}: has no {sought}; its columns are {shown}; choose with {OPTIONS[role]}"
