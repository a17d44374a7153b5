"""The separator of the fields of a text, found in its first lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

from mfcli.data.formats.numbers import is_number
from mfcli.errors import DataError, Param

COLONS = "::"
"""Separates the fields of MovieLens `ratings.dat`; quotes are not special."""

SPACES = " "
"""Stands for any number of spaces and tabs."""

_SINGLE = ("\t", ",", ";", "|")  # of equal numbers of fields, the first is used
_WORD = re.compile(r'"(?:[^"]|"")*"(?![^ \t\r\n])|[^ \t\r\n]+')
_DECIMAL = re.compile(r"[-+]?\d+,\d+")


def find_separator(place: object, lines: Sequence[str], decimal: str, least: int) -> str:
    """Return the separator that splits the first lines of a text into equally many fields.

    Parameters
    ----------
    place : object
        The file, for messages.
    lines : sequence of str
        The header, if there is one, and some rows; at least one line.
    decimal : str
        Decimal mark. A comma separates only if numbers with a decimal comma are in quotes.
    least : int
        Number of fields that are needed.

    Returns
    -------
    str
        The one with the most fields. If no separator is consistent, some row is invalid; then the
        first line decides.

    Raises
    ------
    DataError
        If the only separator is the decimal mark too.
    """
    candidates = (COLONS, *_SINGLE)
    widths = {one: [len(row) for row in split_lines(lines, one, True)] for one in candidates}
    even = [one for one in candidates if widths[one][0] >= least and len({*widths[one]}) == 1]
    # 1,5 is one number or two fields.
    if decimal in even and not _separates(lines, decimal):
        even.remove(decimal)
        if not even:
            raise DataError(
                "has commas between its fields, so they cannot be decimal marks too",
                place=place,
                remedy=["put the numbers in quotes, or omit ", Param("decimal", decimal)],
            )
    first = {one: widths[one][0] for one in even or candidates if even or one != decimal}
    if max(first.values()) < least and _is_spaced(lines, least):
        return SPACES
    return max(first, key=first.__getitem__)


def split_lines(lines: Sequence[str], separator: str, spaced: bool = False) -> list[list[str]]:
    """Split lines into fields; quotes are special unless the separator is `COLONS`.

    Parameters
    ----------
    lines : sequence of str
    separator : str
    spaced : bool
        Whether spaces before a quote are not part of the field.
    """
    if separator == COLONS:
        return [line.split(COLONS) for line in lines]  # `csv` takes single characters only
    if separator == SPACES:
        return [split_words(line) for line in lines]
    return list(csv.reader(lines, delimiter=separator, skipinitialspace=spaced))


def split_words(line: str) -> list[str]:
    """Split a line at spaces and tabs; a word in quotes may contain spaces."""
    words = _WORD.findall(line)
    return [word[1:-1].replace('""', '"') if word[0] == '"' == word[-1] else word for word in words]


def has_spaces_after(lines: Sequence[str], separator: str) -> bool:
    """Return whether a space follows every separator in all rows of a text.

    The spaces are then not part of the fields. The header may be written without them.
    """
    if separator == SPACES:
        return False
    # Without regard to quotes: a quoted separator without a space only makes the answer no.
    rows = [line.split(separator)[1:] for line in lines[1:] or lines]
    return all(fields and all(field[:1] == " " for field in fields) for fields in rows)


def _separates(lines: Sequence[str], mark: str) -> bool:
    """Return whether a decimal mark separates fields: numbers are in quotes, or there are names."""
    rows = split_lines(lines, mark, True)
    quoted = any(_DECIMAL.fullmatch(field.strip()) for row in rows for field in row)
    return quoted or not any(is_number(field, mark) for field in rows[0])


def _is_spaced(lines: Sequence[str], least: int) -> bool:
    """Return whether spaces split all lines into equally many words, each of them one field."""
    rows = [split_words(line) for line in lines]
    if len(rows[0]) < least or len({len(words) for words in rows}) > 1:
        return False
    return all(
        _DECIMAL.fullmatch(word) or not any(mark in word for mark in _SINGLE)
        for words in rows
        for word in words
    )
