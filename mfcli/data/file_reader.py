"""Reads files of known layouts, with the checks that need all of their ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from mfcli.data.faults import Fault, Rejects
from mfcli.data.formats.layout import Layout
from mfcli.data.overflow import Overflow
from mfcli.data.parsed_ratings import rating_pieces
from mfcli.data.rating_pieces import Collected, Collector
from mfcli.data.row_places import place_of
from mfcli.data.suspicious_ids import warn_of_ids
from mfcli.data.thousands import Thousands
from mfcli.errors import DataError, Param, Text
from mfcli.storage import trim_memory
from mfcli.types import Progress

NO_RATING = "holds no rating, only a header"


@dataclass
class FileReader:
    """Reads files of known layouts.

    Attributes
    ----------
    layouts : list of Layout
    rejects : Rejects, optional
        Collects invalid rows; without it the first one is an error.
    rows : list of int
        Number of ratings read from each file.
    """

    layouts: list[Layout]
    rejects: Rejects | None

    def __post_init__(self) -> None:
        self.rows = [0] * len(self.layouts)

    def read(self, on_progress: Progress, overflow: Overflow | None) -> Collected:
        """Read and check all ratings."""
        collector = Collector(overflow)
        thousands = [Thousands(layout) for layout in self.layouts]
        total, before = sum(layout.file.bytes for layout in self.layouts), 0
        for number, layout in enumerate(self.layouts):
            on_fault = partial(self._on_fault, layout)
            skipped = self._skipped()
            for piece, position in rating_pieces(layout, on_fault):
                # The strict reader counts the bytes that it writes, which may be more.
                done = min(before + position, total)
                collector.add(piece, done / total)
                thousands[number].add(piece.rating)
                self.rows[number] += len(piece)
                on_progress(done, total)
            before += layout.file.bytes
            _check_complete(layout, self.rows[number] + self._skipped() - skipped)
        if not sum(self.rows):
            rule = "holds no valid rating" if self._skipped() else NO_RATING
            raise DataError(rule, place=self.layouts[0].file)
        # Arrow keeps the memory of its pieces, which merging would need.
        pa.default_memory_pool().release_unused()
        trim_memory()
        collected = collector.collected(self.layouts[0].file, self.place)
        for each in thousands:
            each.check()
        self._warn_of_ids(collected)
        return collected

    def _skipped(self) -> int:
        return self.rejects.counts.total() if self.rejects else 0

    def _warn_of_ids(self, collected: Collected) -> None:
        first = self.layouts[0]
        for role, ids in (("user", collected.users), ("item", collected.items)):
            starts_lines = first.format == "text" and first.columns[role] == 0
            warn_of_ids(first.file, role, ids, starts_lines=starts_lines)

    def place(self, row: int) -> str:
        """Return the file and line of a rating, given its position from 0."""
        # The file is the first one whose rows end after this row.
        number = int(np.searchsorted(np.cumsum(self.rows), row, side="right"))
        return place_of(self.layouts[number], row - sum(self.rows[:number]))

    def _on_fault(self, layout: Layout, line: int, fault: Fault, fields: Sequence[str]) -> None:
        if self.rejects is None:
            remedy: Text = ["skip invalid rows with ", Param("on_bad_row", "skip")]
            raise fault.error(layout.place(line), remedy)
        self.rejects.add(layout.file, line, fault, (layout.separator or ",").join(fields))


def _check_complete(layout: Layout, rows: int) -> None:
    """Refuse a text with another number of rows than it states."""
    if layout.rows is not None and rows != layout.rows:
        raise DataError(
            f"states {layout.rows:,} entries, but {rows:,} follow",
            place=layout.place(layout.skip),
            remedy="get the file again if it is cut off; otherwise correct the number",
        )
