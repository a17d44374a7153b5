"""Makes splits of ratings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, overload

import numpy as np

from mfcli.arguments import check_type
from mfcli.config import DEFAULTS, Config
from mfcli.data import Ratings, RatingsLike, Selection, as_ratings
from mfcli.errors import ConfigError, Param, Text
from mfcli.splits.filters import filtered
from mfcli.splits.folds import Folds, make_folds
from mfcli.splits.parts import Division, Split, assembled, check_parts, disjoint, divided
from mfcli.splits.strategies import Strategy, at_random, strategies_of, used_settings
from mfcli.types import Mask


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
    made = divide(ratings, config, folds=folds)
    return made.split() if isinstance(made, Division) else made


def divide(
    ratings: RatingsLike, config: Config = DEFAULTS, *, folds: int | None = None
) -> Division | Folds:
    """As `split`, but without copies of the ratings, except for a k-fold split."""
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
    masks = _masks(kept, config)
    used = used_settings(config, removed)
    parts = {name: Selection(kept, mask) for name, mask in masks.items()}
    check_parts(parts, len(kept), used)
    return divided(kept, masks, kept.scale(), used)


def _masks(ratings: Ratings, config: Config) -> dict[str, Mask]:
    """Return which ratings belong to each part."""
    rng = np.random.default_rng(config.seed)
    for_test, for_valid = strategies_of(config)
    masks = {"train": np.ones(len(ratings), np.bool_)}
    if config.test:
        # The test ratings are drawn first, so that they do not depend on `valid`.
        test = for_test(ratings, config.test, rng)
        masks = {"train": ~test, "test": test}
    if config.valid and masks["train"].any():
        held = _held(ratings.take(masks["train"]), len(ratings), config, for_valid, rng)
        valid = np.zeros_like(masks["train"])
        valid[masks["train"]] = held
        masks |= {"train": masks["train"] & ~valid, "valid": valid}
    return masks


def _held(
    train: Ratings, total: int, config: Config, strategy: Strategy, rng: np.random.Generator
) -> Mask:
    """Return which training ratings are held out for validation."""
    # `valid` is a fraction of all ratings, but a strategy takes one of the training ratings.
    return strategy(train, min(config.valid * total / len(train), 1.0), rng)


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
    total = len(train) + len(test)
    if config.valid and len(train):
        rng = np.random.default_rng(config.seed)
        held = _held(parts["train"], total, config, at_random, rng)
        parts |= {"train": parts["train"].take(~held), "valid": parts["train"].take(held)}
    check_parts(parts, total, used)
    return assembled(parts, scale, used)
