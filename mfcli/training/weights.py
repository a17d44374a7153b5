"""How much each training rating counts: its weight, and less the older it is."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from mfcli.config import Config, seconds_in
from mfcli.data import Ratings
from mfcli.errors import DataError, Param
from mfcli.types import Floats

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
    check_weights(train, config)
    given = [weights for weights in (train.weight, _decay(train, config)) if weights is not None]
    return functools.reduce(np.multiply, given) if given else None


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
    weight = train.weight
    if weight is None:
        return
    low, high = weight.min(), weight.max()
    if low < np.float32(_LEAST) or high > np.float32(_MOST):
        value = low if low < np.float32(_LEAST) else high
        raise DataError(
            f"weights of training ratings must be from {_LEAST:g} to {_MOST:g}",
            value=float(f"{value:.6g}"),
            remedy="divide all weights by their mean, or omit ratings that hardly count",
        )


def weighted(train: Ratings, config: Config) -> Ratings:
    """Return training ratings with their `training_weights` as their weights.

    Raises
    ------
    DataError
        As `training_weights`.
    """
    return dataclasses.replace(train, weight=training_weights(train, config))


def _decay(train: Ratings, config: Config) -> Floats | None:
    if config.half_life is None or train.timestamp is None:
        return None
    ages = (train.timestamp.max() - train.timestamp) / seconds_in(config.half_life)
    decay: Floats = np.exp2(-np.minimum(ages, _OLDEST)).astype(np.float32)
    return decay
