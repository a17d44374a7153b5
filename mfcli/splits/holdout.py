"""Splits: ratings to train, to validate and to test on, made by a strategy, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mfcli.config import DEFAULTS, Config, seconds_of
from mfcli.data import Ratings, Scale, Source, concatenated
from mfcli.errors import ConfigError, DataError
from mfcli.splits.strategies import STRATEGIES, Strategy, core, since, temporal

PARTS = ("train", "test", "valid")


@dataclass(frozen=True)
class Split:
    """Ratings to train and to test on, and if asked for, to validate on.

    Attributes
    ----------
    train, test : Ratings
        Both in the rows of the same vocabularies, which hold every id of the source and count the
        training ratings only.
    valid : Ratings, optional
    scale : Scale
        Of all ratings of the source.
    strategy : dict
        How it was made: name, shares, seed, filters.
    source : Source, optional
    hash : str
        Digest of the files of the split; empty until it is written.
    """

    train: Ratings
    test: Ratings
    valid: Ratings | None
    scale: Scale
    strategy: dict[str, Any]
    source: Source | None = None
    hash: str = ""

    @property
    def parts(self) -> dict[str, Ratings]:
        """The parts there are, by name."""
        parts = {name: getattr(self, name) for name in PARTS}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def held_out(self) -> tuple[str, Ratings]:
        """What to validate epochs on: the validation ratings if there are any, else the test's."""
        return ("test", self.test) if self.valid is None else ("valid", self.valid)

    def unseen(self, part: Ratings) -> int:
        """Count the ratings whose user or item has no training rating."""
        users, items = self.train.users.counts, self.train.items.counts
        return int(np.count_nonzero((users[part.user] == 0) | (items[part.item] == 0)))


def split(ratings: Ratings, config: Config = DEFAULTS) -> Split:
    """Split ratings by the strategy of a config, after its filters.

    Parameters
    ----------
    ratings : Ratings
    config : Config
        Its `strategy`, `cut`, `test`, `valid`, `min_user`, `min_item` and `seed` are used. Shares
        are of all ratings, of each user's, or of the users, as the strategy has it.

    Raises
    ------
    ConfigError
        If the cut is no date.
    DataError
        If a part would be empty, or times are needed and there are none.
    """
    kept = filtered(ratings, config)
    rng = np.random.default_rng(config.seed)
    rule, again = _rules(config)
    held = rule(kept, config.test, rng)
    parts = {"train": kept.take(~held), "test": kept.take(held)}
    return _with_validation(parts, kept.scale(), again, config, rng, _record(config, ratings, kept))


def split_given(train: Ratings, test: Ratings, config: Config) -> Split:
    """Take a published split as it is; validation ratings are cut from train at random.

    Raises
    ------
    DataError
        If a user and an item are rated in both.
    """
    both = concatenated(train, test)
    pair = both.user.astype(np.int64) * len(both.items) + both.item
    common = len(np.intersect1d(pair[: len(train)], pair[len(train) :], assume_unique=True))
    if common:
        raise DataError(
            f"{common:,} pairs of a user and an item are in train and in test; remove them from one"
        )
    first = np.arange(len(both)) < len(train)
    parts = {"train": both.take(first), "test": both.take(~first)}
    record = {"name": "given", "valid": config.valid, "seed": config.seed}
    rng, rule = np.random.default_rng(config.seed), STRATEGIES["random"]
    return _with_validation(parts, both.scale(), rule, config, rng, record)


def filtered(ratings: Ratings, config: Config) -> Ratings:
    """Leave out users and items with too few ratings, until all that stay have enough."""
    if config.min_user <= 1 and config.min_item <= 1:
        return ratings
    return core(ratings, config.min_user, config.min_item)


def _rules(config: Config) -> tuple[Strategy, Strategy]:
    """Return the rule for the test ratings and the one for the validation ratings."""
    if config.strategy not in STRATEGIES:
        raise ConfigError(f"strategy {config.strategy} makes several splits; write them as folds")
    rule = STRATEGIES[config.strategy]
    return (since(seconds_of(config.cut)), temporal) if config.cut else (rule, rule)


def _record(config: Config, before: Ratings, after: Ratings) -> dict[str, Any]:
    """Note how a split is made, and what the filters took."""
    record: dict[str, Any] = {"name": config.strategy, "test": config.test}
    if config.strategy == "leave-last-out":
        del record["test"]
    if config.cut:
        record = {"name": config.strategy, "cut": config.cut}
    record |= {"valid": config.valid, "seed": config.seed}
    return record | filter_record(config, before, after)


def filter_record(config: Config, before: Ratings, after: Ratings) -> dict[str, Any]:
    """Note what the filters took, if there are any."""
    if before is after:
        return {}
    return {
        "min_user": config.min_user,
        "min_item": config.min_item,
        "removed": {
            "users": len(before.users) - len(after.users),
            "items": len(before.items) - len(after.items),
            "ratings": len(before) - len(after),
        },
    }


def _with_validation(
    parts: dict[str, Ratings],
    scale: Scale,
    rule: Strategy,
    config: Config,
    rng: np.random.Generator,
    record: dict[str, Any],
) -> Split:
    """Cut the validation ratings from the training ratings, and put the parts together."""
    total = sum(map(len, parts.values()))
    if config.valid and len(parts["train"]):
        train = parts["train"]
        held = rule(train, min(config.valid * total / len(train), 1.0), rng)
        parts = parts | {"train": train.take(~held), "valid": train.take(held)}
    check_parts(parts, total, record)
    return assembled(parts, scale, record)


def check_parts(parts: Mapping[str, Ratings], total: int, record: Mapping[str, Any]) -> None:
    """Refuse a split of which a part has no rating.

    Raises
    ------
    DataError
    """
    for name, part in parts.items():
        if not len(part):
            raise DataError(_empty(name, total, record))


def _empty(name: str, count: int, record: Mapping[str, Any]) -> str:
    rest = f"strategy {record['name']} leaves no {name} rating of {count:,}"
    if "cut" in record:
        side = "earlier" if name == "test" else "later"
        return f"{rest}; choose a cut that is {side}, and see that times are in seconds"
    if name == "train":
        return f"{rest}; lower --test" + (" or --valid" if record["valid"] else "")
    return f"{rest}; raise --{name}" if name in record else f"{rest}; choose another strategy"


def assembled(parts: Mapping[str, Ratings], scale: Scale, record: dict[str, Any]) -> Split:
    """Put parts over the vocabularies that count their training ratings."""
    train = parts["train"]
    users, items = train.users.counting(train.user), train.items.counting(train.item)
    over = {name: part.over(users, items) for name, part in parts.items()}
    return Split(
        train=over["train"],
        test=over["test"],
        valid=over.get("valid"),
        scale=scale,
        strategy=record,
        source=train.source,
    )


def summary(split: Split) -> dict[str, Any]:
    """Describe a split in plain values: how it was made and what is in it."""
    train, parts = split.train, split.parts
    rows = sum(map(len, parts.values()))
    return {
        "strategy": split.strategy,
        "source": asdict(split.source) if split.source else None,
        "users": len(train.users),
        "items": len(train.items),
        "ratings": {"all": rows} | {name: len(part) for name, part in parts.items()},
        "density": rows / (len(train.users) * len(train.items)),
        "mean": train.mean,
        "scale": split.scale._asdict(),
        "unseen": {n: split.unseen(part) for n, part in parts.items() if n != "train"},
    }
