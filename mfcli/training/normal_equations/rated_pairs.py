"""The rated pairs of a training, with their targets and weights, read piece by piece."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mfcli.data import Ratings, column_sum, pairwise_sum
from mfcli.storage import release
from mfcli.training.weights import WeightedRatings
from mfcli.types import Doubles, Floats

_PIECE = 1 << 20  # pairs in memory at a time


def _same(ratings: Floats) -> Floats:
    return ratings


def _none(ratings: Ratings) -> None:
    return None


@dataclass(frozen=True)
class RatedPairs:
    """Pairs of users and items, what they count as, and how much.

    Attributes
    ----------
    train : Ratings or WeightedRatings
        Its weights are those of `training_weights`.
    target : callable
        Returns what some values of ratings count as, a float32 array of the same shape.
    weight : callable
        Returns the weights of the pairs of some ratings, also a float32 array; None if all are 1.
    """

    train: Ratings | WeightedRatings
    target: Callable[[Floats], Floats] = _same
    weight: Callable[[Ratings], Floats | None] = _none

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

    def pieces(self) -> Iterator[Ratings]:
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


def _release(piece: Ratings) -> None:
    for column in (piece.user, piece.item, piece.rating, piece.weight):
        if column is not None:
            release(column)
