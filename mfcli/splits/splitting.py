"""Makes splits of ratings."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfcli.config import DEFAULTS, Config
from mfcli.data import Ratings, Scale, concatenated
from mfcli.errors import DataError, check_type
from mfcli.splits.filters import filtered
from mfcli.splits.folds import Folds, make_folds
from mfcli.splits.parts import Split, assembled, check_parts
from mfcli.splits.strategies import Strategy, at_random, strategies_of, used_settings


def split(ratings: Ratings, config: Config = DEFAULTS) -> Split | Folds:
    """Split ratings by the strategy of a config, after its filters.

    Parameters
    ----------
    ratings : Ratings
    config : Config
        Its `strategy`, `cut`, `test`, `valid`, `folds`, `min_user`, `min_item` and `seed` are used.
        Depending on the strategy, fractions are of all ratings, of each user's, or of the users.

    Returns
    -------
    Split or Folds
        With the strategy "k-fold", a sequence of splits that share the ratings; otherwise one
        split.

    Raises
    ------
    DataError
        If a part would be empty, or times are needed and there are none.
    UsageError
        If an argument has another type.
    """
    check_type(ratings, Ratings, "ratings", "use ratings_from for a table, read_ratings for a file")
    check_type(config, Config, "config")
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
    both = concatenated(train, test)
    # One number for each pair; int32 would overflow.
    pair = both.user.astype(np.int64) * len(both.items) + both.item
    common = len(np.intersect1d(pair[: len(train)], pair[len(train) :], assume_unique=True))
    if common:
        rule = f"{common:,} pairs of a user and an item are in train and in test"
        raise DataError(rule, remedy="remove them from one of the files")
    # `concatenated` keeps the order: the ratings of `train` come first.
    first = np.arange(len(both)) < len(train)
    parts = {"train": both.take(first), "test": both.take(~first)}
    used = {"name": "given", "valid": config.valid, "seed": config.seed}
    rng = np.random.default_rng(config.seed)
    return _with_validation(parts, both.scale(), at_random, config, rng, used)


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
