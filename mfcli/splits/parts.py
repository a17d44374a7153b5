"""Splits: the parts that ratings are divided into."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mfcli.data import (
    EXPLICIT,
    Buckets,
    Columns,
    Ratings,
    RatingsLike,
    Scale,
    Source,
    as_ratings,
    joined_ratings,
    rows_of,
)
from mfcli.errors import DataError, Param
from mfcli.splits.bucket_parts import parts_in
from mfcli.splits.changes import Changes
from mfcli.splits.copies import copied
from mfcli.splits.extents import Extent
from mfcli.splits.given_parts import given_parts
from mfcli.storage import Origin, set_origin

PARTS = ("train", "test", "valid")
_UNION = ("train", "valid", "test")  # the order in which parts are joined


def ratings_of(part: str, feedback: str = EXPLICIT) -> str:
    """Return what the ratings of a part, or of a file, are called in a sentence."""
    rows = rows_of(feedback)
    if part not in PARTS:
        return f"{rows} of {part}"
    return f"{'validation' if part == 'valid' else part} {rows}"


@dataclass(frozen=True)
class Split:
    """Ratings to train on and, optionally, to test and to validate on.

    Attributes
    ----------
    train : Ratings
    test, valid : Ratings, optional
        All parts have the same vocabularies, which hold every id of the source and count the
        training ratings only.
    scale : Scale
        Of all ratings of the source.
    strategy : dict
        How the split was made: "name", and the settings that were used.
    source : Source, optional
        Where the ratings came from.
    hash : str
        Digest of the files of the split; empty until it is written.
    in_train : tuple of str
        Names of the parts whose ratings `train` holds; several after `union`.
    parent : str
        Hash of the split that was updated to make this one; empty if there is none.
    updates : tuple of Changes
        What all updates changed, the first one first.
    address : str
        Folder, or its address in an object store, from which others can read the split; empty if
        it is in memory only.
    extents : dict of tuple of Extent
        Where the files at the address hold the ratings of each part, by name.
    """

    train: Ratings
    test: Ratings | None
    valid: Ratings | None
    scale: Scale
    strategy: dict[str, Any]
    source: Source | None = None
    hash: str = ""
    in_train: tuple[str, ...] = ("train",)
    parent: str = ""
    updates: tuple[Changes, ...] = ()
    address: str = field(default="", compare=False)
    extents: Mapping[str, tuple[Extent, ...]] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if not (self.address and self.hash):
            return
        origin = Origin(Split, self.address, self.hash, self.in_train)
        for name, part in self.parts.items():
            set_origin(part, origin.of(name))
            set_origin(part.users, origin.of(name, "users"))
            set_origin(part.items, origin.of(name, "items"))

    @classmethod
    def of(
        cls,
        train: RatingsLike,
        test: RatingsLike | None = None,
        valid: RatingsLike | None = None,
    ) -> Split:
        """Return the split that given parts form, such as a published one.

        Parameters
        ----------
        train : Ratings, or what `ratings_from` takes
        test, valid : Ratings, or what `ratings_from` takes, optional

        Raises
        ------
        DataError
            If two parts have a rating of the same user and item, or a part cannot be read, or if
            one part is explicit and another implicit feedback.
        UsageError
            If an argument is none of the above.
        """
        others = {"test": test, "valid": valid}
        known = {"train": train} | {n: part for n, part in others.items() if part is not None}
        read = {name: as_ratings(part, name) for name, part in known.items()}
        for name, part in read.items():
            if not len(part):
                raise DataError("holds no rating", place=name)
        given = given_parts({name: Buckets.of(part) for name, part in read.items()})
        feedback = read["train"].feedback
        parts = parts_in(given.places, given.types)
        taken = {name: copied(part, given.source, feedback) for name, part in parts.items()}
        return assembled(taken, given.scale, {"name": "given"})

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(part):,}" for name, part in self.parts.items())
        return f"Split({sizes}; {len(self.train.users):,} users, {len(self.train.items):,} items)"

    @property
    def feedback(self) -> str:
        """As in `Ratings`: "explicit", or "implicit" for events instead of ratings."""
        return self.train.feedback

    @property
    def parts(self) -> dict[str, Ratings]:
        """The parts that exist, by name."""
        parts = {name: getattr(self, name) for name in PARTS}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def held_out(self) -> tuple[str, Ratings] | None:
        """The part on which epochs are validated: valid, otherwise test, otherwise None."""
        names = (name for name in ("valid", "test") if name in self.parts)
        return next(((name, self.parts[name]) for name in names), None)

    def union(self, *names: str) -> Split:
        """Return the split that trains on the ratings of several parts, and holds out the others.

        The ratings of train come first, then those of valid and of test. Rows, `hash` and
        `address` stay, and the vocabularies count the ratings to train on.

        Parameters
        ----------
        *names : str
            Of the parts; train is always one of them. By default all parts. Those that do not exist
            are ignored.
        """
        chosen = {"train", *(names or PARTS)}
        joined = [name for name in _UNION if name in self.parts and name in chosen]
        if joined == ["train"]:
            return self
        whole = joined_ratings([self.parts[name] for name in joined])
        rest = {name: part for name, part in self.parts.items() if name not in joined}
        made = assembled({"train": whole, **rest}, self.scale, {"name": "union"})
        in_train = tuple(dict.fromkeys([*self.in_train, *joined]))
        extents = {name: self.extents[name] for name in rest if name in self.extents}
        if self.extents:
            extents["train"] = sum((self.extents[name] for name in joined), ())
        return replace(
            made, source=self.source, hash=self.hash, in_train=in_train, address=self.address,
            extents=extents,
        )  # fmt: skip

    def unseen(self, part: Ratings) -> int:
        """Return the number of ratings whose user or item has no training rating."""
        return unseen(self.train, part)


def unseen(train: Columns, part: Columns) -> int:
    """Return the number of ratings whose user or item has no training rating.

    Parameters
    ----------
    train : Columns
        Its vocabularies count training ratings only, as those of a split do.
    part : Columns
    """
    users, items = train.users.counts == 0, train.items.counts == 0
    pieces = zip(part.pieces("user"), part.pieces("item"), strict=True)
    return sum(int(np.count_nonzero(users[user] | items[item])) for user, item in pieces)


def split_of(parts: Mapping[str, Ratings], **rest: Any) -> Split:
    """Return the split of parts by name, and of the other attributes of `Split`."""
    return Split(parts["train"], parts.get("test"), parts.get("valid"), **rest)


def assembled(parts: Mapping[str, Ratings], scale: Scale, strategy: dict[str, Any]) -> Split:
    """Return a split of parts, with vocabularies that count the training ratings.

    Parameters
    ----------
    parts : mapping of Ratings
        "train" and, optionally, "test" and "valid".
    scale, strategy
        As in `Split`.
    """
    train = parts["train"]
    # All parts share the vocabularies, so that a row means the same id in each of them.
    users, items = train.users.counting(train.user), train.items.counting(train.item)
    over = {name: part.over(users, items) for name, part in parts.items()}
    return split_of(
        over,
        scale=scale,
        strategy=strategy,
        source=train.source,
    )


def check_parts(parts: Mapping[str, Sized], total: int, strategy: Mapping[str, Any]) -> None:
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
        if strategy.get("test") == 0:  # so the validation ratings leave none
            return DataError(rule, remedy=["lower ", Param("valid")])
        return DataError(rule, remedy=["lower ", Param("test"), *also])
    if name in strategy:
        return DataError(rule, remedy=["raise ", Param(name)])
    return DataError(rule, remedy=["choose another ", Param("strategy")])
