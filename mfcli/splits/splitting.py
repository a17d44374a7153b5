"""Makes splits of ratings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, overload

import numpy as np

from mfcli.arguments import check_type
from mfcli.config import DEFAULTS, Config
from mfcli.data import Ratings, RatingsLike, Scale, as_ratings
from mfcli.errors import ConfigError, Param, Text
from mfcli.splits.filters import filtered
from mfcli.splits.folds import Folds, make_folds
from mfcli.splits.parts import Split, assembled, check_parts, disjoint
from mfcli.splits.strategies import Strategy, at_random, strategies_of, used_settings


@overload
def split(ratings: RatingsLike, config: Config = ..., *, folds: int) -> Folds: ...


# Any, so that type checkers accept the result as a Split; it is one without "k-fold".
@overload
def split(ratings: RatingsLike, config: Config = ...) -> Split | Any: ...


def split(
    ratings: RatingsLike, config: Config = DEFAULTS, *, folds: int | None = None
) -> Split | Folds:
    """Split ratings by the strategy of a config, after its filters.

    Parameters
    ----------
    ratings : Ratings, or what `ratings_from` takes
        A data frame, an Arrow table, three arrays, a path, ...
    config : Config
        Its `strategy`, `cut`, `test`, `valid`, `folds`, `min_user`, `min_item` and `seed` are used.
        Depending on the strategy, fractions are of all ratings, of each user's, or of the users.
    folds : int, optional
        Make this number of folds: the strategy "k-fold" with `folds`.

    Returns
    -------
    Split or Folds
        With the strategy "k-fold", a sequence of splits that share the ratings; otherwise one
        split.

    Raises
    ------
    DataError
        If a part would be empty, or times are needed and there are none.
    ConfigError
        If the number of folds breaks its rule, or the config has a strategy without folds.
    UsageError
        If an argument has another type.
    """
    ratings = as_ratings(ratings, "ratings")
    check_type(config, Config, "config")
    if folds is not None:
        if config.strategy not in (DEFAULTS.strategy, "k-fold"):
            use: Text = ["use ", Param("strategy", "k-fold")]
            raise ConfigError("must be k-fold", param="strategy", value=config.strategy, remedy=use)
        config = replace(config, strategy="k-fold", folds=folds)
    if config.strategy == "k-fold":
        return make_folds(ratings, config)
    kept, removed = filtered(ratings, config)
    rng = np.random.default_rng(config.seed)
    for_test, for_valid = strategies_of(config)
    # The test ratings are drawn first, so that they do not depend on `valid`.
    held = for_test(kept, config.test, rng)
    parts = {"train": kept.take(~held), "test": kept.take(held)}
    used = used_settings(config, removed)
    return _with_validation(parts, kept.scale(), for_valid, config, rng, used)


def split_given(train: Ratings, test: Ratings, config: Config) -> Split:
    """Use a published split; validation ratings are taken from train at random.

    Parameters
    ----------
    train, test : Ratings
    config : Config
        Its `valid` and `seed` are used.

    Raises
    ------
    DataError
        If a user has rated an item in both.
    """
    parts, scale = disjoint({"train": train, "test": test})
    used = {"name": "given", "valid": config.valid, "seed": config.seed}
    rng = np.random.default_rng(config.seed)
    return _with_validation(parts, scale, at_random, config, rng, used)


def _with_validation(
    parts: dict[str, Ratings],
    scale: Scale,
    strategy: Strategy,
    config: Config,
    rng: np.random.Generator,
    used: dict[str, Any],
) -> Split:
    """Take the validation ratings from the training ratings, and assemble the parts."""
    total = sum(map(len, parts.values()))
    if config.valid and len(parts["train"]):
        train = parts["train"]
        # `valid` is a fraction of all ratings, but a strategy takes one of the training ratings.
        held = strategy(train, min(config.valid * total / len(train), 1.0), rng)
        parts = parts | {"train": train.take(~held), "valid": train.take(held)}
    check_parts(parts, total, used)
    return assembled(parts, scale, used)
