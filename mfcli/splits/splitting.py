"""Makes splits of ratings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, overload

from mfcli.arguments import check_type
from mfcli.config import DEFAULTS, Config
from mfcli.data import Buckets, Ratings, RatingsLike, as_ratings, scale_of
from mfcli.errors import ConfigError, Param, Text
from mfcli.splits.bucket_parts import Place, parts_in
from mfcli.splits.division import Division
from mfcli.splits.filters import filtered
from mfcli.splits.folds import DividedFolds, Folds, make_folds
from mfcli.splits.given_parts import given_parts
from mfcli.splits.parts import Split, check_parts
from mfcli.splits.pool import TEST, TRAIN, VALID, Pool
from mfcli.splits.strategies import Strategy, at_random, strategies_of, used_settings
from mfcli.types import Progress


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
    made = divide(Buckets.of(ratings), config)
    return made.split() if isinstance(made, Division) else made.folds()


def divide(
    buckets: Buckets,
    config: Config = DEFAULTS,
    *,
    on_progress: Progress = lambda done, total: None,
) -> Division | DividedFolds:
    """Assign ratings to the parts of a split, as `split` does, but copy none of them.

    Parameters
    ----------
    buckets : Buckets
        All in part 0. Their parts change.
    config : Config
    on_progress : callable, optional
        Called with the number of steps that are done, and of all; filters come before the first.
    """
    pool = Pool(buckets, config.seed)
    numberings, removed = filtered(pool, config)
    used = used_settings(config, removed)
    if config.strategy == "k-fold":
        return make_folds(pool, numberings, config, used)
    total, scale = len(pool), scale_of(pool.all_pieces("rating"))
    for_test, for_valid = strategies_of(config)
    holding = _HoldingOut(pool, bool(config.test) + bool(config.valid), on_progress)
    numbers = {"train": TRAIN}
    if config.test:
        # The test ratings are drawn first, so that they do not depend on `valid`.
        holding.hold_out(TEST, for_test, config.test)
        numbers["test"] = TEST
    if config.valid and len(pool):
        holding.hold_out_valid(for_valid, config.valid, total)
        numbers["valid"] = VALID
    check_parts({n: range(buckets.size(part)) for n, part in numbers.items()}, total, used)
    places = {name: Place(buckets, part, numberings) for name, part in numbers.items()}
    return Division(parts_in(places, buckets.types), scale, used, buckets.source)


class _HoldingOut:
    """Moves ratings from a pool to some parts, and shows progress."""

    def __init__(self, pool: Pool, parts: int, on_progress: Progress) -> None:
        self._pool, self._on_progress = pool, on_progress
        self._done, self._steps = 0, parts * len(pool.buckets)

    def hold_out(self, part: int, strategy: Strategy, fraction: float) -> None:
        """Move a fraction of the pool to a part."""
        marks = strategy(self._pool, fraction)
        for bucket in range(len(self._pool.buckets)):
            self._pool.assign(bucket, marks(bucket), part)
            self._done += 1
            self._on_progress(self._done, self._steps)

    def hold_out_valid(self, strategy: Strategy, fraction: float, total: int) -> None:
        """Move validation ratings out of the pool: a fraction of `total` ratings."""
        # A strategy takes a fraction of the ratings in the pool, which are fewer.
        self.hold_out(VALID, strategy, min(fraction * total / len(self._pool), 1.0))


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
    return divide_given({"train": Buckets.of(train), "test": Buckets.of(test)}, config).split()


def divide_given(
    given: Mapping[str, Buckets],
    config: Config,
    *,
    on_progress: Progress = lambda done, total: None,
) -> Division:
    """Assign given ratings to parts, as `split_given` does, but copy none of them.

    Parameters
    ----------
    given : mapping of Buckets
        "train" and "test", each in part 0. The parts of the training ratings change.
    config, on_progress
        As for `divide`.
    """
    places, types, scale, source = given_parts(given)
    total = sum(buckets.size(TRAIN) for buckets in given.values())
    used = {"name": "given", "valid": config.valid, "seed": config.seed}
    pool = Pool(given["train"], config.seed)
    if config.valid and len(pool):
        _HoldingOut(pool, 1, on_progress).hold_out_valid(at_random, config.valid, total)
        places = places | {"valid": places["train"]._replace(number=VALID)}
    parts = parts_in(places, types)
    check_parts(parts, total, used)
    return Division(parts, scale, used, source)
