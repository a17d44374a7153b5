"""The rated pairs of a training, with their targets and weights, read piece by piece."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mfcli.config import Config
from mfcli.data import RatedValues, Scale, column_sum, pairwise_sum
from mfcli.model import pair_targets, pair_weights
from mfcli.storage import release
from mfcli.types import Doubles, Floats, Rows

_PIECE = 1 << 20  # pairs in memory at a time


def _same(ratings: Floats) -> Floats:
    return ratings


def _none(ratings: RatedValues) -> None:
    return None


class PairPiece(RatedValues, Protocol):
    """Some rated pairs: their rows, ratings and weights."""

    @property
    def user(self) -> Rows: ...
    @property
    def item(self) -> Rows: ...


class PairColumns(Protocol):
    """Rated pairs that are read column by column, or some pairs at a time."""

    @property
    def users(self) -> Sized: ...
    @property
    def items(self) -> Sized: ...
    @property
    def types(self) -> dict[str, np.dtype[Any]]: ...
    def __len__(self) -> int: ...
    def pieces(self, name: str) -> Iterator[NDArray[Any]]: ...
    def take(self, rows: slice, /) -> PairPiece: ...


@dataclass(frozen=True)
class RatedPairs:
    """Pairs of users and items, what they count as, and how much.

    Attributes
    ----------
    train : PairColumns
        `Ratings`, `WeightedRatings`, or others that are read like these.
        Its weights are those of `training_weights`.
    target : callable
        Returns what some values of ratings count as, a float32 array of the same shape.
    weight : callable
        Returns the weights of the pairs of some ratings, also a float32 array; None if all are 1.
    """

    train: PairColumns
    target: Callable[[Floats], Floats] = _same
    weight: Callable[[RatedValues], Floats | None] = _none

    def __len__(self) -> int:
        return len(self.train)

    @property
    def is_weighted(self) -> bool:
        """Whether the pairs have weights."""
        return self.weight(self.train.take(slice(1))) is not None

    @property
    def has_weight_column(self) -> bool:
        """Whether the ratings have weights of their own."""
        return "weight" in self.train.types

    def pieces(self) -> Iterator[PairPiece]:
        """Yield the ratings of all pairs in order, some at a time."""
        for start in range(0, len(self), _PIECE):
            piece = self.train.take(slice(start, start + _PIECE))
            yield piece
            _release(piece)

    def targets(self, unit: float) -> Iterator[Floats]:
        """Yield the targets of the pairs of each piece, divided by a unit."""
        for piece in self.train.pieces("rating"):
            yield self.target(piece) / np.float32(unit)

    def roots(self) -> Iterator[Floats]:
        """Yield the square roots of the weights of the pairs of each piece, if there are any."""
        for piece in self.pieces():
            weights = self.weight(piece)
            if weights is not None:
                yield np.sqrt(weights)


def pairs_of(train: PairColumns, scale: Scale, config: Config) -> RatedPairs:
    """Return the pairs of training ratings with the targets and weights of a model by rows.

    Parameters
    ----------
    train : PairColumns
        Its weights are those of `training_weights`.
    scale : Scale
    config : Config
    """
    return RatedPairs(
        train,
        target=lambda ratings: pair_targets(ratings, config),
        weight=lambda ratings: pair_weights(ratings, scale, config),
    )


def unit_of(pairs: RatedPairs) -> float:
    """Return the standard deviation of targets, counted by their weights, or 1 if it is 0."""
    train, size = pairs.train, float(len(pairs))
    if not pairs.has_weight_column:
        mean = column_sum(map(pairs.target, train.pieces("rating"))) / size
    else:
        size = column_sum(train.pieces("weight"))
        mean = _sum(pairs, lambda targets: targets) / size
    return math.sqrt(_sum(pairs, lambda targets: np.square(targets - mean)) / size) or 1.0


def _sum(pairs: RatedPairs, of: Callable[[Doubles], Doubles]) -> float:
    """Return the sum of a function of the targets, each counted by its weight."""

    def part(some: slice) -> Doubles:
        piece = pairs.train.take(some)
        terms = of(pairs.target(piece.rating).astype(np.float64))
        if piece.weight is not None:
            terms = terms * piece.weight
        _release(piece)
        return terms

    return pairwise_sum(part, len(pairs))


def _release(piece: PairPiece) -> None:
    for column in (piece.user, piece.item, piece.rating, piece.weight):
        if column is not None:
            release(column)
