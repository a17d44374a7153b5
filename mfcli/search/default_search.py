"""What a search tries by default: a space for each purpose and optimizer, and its first trial."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfcli.errors import ConfigError, Param, Text
from mfcli.search.purposes import RANKING, RATINGS
from mfcli.search.recommended import recommended_config
from mfcli.search.spaces import (
    Choice,
    Range,
    Space,
    descent_space,
    ranking_space,
    sampling_space,
)
from mfcli.search.trained_ratings import trained_rows
from mfcli.splits import Split

SEARCHED = {RATINGS: ("gibbs", "sgd"), RANKING: ("als",)}
"""The optimizers with a default space by purpose; the first one is searched by default."""


def space_for(split: Split, optimizer: str | None = None, purpose: str = RATINGS) -> Space:
    """Return the default space of an optimizer for the ratings.

    Parameters
    ----------
    split : Split
    optimizer : str, optional
        Of `SEARCHED`; by default the first one.
    purpose : {"ratings", "ranking"}

    Raises
    ------
    ConfigError
        If the optimizer has no default space for the purpose.
    """
    known = SEARCHED[purpose]
    if optimizer not in (None, *known):
        rule: Text = f"must be {' or '.join(known)} to search without a space"
        if purpose == RANKING:
            rule = [rule, " with ", Param("purpose", purpose)]
        remedy: Text = ["describe what to search with ", Param("space")]
        raise ConfigError(rule, param="optimizer", value=optimizer, remedy=remedy)
    most_factors = min(trained_rows(split))  # more cannot improve the model
    advised = recommended_config(split, purpose=purpose)
    if purpose == RANKING:
        return ranking_space(advised, most_factors)
    if optimizer != "sgd":
        return sampling_space(most_factors, advised.epochs)
    deviation = float(split.train.rating.std(dtype=np.float64))
    # In float64: the mean of millions of float32 squares is inexact.
    return descent_space(deviation or 1.0)  # if all ratings are equal, any space will do


def first_settings(split: Split, space: Space, purpose: str = RATINGS) -> dict[str, Any] | None:
    """Return what a default search tries first; None for another space.

    These are the settings of `mfcli init`, and for the sampler more epochs: slower, but usually
    better.
    """
    config = recommended_config(split, purpose=purpose)
    epochs = space.get("epochs")
    if space.get("optimizer") != Choice((config.optimizer,)) or not isinstance(epochs, Range):
        return None
    first = {name: getattr(config, name) for name in space}
    return first if purpose == RANKING else first | {"epochs": int(epochs.high)}
