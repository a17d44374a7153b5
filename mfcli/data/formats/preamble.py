"""The lines before the header or the first row of a text: blank lines, comments, `sep=;`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from mfcli.data.formats.encodings import guess_remedy
from mfcli.data.formats.numbers import is_number
from mfcli.data.formats.separators import SPACES, split_lines
from mfcli.data.sources import HEAD, EmptyFileError, File
from mfcli.errors import DataError

COMMENT_MARKS = ("#", "%", "//")
"""Characters that begin a comment at the start of a line."""

_LINES = 50  # in which the separator is looked for
_ROWS = 1000  # in which an index and other layouts are looked for
_BREAK = re.compile(r"\r\n|\r|\n")
_MARK = re.compile(r"[#%/\s]+")
_SEP = re.compile(r'"?sep=(.|\\t)"?', re.IGNORECASE)
_MATRIX = re.compile(r"%%MatrixMarket\s+matrix\s+(\S+)\s+(\S+)\s+(\S+)", re.IGNORECASE)
_SIZE = re.compile(r"[0-9]{1,18}")
_KONECT = re.compile(r"%\s*(?:sym|asym|bip)\s")
_WORDS = re.compile(r"[\s,;|]+")


@dataclass(frozen=True)
class Preamble:
    """The lines of a text before its header or first row, and the first rows.

    Attributes
    ----------
    skip : int
        Number of lines.
    lines : list of str
        Up to 50 lines after it that are not blank; at least one.
    rows : list of str
        As `lines`, but up to 1,000.
    separator : str
        The separator that it names; empty if it names none.
    comments : dict of str
        Its comments, without their marks, by line number from 1.
    entries : int, optional
        The number of rows, if the text is a matrix in the format of Matrix Market, which has no
        header.
    """

    skip: int
    lines: list[str]
    rows: list[str]
    separator: str
    comments: dict[int, str]
    entries: int | None

    def header(self, separator: str) -> list[str]:
        """Return the last comment as column names; empty if it has another number of words."""
        comment = next(reversed(self.comments.values()), "")
        for names in (split_lines([comment], separator)[0], _WORDS.split(comment)):
            if len(names) == self._width(separator):
                return [name.strip() for name in names]
        return []

    def like_rows(self, separator: str) -> Iterator[tuple[int, list[str]]]:
        """Yield the lines and fields of the comments that have as many fields as the first row."""
        for line, comment in self.comments.items():
            fields = split_lines([comment], separator)[0]
            if len(fields) == self._width(separator):
                yield line, fields

    def _width(self, separator: str) -> int:
        return len(split_lines(self.lines[:1], separator)[0])


def read_preamble(file: File, head: bytes) -> Preamble:
    """Find the first row of a text.

    Parameters
    ----------
    file : File
        For messages.
    head : bytes
        The first bytes of the text.

    Raises
    ------
    DataError
        If the text is empty, not UTF-8, or a matrix without a list of ratings.
    """
    if b"\0" in head:  # UTF-16 has been converted before
        raise DataError(
            "is not a text file of ratings", place=file, remedy="provide CSV, TSV or Parquet"
        )
    # Invalid bytes become surrogates, for which `_check_rows` suggests an encoding.
    lines = _BREAK.split(head.decode(errors="surrogateescape"))
    # A mark is also found within a text, if files were joined.
    lines = [line.lstrip("\ufeff") for line in lines]
    if len(lines) > 1 and len(head) >= HEAD:
        lines.pop()  # it may be cut off
    matrix = _MATRIX.match(lines[0])
    skip, separator = 0, ""
    comments: dict[int, str] = {}
    for line in lines:
        found = _SEP.fullmatch(line) if not separator else None
        if found:
            separator = found[1].replace("\\t", "\t")
        elif line.startswith(COMMENT_MARKS):
            comments[skip + 1] = _MARK.sub("", line, count=1).rstrip()
        elif line.strip():
            break
        skip += 1
    entries = None
    if matrix:
        entries = _entries(file, matrix, lines[skip:])
        skip += 1  # the line of sizes
    rows = [line for line in lines[skip : skip + _ROWS] if line.strip()]
    if matrix or (_KONECT.match(lines[0]) and _are_numbers(rows[:_LINES])):
        separator = SPACES  # by definition of these formats
    _check_rows(file, skip, rows, comments)
    return Preamble(skip, rows[:_LINES], rows, separator, comments, entries)


def _check_rows(file: File, skip: int, rows: Sequence[str], comments: Collection[int]) -> None:
    if not rows:
        if comments:
            remedy = "if they are ratings, write a line with the column names before them"
            raise DataError("holds only comments", place=file, remedy=remedy)
        raise EmptyFileError(file)
    try:
        rows[0].encode()
    except UnicodeEncodeError as error:
        raw = rows[0].encode(errors="surrogateescape")
        shown = f"must be UTF-8 text (byte 0x{ord(rows[0][error.start]) - 0xDC00:02X})"
        place = f"{file}:{skip + 1}"
        raise DataError(shown, place=place, remedy=guess_remedy(raw)) from None


def _are_numbers(rows: Sequence[str]) -> bool:
    """Return whether all words of some rows are numbers."""
    return all(is_number(word, ".") for row in rows for word in row.split())


def _entries(file: File, found: re.Match[str], rest: Sequence[str]) -> int:
    """Return the number of entries of a matrix; refuse one that does not list users and items."""
    kind, field, symmetry = (word.lower() for word in found.groups())
    is_list = kind == "coordinate" and field in ("real", "integer", "double", "pattern")
    if not is_list or symmetry != "general":
        raise DataError(
            f"is not a list of ratings, but a matrix of the kind '{kind} {field} {symmetry}'",
            place=file,
            remedy="write it as 'coordinate real general'",
        )
    size = rest[0].split() if rest else []
    if len(size) != 3 or not all(map(_SIZE.fullmatch, size)):
        raise DataError(
            "must give the number of rows, columns and entries of the matrix",
            place=file,
            remedy="write the matrix again",
        )
    return int(size[2])
