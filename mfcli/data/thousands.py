"""Distinguish decimal marks from thousands separators in ratings such as 1,234 and 1.234."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfcli.data.formats.layout import Layout
from mfcli.data.formats.numbers import thousands_pattern
from mfcli.data.formats.strict_text import column_texts
from mfcli.data.formats.text import Refused, text_pieces
from mfcli.errors import DataError, warn
from mfcli.types import Floats

_TOLERANCE = 1e-6  # relative, of float32
_SLICE = 1 << 16  # ratings
_NAMES = {",": "comma", ".": "point"}


def check_thousands(layout: Layout, ratings: Floats) -> None:
    """Check that the decimal marks of a text do not separate thousands.

    They may do so if three digits follow each mark, and some ratings have no mark.

    Parameters
    ----------
    layout : Layout
    ratings : float32 array, shape (n,)
        As read with the decimal mark of the layout.

    Raises
    ------
    DataError
        If the mark is a comma, which spreadsheets use for both.
    """
    if layout.format != "text" or not _may_be_thousands(ratings):
        return
    example = _example(layout)
    if example is None:
        return
    mark = _NAMES[layout.decimal]
    rule = f"has three digits after every {mark} in the ratings, which may separate thousands"
    if layout.decimal == ",":
        raise DataError(
            rule,
            place=layout.file,
            value=example,
            remedy=f"write thousands without commas{_sed(layout, '')}, or decimals with a point"
            f"{_sed(layout, '.')}",
        )
    warn(
        f"{rule}; they are read as decimals",
        place=layout.file,
        value=example,
        remedy="write thousands without points",
    )


def _sed(layout: Layout, mark: str) -> str:
    """Return a command that replaces all commas, unless they also separate fields."""
    return "" if layout.separator == "," else f" (sed 's/,/{mark}/g')"


def _may_be_thousands(ratings: Floats) -> bool:
    """Return whether all fractions have at most three digits and belong to numbers above 1."""
    has_fraction = has_whole = False
    for start in range(0, len(ratings), _SLICE):  # the first ratings usually decide
        part = ratings[start : start + _SLICE]
        values = np.abs(part[part != np.floor(part)]).astype(np.float64)
        thousands = values * 1000
        is_exact = np.abs(thousands - np.rint(thousands)) <= thousands * _TOLERANCE
        if not (is_exact & (values > 1)).all():
            return False
        has_fraction |= len(values) > 0
        has_whole |= len(values) < len(part)
    return has_fraction and has_whole


def _example(layout: Layout) -> str | None:
    """Return a rating that may be in thousands; None if one is certainly a decimal."""
    pattern = thousands_pattern(layout.decimal)
    example = None
    # The numbers no longer tell 1.5 from 1.500, so the texts are read again; few files get here.
    for texts in _texts(layout):
        marked = texts.filter(pc.match_substring(texts, layout.decimal))
        fits = pc.match_substring_regex(marked, pattern)
        if not pc.all(fits, min_count=0).as_py():
            return None
        if example is None and len(marked):
            example = marked[0].as_py()
    return example


def _texts(layout: Layout) -> Iterator[pa.Array]:
    """Yield the ratings as they are written."""
    column = layout.columns["rating"]
    try:
        for piece, _ in text_pieces(layout):
            yield piece.parse({column: pa.string()})[column]
    except Refused:
        yield from column_texts(layout, column)
