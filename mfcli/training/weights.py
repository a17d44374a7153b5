"""How much each training rating counts: its weight, and less the older it is."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.config import Config, seconds_in
from mfcli.data import Ratings, column_sum, pairwise_sum
from mfcli.errors import DataError, Param
from mfcli.storage import release
from mfcli.types import Doubles, Floats

_LEAST, _MOST = 1e-6, 1e6  # beyond this, sums of float32 values are those of few ratings
_OLDEST = 64.0  # half-lives; the weights of older ratings would soon be zero in float32


def training_weights(train: Ratings, config: Config) -> Floats | None:
    """Return the weights of training ratings; None if all are 1.

    They are the column of weights, if there is one, times the decay by age with `half_life`. With h
    half-lives between a rating and the latest one, the decay is ``2^-h``; 64 half-lives at most
    count.

    Parameters
    ----------
    train : Ratings
    config : Config

    Returns
    -------
    float32 array, shape (n,), or None

    Raises
    ------
    DataError
        If the ratings have no timestamps, which `half_life` needs, or if a weight of the column is
        below 1e-6 or above 1e6.
    """
    ratings = WeightedRatings(train, config)
    if config.half_life is None:
        return train.weight
    return np.concatenate([*ratings.pieces("weight")])


def check_weights(train: Ratings, config: Config) -> None:
    """Refuse ratings without `training_weights`.

    Raises
    ------
    DataError
        As `training_weights`.
    """
    if config.half_life is not None and train.timestamp is None:
        raise DataError(
            ["the ratings need timestamps with ", Param("half_life", config.half_life)],
            remedy=["omit ", Param("half_life"), ", or split again with ",
                    Param("columns.timestamp")],
        )  # fmt: skip
    if train.weight is None:
        return
    ends = [(piece.min(), piece.max()) for piece in train.pieces("weight")]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if low < np.float32(_LEAST) or high > np.float32(_MOST):
        value = low if low < np.float32(_LEAST) else high
        raise DataError(
            f"weights of training ratings must be from {_LEAST:g} to {_MOST:g}",
            value=float(f"{value:.6g}"),
            remedy="divide all weights by their mean, or omit ratings that hardly count",
        )


class Aging(NamedTuple):
    """How weights decay with age.

    Attributes
    ----------
    half_life : str
        As in `Config`.
    latest : int
        Time of the latest rating.
    """

    half_life: str
    latest: int

    def decay(self, times: NDArray[np.int64]) -> Floats:
        """Return the factors of the weights of ratings at some times, float32 of shape (n,)."""
        ages = (self.latest - times) / seconds_in(self.half_life)
        decay: Floats = np.exp2(-np.minimum(ages, _OLDEST)).astype(np.float32)
        return decay


class WeightedRatings:
    """Training ratings with their `training_weights`, which are computed piece by piece.

    Parameters
    ----------
    train : Ratings
    config : Config

    Attributes
    ----------
    users, items : Vocabulary
    feedback : {"explicit", "implicit"}

    Raises
    ------
    DataError
        As `training_weights`.
    """

    def __init__(self, train: Ratings, config: Config) -> None:
        check_weights(train, config)
        self._train, self._half_life = train, config.half_life
        self.users, self.items, self.feedback = train.users, train.items, train.feedback

    def __len__(self) -> int:
        return len(self._train)

    @property
    def mean(self) -> float:
        return self._train.mean

    @property
    def types(self) -> dict[str, np.dtype[Any]]:
        """As in `Ratings`."""
        more = {} if self._half_life is None else {"weight": np.dtype(np.float32)}
        return self._train.types | more

    @property
    def weighted_mean(self) -> float:
        """Mean rating, each rating counted by its weight."""
        if "weight" not in self.types:
            return self.mean

        def products(some: slice) -> Doubles:
            part = self.take(some)
            assert part.weight is not None
            found = np.multiply(part.rating, part.weight, dtype=np.float64)
            release(part.rating)
            return found

        return pairwise_sum(products, len(self)) / column_sum(self.pieces("weight"))

    def take(self, some: slice) -> Ratings:
        """Return some of the ratings, with their weights."""
        part = self._train.take(some)
        if self._half_life is None:
            return part
        assert part.timestamp is not None
        weight = self._decay(part.timestamp)
        if part.weight is not None:
            weight = part.weight * weight
        return dataclasses.replace(part, weight=weight)

    def pieces(self, name: str) -> Iterator[NDArray[Any]]:
        """As in `Ratings`."""
        if name != "weight" or self._half_life is None:
            yield from self._train.pieces(name)
            return
        given = self._train.pieces("weight") if self._train.weight is not None else repeat(None)
        for times, weights in zip(self._train.pieces("timestamp"), given, strict=False):
            decay = self._decay(times)
            yield decay if weights is None else weights * decay

    def _decay(self, times: NDArray[np.int64]) -> Floats:
        assert self.aging is not None
        return self.aging.decay(times)

    @functools.cached_property
    def aging(self) -> Aging | None:
        """How weights decay with `half_life`; None without it."""
        if self._half_life is None:
            return None
        latest = max(int(piece.max()) for piece in self._train.pieces("timestamp"))
        return Aging(self._half_life, latest)


def weighted(train: Ratings, config: Config) -> Ratings:
    """Return training ratings with their `training_weights` as their weights.

    Raises
    ------
    DataError
        As `training_weights`.
    """
    return dataclasses.replace(train, weight=training_weights(train, config))
