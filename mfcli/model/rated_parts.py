"""What users have rated, in the rows of a model, read piece by piece as often as needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Ratings, Vocabulary
from mfcli.types import Mask, Rows

TYPES = {
    "user": np.dtype(np.int32),
    "item": np.dtype(np.int32),
    "rating": np.dtype(np.float32),
    "weight": np.dtype(np.float32),
}
"""The types of the columns."""

Pieces: TypeAlias = Iterator[tuple[NDArray[Any], ...]]


class RatingPieces(Protocol):
    """Ratings in the rows of a model, read piece by piece."""

    @property
    def size(self) -> int:
        """Number of users of the model."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of their columns: "user", "item", "rating" and, perhaps, "weight"."""

    def pieces(self, *names: str) -> Pieces:
        """Yield columns piece by piece; -1 stands for an unknown user or item."""


@dataclass(frozen=True)
class RatedParts:
    """Ratings in several parts, such as those of a split.

    Attributes
    ----------
    parts : sequence of Ratings
        With any vocabularies; ids are matched.
    users, items : Vocabulary
        Of the model.
    """

    parts: Sequence[Ratings]
    users: Vocabulary
    items: Vocabulary

    @classmethod
    def of(cls, first: Ratings, *others: Ratings) -> RatedParts:
        """Return ratings in the rows of the first part."""
        return cls((first, *others), first.users, first.items)

    @property
    def size(self) -> int:
        """As in `RatingPieces`."""
        return len(self.users)

    @property
    def names(self) -> tuple[str, ...]:
        """As in `RatingPieces`: "weight" if a part has weights; others count equally."""
        weighted = any(part.weight is not None for part in self.parts)
        return ("user", "item", "rating", *(["weight"] if weighted else []))

    def pieces(self, *names: str) -> Pieces:
        """As in `RatingPieces`."""
        for part in self.parts:
            rows = {
                "user": _rows(part.users, self.users),
                "item": _rows(part.items, self.items),
            }
            yield from zip(*(_pieces(part, name, rows.get(name)) for name in names), strict=True)


def _rows(own: Vocabulary, others: Vocabulary) -> Rows | None:
    """Return the rows of ids in another vocabulary; None if both have the same ids."""
    return None if own.ids.equals(others.ids) else others.rows(own.ids)


def _pieces(part: Ratings, name: str, rows: Rows | None) -> Iterator[NDArray[Any]]:
    if name == "weight" and part.weight is None:
        return (np.ones(len(piece), np.float32) for piece in part.pieces("rating"))
    if rows is None:
        return part.pieces(name)
    known = np.append(rows, np.int32(-1))  # the last one is that of the row -1
    return (known[piece] for piece in part.pieces(name))


def of_users(ratings: RatingPieces, position: Rows, chosen: Mask | None = None) -> dict[str, Any]:
    """Copy the ratings of some users.

    Parameters
    ----------
    ratings : RatingPieces
    position : int32 array, shape (n_users,)
        The new row of each user; -1 for a user to leave out.
    chosen : bool array, shape (n_items,), optional
        The items to take; by default all.

    Returns
    -------
    dict of arrays
        The columns, by name; without ratings that have an unknown user or item.
    """
    found: dict[str, list[NDArray[Any]]] = {name: [] for name in ratings.names}
    position = np.append(position, np.int32(-1))  # the last one is that of the row -1
    for piece in ratings.pieces(*found):
        columns = dict(zip(found, piece, strict=True))
        columns["user"] = position[columns["user"]]
        kept = (columns["user"] >= 0) & (columns["item"] >= 0)
        if chosen is not None:
            kept &= chosen[columns["item"]]
        for name, column in columns.items():
            found[name].append(column[kept])
    return {name: np.concatenate([np.empty(0, TYPES[name]), *c]) for name, c in found.items()}
