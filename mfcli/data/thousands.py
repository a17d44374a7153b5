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


class Thousands:
    """Checks that the decimal marks of a text do not separate thousands.

    They may do so if three digits follow each mark, and some ratings have no mark.

    Parameters
    ----------
    layout : Layout
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        # Whether all fractions have at most three digits and belong to numbers above 1
        self._possible = layout.format == "text"
        self._has_fraction = self._has_whole = False

    def add(self, ratings: Floats) -> None:
        """Add ratings, as read with the decimal mark of the layout.

        Parameters
        ----------
        ratings : float32 array, shape (n,)
        """
        for start in range(0, len(ratings), _SLICE):  # the first ratings usually decide
            if not self._possible:
                return
            part = ratings[start : start + _SLICE]
            values = np.abs(part[part != np.floor(part)]).astype(np.float64)
            thousands = values * 1000
            is_exact = np.abs(thousands - np.rint(thousands)) <= thousands * _TOLERANCE
            self._possible = bool((is_exact & (values > 1)).all())
            self._has_fraction |= len(values) > 0
            self._has_whole |= len(values) < len(part)

    def check(self) -> None:
        """Check all ratings.

        Raises
        ------
        DataError
            If the mark is a comma, which spreadsheets use for both.
        """
        if self._possible and self._has_fraction and self._has_whole:
            example = _example(self._layout)
            if example is not None:
                _report(self._layout, example)


def _report(layout: Layout, example: str) -> None:
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
