"""Files of pairs that users have rated, and that are not recommended again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mfcli.data import (
    PAIRS,
    EmptyFileError,
    Layout,
    PairPiece,
    Ratings,
    SkippedRows,
    find_layout,
    open_sources,
    place_of,
    read_pairs,
    side_names,
    unknown_id,
)
from mfcli.errors import warn
from mfcli.model import Model
from mfcli.predict.list_reading import DEFAULT, ListReading
from mfcli.storage import check_memory
from mfcli.types import Progress

_BYTES = 16  # memory for each pair that is still needed: copies, while columns are made

_Pairs = NDArray[np.int32]  # rows of the model, shape (n, 2); -1 for an unknown id


def rated_pairs(
    model: Model,
    files: Sequence[Path | str],
    reading: ListReading = DEFAULT,
    *,
    threads: int = 1,
    on_progress: Progress = lambda done, total: None,
) -> Ratings:
    """Read the pairs that users have rated; the ratings themselves need not be in the files.

    Parameters
    ----------
    model : Model
    files : sequence of Path or str
        As for `read_ratings`; a file may be empty.
    reading : ListReading
    threads : int
    on_progress : callable, optional
        Called with the bytes read so far and the bytes of a file.

    Returns
    -------
    Ratings
        In the rows of the model; ratings of zero stand for any.

    Warns
    -----
    MfcliWarning
        If some pairs are not in the model, or rows are invalid and skipped.

    Raises
    ------
    DataError
        If a file cannot be read, or, without ``reading.skip``, for the first row that is no pair.
    UnknownIdError
        With ``reading.strict``, for the first unknown id.
    """
    pairs = [np.empty((0, len(PAIRS)), np.int32)]
    pairs += [
        _known_pairs(model, layout, reading, threads, on_progress)
        for layout in _layouts(files, reading)
    ]
    user, item = np.concatenate(pairs).T
    rating = np.zeros(len(user), np.float32)
    return Ratings(user.copy(), item.copy(), rating, None, model.users, model.items)


def _layouts(names: Sequence[Path | str], reading: ListReading) -> Iterator[Layout]:
    """Yield the layouts of files that are not empty, which exist until the next one."""
    aliases = side_names(reading.names)
    for name in names:
        # A part of a folder may be empty, too.
        with suppress(EmptyFileError), open_sources([name], reading.encoding) as files:
            for file in files:
                with suppress(EmptyFileError):
                    yield find_layout(file, reading.columns, needed=PAIRS, aliases=aliases)


def _known_pairs(
    model: Model, layout: Layout, reading: ListReading, threads: int, on_progress: Progress
) -> _Pairs:
    total, unknown, invalid = layout.file.bytes, _Unknown(layout), SkippedRows(layout.place)
    pairs = read_pairs(
        layout,
        lambda piece: _Found(piece, model),
        whole=False,
        threads=threads,
        on_fault=invalid if reading.skip else None,
    )
    known = [np.empty((0, len(PAIRS)), np.int32)]
    for found, position in pairs:
        known.append(unknown.omitted(found, reading.strict))
        _check_memory(layout, unknown.read)
        on_progress(min(position, total), total)
    invalid.warn()
    unknown.warn()
    return np.concatenate(known)


def _check_memory(layout: Layout, pairs: int) -> None:
    """Refuse a file whose pairs do not fit in memory: unlike a split, they are not on disk."""
    check_memory(pairs * _BYTES, f"reading {layout.file}", "put its ratings into the split")


class _Found:
    """The rows of the pairs of a piece."""

    def __init__(self, piece: PairPiece, model: Model) -> None:
        self._piece, self._model = piece, model
        self.rows = np.column_stack([model.users.rows(piece.user), model.items.rows(piece.item)])

    def __len__(self) -> int:
        return len(self.rows)

    def shown(self, row: int) -> str:
        return f"user {self._piece.user[row].as_py()!r}, item {self._piece.item[row].as_py()!r}"

    def error(self, row: int, place: str) -> Exception:
        role = "user" if self.rows[row, 0] < 0 else "item"
        vocabulary = self._model.users if role == "user" else self._model.items
        return unknown_id(vocabulary, getattr(self._piece, role)[row].as_py(), role, place)


@dataclass
class _Unknown:
    """Counts the pairs of a file with an unknown id."""

    layout: Layout
    read: int = 0
    count: int = 0
    first: str = ""

    def omitted(self, found: _Found, strict: bool) -> _Pairs:
        """Return the other pairs of a piece."""
        unknown = (found.rows < 0).any(axis=1)
        if unknown.any():
            row = int(np.argmax(unknown))
            if strict:
                raise found.error(row, place_of(self.layout, self.read + row))
            self.first = self.first or found.shown(row)
        self.read, self.count = self.read + len(found), self.count + int(unknown.sum())
        return found.rows[~unknown]

    def warn(self) -> None:
        if self.count:
            pairs = f"{self.count:,} of {self.read:,} pairs"
            rule = f"{pairs} have a user or an item that the model does not know, and are skipped"
            warn(f"{rule}; the first is {self.first}", place=self.layout.file)
