"""Makes splits of ratings."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfcli.config import DEFAULTS, Config, seconds_of
from mfcli.data import Ratings, Scale, concatenated
from mfcli.errors import DataError
from mfcli.splits.filters import filtered
from mfcli.splits.folds import Folds, make_folds
from mfcli.splits.parts import Split, assembled, check_parts
from mfcli.splits.strategies import STRATEGIES, Strategy, since, temporal


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
    """
    if config.strategy == "k-fold":
        return make_folds(ratings, config)
    kept, removed = filtered(ratings, config)
    rng = np.random.default_rng(config.seed)
    rule, validation_rule = _rules(config)
    held = rule(kept, config.test, rng)
    parts = {"train": kept.take(~held), "test": kept.take(held)}
    strategy = _used(config) | removed
    return _with_validation(parts, kept.scale(), validation_rule, config, rng, strategy)


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
    pair = both.user.astype(np.int64) * len(both.items) + both.item
    common = len(np.intersect1d(pair[: len(train)], pair[len(train) :], assume_unique=True))
    if common:
        rule = f"{common:,} pairs of a user and an item are in train and in test"
        raise DataError(rule, remedy="remove them from one of the files")
    first = np.arange(len(both)) < len(train)
    parts = {"train": both.take(first), "test": both.take(~first)}
    strategy = {"name": "given", "valid": config.valid, "seed": config.seed}
    rng, rule_of_valid = np.random.default_rng(config.seed), STRATEGIES["random"]
    return _with_validation(parts, both.scale(), rule_of_valid, config, rng, strategy)


def _used(config: Config) -> dict[str, Any]:
    """Return the name of the strategy and the settings that it uses, apart from filters."""
    used = config.used("split")
    names = ("test", "cut", "valid", "seed")
    return {"name": config.strategy} | {name: used[name] for name in names if name in used}


def _rules(config: Config) -> tuple[Strategy, Strategy]:
    """Return the strategies for the test ratings and for the validation ratings."""
    strategy = STRATEGIES[config.strategy]
    return (since(seconds_of(config.cut)), temporal) if config.cut else (strategy, strategy)


def _with_validation(
    parts: dict[str, Ratings],
    scale: Scale,
    rule: Strategy,
    config: Config,
    rng: np.random.Generator,
    strategy: dict[str, Any],
) -> Split:
    """Take the validation ratings from the training ratings, and assemble the parts."""
    total = sum(map(len, parts.values()))
    if config.valid and len(parts["train"]):
        train = parts["train"]
        # The fraction is of all ratings, but `rule` takes a fraction of the training ratings.
        held = rule(train, min(config.valid * total / len(train), 1.0), rng)
        parts = parts | {"train": train.take(~held), "valid": train.take(held)}
    check_parts(parts, total, strategy)
    return assembled(parts, scale, strategy)
