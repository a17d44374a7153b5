"""The ratings of each user in a split, found without a pass over all ratings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Ratings, Translation
from mfcli.errors import LimitError, Param
from mfcli.model import Model, grouped
from mfcli.splits import Split
from mfcli.types import Counts, Doubles, Rows

_MOST = np.iinfo(np.int32).max  # ratings of a part


@dataclass(frozen=True)
class RatingsByUser:
    """The ratings of a part of a split by user, in the rows of a model.

    The columns of a split stay on disk; only the order of the ratings is in memory.

    Attributes
    ----------
    part : Ratings
    starts : int64 array, shape (n_users + 1,)
    positions : int32 array, shape (n_ratings,)
        User u has the ratings ``positions[starts[u]:starts[u + 1]]`` of the part, in their order.
    item_of : Translation
        Turns items of the part into rows of the model.
    """

    part: Ratings
    starts: Counts
    positions: Rows
    item_of: Translation

    @classmethod
    def of(cls, part: Ratings, model: Model) -> RatingsByUser:
        """Sort the ratings of a part by user, in two passes.

        Raises
        ------
        LimitError
            If positions of so many ratings are no int32 values.
        """
        if len(part) > _MOST:
            rule = f"a part of the split has more than {_MOST:,} ratings"
            raise LimitError(rule, value=f"{len(part):,}", remedy=["use ", Param("split", None)])
        pieces = _Positions(part, Translation(part.users, model.users))
        starts, positions = grouped(pieces, len(model.users))
        return cls(part, starts, positions, Translation(part.items, model.items))

    def of_user(self, user: int) -> dict[str, NDArray[Any]]:
        """Return the columns of the ratings of a user, without items that the model lacks."""
        found = self.positions[self.starts[user] : self.starts[user + 1]]
        columns: dict[str, Any] = {"item": self.item_of(self.part.item[found])}
        names = [name for name in self.part.types if name not in ("user", "item")]
        columns |= {name: getattr(self.part, name)[found] for name in names}
        known = columns["item"] >= 0
        return {name: column[known] for name, column in columns.items()}


@dataclass(frozen=True)
class _Positions:
    """Users and positions of ratings, piece by piece, as often as needed."""

    part: Ratings
    user_of: Translation

    def __iter__(self) -> Iterator[tuple[Rows, Rows]]:
        start = 0
        for piece in self.part.pieces("user"):
            positions = np.arange(start, start + len(piece), dtype=np.int32)
            start += len(piece)
            yield self.user_of(piece), positions


@dataclass(frozen=True)
class OwnRatings:
    """The ratings of one user, as `RatingPieces` of a model that knows only this user.

    Attributes
    ----------
    parts : sequence of dict of arrays
        Columns, by name.
    """

    parts: Sequence[dict[str, NDArray[Any]]]
    size: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """As in `RatingPieces`."""
        weighted = any("weight" in part for part in self.parts)
        return ("user", "item", "rating", *(["weight"] if weighted else []))

    def pieces(self, *names: str) -> Iterator[tuple[NDArray[Any], ...]]:
        """As in `RatingPieces`."""
        for part in self.parts:
            yield tuple(_column(part, name) for name in names)


def _column(part: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name == "user":
        return np.zeros(len(part["item"]), np.int32)
    if name == "weight" and "weight" not in part:
        return np.ones(len(part["item"]), np.float32)
    return part[name]


class SplitRatings:
    """The ratings of each user in all parts of a split.

    Parameters
    ----------
    split : Split
    model : Model
        Ids are matched with its rows.
    """

    def __init__(self, split: Split, model: Model) -> None:
        self._parts = {name: RatingsByUser.of(part, model) for name, part in split.parts.items()}

    def of_user(self, user: int, parts: Sequence[str] | None = None) -> OwnRatings:
        """Return the ratings of a user in some parts; by default in all."""
        chosen = [part for name, part in self._parts.items() if parts is None or name in parts]
        return OwnRatings([part.of_user(user) for part in chosen])

    def item_means(self, parts: Sequence[str], items: int) -> Doubles:
        """Return the mean rating of each of some items in some parts; NaN without ratings."""
        sums, counts = np.zeros(items), np.zeros(items)
        for part in (self._parts[name] for name in parts if name in self._parts):
            for piece, values in zip(
                part.part.pieces("item"), part.part.pieces("rating"), strict=True
            ):
                rows = part.item_of(piece)
                known = rows >= 0
                sums += np.bincount(rows[known], values[known], items)
                counts += np.bincount(rows[known], minlength=items)
        means: Doubles = np.divide(sums, counts, np.full(items, np.nan), where=counts > 0)
        return means
