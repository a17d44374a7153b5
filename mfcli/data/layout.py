"""How a ratings file is laid out: separator, header and which column is what."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mfcli.data.sources import File
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
_PARQUET = b"PAR1"
_SEPARATORS = ("\t", ",", ";")


@dataclass(frozen=True)
class Layout:
    """How to read one ratings file.

    Attributes
    ----------
    file : File
    format : str
        "parquet" or "text".
    separator : str
        Of the fields of a text: tab, comma, semicolon or "::".
    decimal : str
        Point or comma.
    header : bool
        Whether the first line that is not blank names the columns.
    skip : int
        Lines before the first rating.
    names : list of str
        All columns of the file; "1", "2", ... where it has no header.
    columns : dict of int
        The position of user, item, rating and, if there is one, timestamp.
    """

    file: File
    format: str
    separator: str
    decimal: str
    header: bool
    skip: int
    names: list[str]
    columns: dict[str, int]

    def __str__(self) -> str:
        if self.format == "parquet":
            return "parquet"
        header = "header" if self.header else "no header"
        packed = f"{self.file.compression} " if self.file.compression else ""
        return f"{packed}text, separator {self.separator!r}, {header}"


RATINGS = ("user", "item", "rating")
PAIRS = ("user", "item")
"""The columns that files of ratings, and of pairs to be rated, must have."""


def find_layout(
    file: File,
    chosen: Mapping[str, str] | None = None,
    decimal: str = ".",
    needed: tuple[str, ...] = RATINGS,
) -> Layout:
    """Look at the start of a ratings file.

    Parameters
    ----------
    file : File
        CSV, TSV, MovieLens `u.data` or `ratings.dat`, or Parquet.
    chosen : mapping of str, optional
        Names of columns for some of user, item, rating and timestamp; an empty timestamp leaves
        times out.
    decimal : str
        Decimal mark of a text.
    needed : tuple of str
        `RATINGS`, or `PAIRS` for users and items alone, where a text has a header only if it
        names a known or chosen column.

    Raises
    ------
    DataError
        If the file is empty, neither text nor Parquet, or lacks a column.
    """
    with file.reading() as (stream, _):
        head = stream.read(_HEAD)
    if head[:4] == _PARQUET:
        names = _parquet_names(file)
        columns = _columns(file, names, chosen, needed)
        return Layout(file, "parquet", "", ".", True, 0, names, columns)
    blank, line = _first_line(file, head)
    separator = _separator(line, decimal)
    fields = [field.strip() for field in split_line(line, separator)]
    header = _names_columns(fields, chosen) or (
        needed == RATINGS and not _is_rating(fields, decimal)
    )
    names = fields if header else [str(position + 1) for position in range(len(fields))]
    find = _columns if header else _positions
    columns = find(file, names, chosen, needed)
    return Layout(file, "text", separator, decimal, header, blank + header, names, columns)


def split_line(line: str, separator: str) -> list[str]:
    """Split one line into fields, quotes respected unless the separator is "::"."""
    if separator == "::":
        return line.split("::")
    return next(csv.reader([line], delimiter=separator), [])


def _first_line(file: File, head: bytes) -> tuple[int, str]:
    """Return the first line that is not blank, and how many come before it."""
    if b"\0" in head:
        raise DataError(f"{file}: is not a text file of ratings; CSV, TSV or Parquet is needed")
    lines = head.decode("utf-8-sig", errors="replace").splitlines()
    blank, line = next(((n, line) for n, line in enumerate(lines) if line.strip()), (0, ""))
    if "\N{REPLACEMENT CHARACTER}" in line:
        raise DataError(f"{file}:{blank + 1}: must be UTF-8 text; convert it, as with iconv")
    if not line:
        raise DataError(f"{file}: is empty; a line for each rating is needed")
    return blank, line


def _separator(line: str, decimal: str) -> str:
    if "::" in line:
        return "::"
    candidates = [separator for separator in _SEPARATORS if separator != decimal]
    return max(candidates, key=lambda separator: len(split_line(line, separator)))


def _names_columns(fields: Sequence[str], chosen: Mapping[str, str] | None) -> bool:
    known = {alias for aliases in ALIASES.values() for alias in aliases}
    known.update(name.lower() for name in (chosen or {}).values() if not name.isdigit())
    return bool(known.intersection(field.lower() for field in fields))


def _is_rating(fields: Sequence[str], decimal: str) -> bool:
    """Whether the third field of a first line is a rating, so that the line is no header."""
    return len(fields) >= 3 and is_number(fields[2], decimal)


def is_number(text: str, decimal: str) -> bool:
    """Whether a text can be read as a number, NaN and infinity included."""
    try:
        float(text.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _parquet_names(file: File) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(file.path).names)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{file}: is a damaged Parquet file ({error}); get it anew") from error


def _columns(
    file: File, names: list[str], chosen: Mapping[str, str] | None, needed: tuple[str, ...]
) -> dict[str, int]:
    lower = [name.lower() for name in names]
    columns = {}
    roles = ALIASES if needed == RATINGS else needed
    for role in roles:
        aliases, wanted = ALIASES[role], (chosen or {}).get(role)
        if wanted is not None:
            aliases = (wanted.lower(),)
        found = [lower.index(alias) for alias in aliases if alias in lower]
        if found and wanted not in names and lower.count(lower[found[0]]) > 1:
            raise DataError(
                f"{file}: has several columns {names[found[0]]!r}; choose with {OPTIONS[role]}"
            )
        if found:
            columns[role] = names.index(wanted) if wanted in names else found[0]
        elif role != "timestamp" or wanted:
            raise DataError(_missing(file, role, wanted, names))
    return columns


def _positions(
    file: File, names: list[str], chosen: Mapping[str, str] | None, needed: tuple[str, ...]
) -> dict[str, int]:
    defaults = dict(zip(ALIASES, names, strict=False)) | dict(chosen or {})
    if len(names) < len(needed):
        fields = f"{len(needed)} fields ({', '.join(needed)})"
        raise DataError(f"{file}:1: must have {fields}, got {len(names)}")
    return _columns(file, names, {"timestamp": ""} | defaults, needed)


def _missing(file: File, role: str, wanted: str | None, names: list[str]) -> str:
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    sought = f"column {wanted!r}" if wanted else f"{role} column"
    return f"{file}: has no {sought}; its columns are {shown}; choose with {OPTIONS[role]}"
