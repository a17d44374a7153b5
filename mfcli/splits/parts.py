"""Splits: the parts that ratings are divided into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mfcli.data import Ratings, Scale, Source
from mfcli.errors import DataError, Param

PARTS = ("train", "test", "valid")


def ratings_of(part: str) -> str:
    """Return what the ratings of a part, or of a file, are called in a sentence."""
    if part not in PARTS:
        return f"ratings of {part}"
    return f"{'validation' if part == 'valid' else part} ratings"


@dataclass(frozen=True)
class Split:
    """Ratings to train on, to test on and, optionally, to validate on.

    Attributes
    ----------
    train, test : Ratings
        With the same vocabularies, which hold every id of the source and count the training ratings
        only.
    valid : Ratings, optional
    scale : Scale
        Of all ratings of the source.
    strategy : dict
        How the split was made: "name", and the settings that were used.
    source : Source, optional
        Where the ratings came from.
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
        """The parts that exist, by name."""
        parts = {name: getattr(self, name) for name in PARTS}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def held_out(self) -> tuple[str, Ratings]:
        """The part on which epochs are validated: valid if it exists, otherwise test."""
        return ("test", self.test) if self.valid is None else ("valid", self.valid)

    def unseen(self, part: Ratings) -> int:
        """Return the number of ratings whose user or item has no training rating."""
        # The vocabularies of a split count training ratings only.
        users, items = self.train.users.counts, self.train.items.counts
        return int(np.count_nonzero((users[part.user] == 0) | (items[part.item] == 0)))


def assembled(parts: Mapping[str, Ratings], scale: Scale, strategy: dict[str, Any]) -> Split:
    """Return a split of parts, with vocabularies that count the training ratings.

    Parameters
    ----------
    parts : mapping of Ratings
        "train", "test" and, optionally, "valid".
    scale, strategy
        As in `Split`.
    """
    train = parts["train"]
    # All parts share the vocabularies, so that a row means the same id in each of them.
    users, items = train.users.counting(train.user), train.items.counting(train.item)
    over = {name: part.over(users, items) for name, part in parts.items()}
    return Split(
        train=over["train"],
        test=over["test"],
        valid=over.get("valid"),
        scale=scale,
        strategy=strategy,
        source=train.source,
    )


def check_parts(parts: Mapping[str, Ratings], total: int, strategy: Mapping[str, Any]) -> None:
    """Check that no part is empty.

    Raises
    ------
    DataError
    """
    for name, part in parts.items():
        if not len(part):
            raise _empty(name, total, strategy)


def _empty(name: str, count: int, strategy: Mapping[str, Any]) -> DataError:
    rule = f"strategy {strategy['name']} leaves no {name} rating of {count:,}"
    if "cut" in strategy:  # a date, so fractions do not help
        which = "an earlier " if name == "test" else "a later "
        check = ", and check that times are in seconds"
        return DataError(rule, remedy=["choose ", which, Param("cut"), check])
    if name == "train":
        also: list[str | Param] = [" or ", Param("valid")] if strategy["valid"] else []
        return DataError(rule, remedy=["lower ", Param("test"), *also])
    if name in strategy:
        return DataError(rule, remedy=["raise ", Param(name)])
    return DataError(rule, remedy=["choose another ", Param("strategy")])
