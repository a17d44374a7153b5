"""Splits with changes that are not applied yet: columns are made piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Ratings, Scale, Source, Vocabulary
from mfcli.splits.changes import Changes
from mfcli.splits.copies import filled
from mfcli.splits.parts import Split, split_of
from mfcli.types import Counts

VALUES = ("rating", "timestamp", "weight")
"""The columns of what is known about a pair."""

_PIECE = 1 << 20  # ratings in a piece that is copied


@dataclass(frozen=True)
class RevisedPart:
    """A part of a split in which some ratings are replaced, and to which others are appended.

    Attributes
    ----------
    part : Ratings
        Of the older split.
    rows : int64 array, shape (n,)
        Positions of the ratings that are replaced, ascending.
    again : Ratings
        What replaces them.
    new : Ratings
        What is appended; `new` and `again` have the same columns as `part`.
    users, items : Vocabulary
    """

    part: Ratings
    rows: Counts
    again: Ratings
    new: Ratings
    users: Vocabulary
    items: Vocabulary

    def __len__(self) -> int:
        return len(self.part) + len(self.new)

    @property
    def types(self) -> dict[str, np.dtype[Any]]:
        """As in `Ratings`."""
        return self.part.types

    def pieces(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield a column piece by piece; the memory of a piece is used again for the next one."""
        column = getattr(self.part, name)
        if name in VALUES and len(self.rows):
            yield from self._replaced(column, getattr(self.again, name))
        else:
            yield np.ascontiguousarray(column)
        if len(self.new):
            yield np.ascontiguousarray(getattr(self.new, name))

    def _replaced(self, column: NDArray[Any], values: NDArray[Any]) -> Iterator[NDArray[Any]]:
        memory = np.empty(_PIECE, column.dtype)
        for start in range(0, len(column), _PIECE):
            piece = memory[: len(column) - start]
            piece[:] = column[start : start + _PIECE]
            some = slice(*np.searchsorted(self.rows, [start, start + _PIECE]))
            piece[self.rows[some] - start] = values[some]
            yield piece

    def column(self, name: str) -> NDArray[Any]:
        """Return a column as a new array."""
        return filled(len(self), self.types[name], self.pieces(name))

    def taken(self) -> Ratings:
        """Copy the ratings."""
        columns: dict[str, Any] = {name: self.column(name) for name in self.types}
        return replace(self.part, **columns, users=self.users, items=self.items)


@dataclass(frozen=True)
class Revision:
    """A split that is made of an older one.

    Attributes
    ----------
    parts : dict of RevisedPart
        With vocabularies that count the training ratings only.
    older : Split
    scale, updates
        As in `Split`.
    """

    parts: dict[str, RevisedPart]
    older: Split
    scale: Scale
    updates: tuple[Changes, ...]

    @property
    def train(self) -> RevisedPart:
        return self.parts["train"]

    @property
    def strategy(self) -> dict[str, Any]:
        """As in `Split`."""
        return self.older.strategy

    @property
    def source(self) -> Source | None:
        """As in `Split`."""
        return self.older.source

    @property
    def feedback(self) -> str:
        """As in `Ratings`."""
        return self.older.feedback

    @property
    def parent(self) -> str:
        """As in `Split`."""
        return self.older.hash

    def given(self, names: Iterable[str]) -> Ratings:
        """Return the ratings that the revision brings to some parts: replaced and new ones."""
        ratings = [one for name in names for one in (self.parts[name].again, self.parts[name].new)]
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(one, name) for one in ratings])
            for name in self.train.types
        }
        return replace(ratings[0], **columns, users=self.train.users, items=self.train.items)

    def split(self) -> Split:
        """Copy the parts."""
        taken = {name: part.taken() for name, part in self.parts.items()}
        return split_of(
            taken,
            scale=self.scale,
            strategy=self.strategy,
            source=self.source,
            parent=self.parent,
            updates=self.updates,
        )
