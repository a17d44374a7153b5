"""Where the files of a split hold the ratings of its parts."""

from __future__ import annotations

from typing import NamedTuple


class Extent(NamedTuple):
    """Consecutive ratings of a file.

    Attributes
    ----------
    file : str
        Path of the file, relative to the address of the split.
    start, stop : int
        Its ratings `start` to ``stop - 1``, counted from 0.
    """

    file: str
    start: int
    stop: int
