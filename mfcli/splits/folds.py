"""K-fold splits: every rating is tested once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, overload

import numpy as np

from mfcli.config import Config
from mfcli.data import Ratings, Scale, Source, scale_of
from mfcli.errors import DataError, Param, Text
from mfcli.splits.copies import copied
from mfcli.splits.extents import Extent
from mfcli.splits.numbering import Numbering
from mfcli.splits.parts import Split, assembled
from mfcli.splits.pool import Pool
from mfcli.splits.shuffled import Shuffle
from mfcli.storage import joined


@dataclass(frozen=True)
class Folds(Sequence[Split]):
    """The splits of a k-fold split; they share the ratings.

    ``folds[0]`` tests on the first fold and trains on the others, ``folds[1]`` on the second, and
    so on. A split is made when it is asked for.

    Attributes
    ----------
    ratings : Ratings
        All ratings in random order, the folds one after another.
    ends : sequence of int
        0 and the end of each fold among the ratings.
    scale : Scale
    strategy : dict
        As in `Split`.
    hash : str
        Digest of the files of the split; empty until it is written.
    address : str
        Folder from which others can read the ratings; empty if they are in memory only.
    file : str
        Name of the file of ratings at the address.
    """

    ratings: Ratings
    ends: Sequence[int]
    scale: Scale
    strategy: dict[str, Any]
    hash: str = ""
    address: str = field(default="", compare=False)
    file: str = field(default="", compare=False)

    @property
    def source(self) -> Source | None:
        """Where the ratings came from."""
        return self.ratings.source

    @property
    def feedback(self) -> str:
        """As in `Ratings`."""
        return self.ratings.feedback

    def __len__(self) -> int:
        return len(self.ends) - 1

    @overload
    def __getitem__(self, fold: int) -> Split: ...

    @overload
    def __getitem__(self, fold: slice) -> list[Split]: ...

    def __getitem__(self, fold: int | slice) -> Split | list[Split]:
        folds = range(len(self))[fold]
        return [*map(self._split, folds)] if isinstance(folds, range) else self._split(folds)

    def _split(self, fold: int) -> Split:
        """Make the split that tests on a fold, given its number from 0."""
        start, end = self.ends[fold : fold + 2]
        # Begin after the tested fold and wrap around, so that the folds validate on different
        # ratings.
        others = [(end, len(self.ratings)), (0, start)]
        ranges = {"train": others, "test": [(start, end)]}
        # The ratings are in random order, so the first of the other folds can be for validation.
        if valid := validation_size(self.strategy["valid"], len(self.ratings)):
            ranges |= {"valid": _cut(others, 0, valid), "train": _cut(others, valid, None)}
        parts = {name: self._take(some) for name, some in ranges.items()}
        split = assembled(parts, self.scale, self.strategy | {"fold": fold + 1})
        if not self.hash:
            return split
        split = replace(split, hash=fold_hash(self.hash, fold + 1))
        if not self.address:
            return split
        file = f"../{self.file}"  # the folder of a fold holds a record only
        extents = {name: tuple(Extent(file, *one) for one in some) for name, some in ranges.items()}
        return replace(split, address=joined(self.address, f"fold-{fold + 1}"), extents=extents)

    def _take(self, ranges: Sequence[tuple[int, int]]) -> Ratings:
        return self.ratings.take(np.concatenate([np.arange(*one) for one in ranges]))


def _cut(ranges: Sequence[tuple[int, int]], first: int, last: int | None) -> list[tuple[int, int]]:
    """Return the ranges of the numbers `first` to ``last - 1`` among those of ranges."""
    found, before = [], 0
    for start, stop in ranges:
        end = stop if last is None else min(stop, start + last - before)
        begin = start + max(first - before, 0)
        if begin < end:
            found.append((begin, end))
        before += stop - start
    return found


@dataclass(frozen=True)
class DividedFolds:
    """The ratings of a k-fold split in random order, but not copied.

    Attributes
    ----------
    ratings : Shuffle
    ends, scale, strategy
        As in `Folds`.
    """

    ratings: Shuffle
    ends: Sequence[int]
    scale: Scale
    strategy: dict[str, Any]

    @property
    def source(self) -> Source | None:
        """Where the ratings came from."""
        return self.ratings.pool.buckets.source

    @property
    def feedback(self) -> str:
        """As in `Ratings`."""
        return self.ratings.pool.buckets.feedback

    def folds(self) -> Folds:
        """Copy the ratings."""
        with self.ratings.ordered() as ordered:
            ratings = copied(ordered, self.source, self.feedback)
        return Folds(ratings, self.ends, self.scale, self.strategy)


def make_folds(
    pool: Pool, numberings: Mapping[str, Numbering], config: Config, used: dict[str, Any]
) -> DividedFolds:
    """Divide ratings into folds at random.

    Parameters
    ----------
    pool : Pool
    numberings : mapping of Numbering
        The rows of the split for "user" and "item".
    config : Config
        Its `folds` and `valid` are used.
    used : dict
        The strategy and the settings that were used.

    Raises
    ------
    DataError
        If there are fewer ratings than folds, or none are left to train on.
    """
    total = len(pool)
    if total < config.folds:
        rule: Text = f"{total} ratings are too few for {config.folds} folds"
        raise DataError(rule, remedy=["lower ", Param("folds")])
    # Sizes differ by at most one.
    ends: list[int] = (np.arange(config.folds + 1) * total // config.folds).tolist()
    if leaves_nothing(config.valid, ends):
        valid = Param("valid", config.valid)
        rule = [f"{config.folds} folds and ", valid, " leave nothing to train on"]
        raise DataError(rule, remedy=["lower ", Param("valid")])
    users, items = (n.counting(pool.counts(name)) for name, n in numberings.items())
    # Each fold is a range of the shuffled ratings, and the others are at most two.
    shuffle = Shuffle(pool, numberings, users, items)
    return DividedFolds(shuffle, ends, scale_of(pool.all_pieces("rating")), used)


def validation_size(fraction: float, ratings: int) -> int:
    """Return the number of validation ratings of a fold: a fraction of all ratings, or 0."""
    return max(round(fraction * ratings), 1) if fraction else 0


def leaves_nothing(valid: float, ends: Sequence[int]) -> bool:
    """Return whether a fold has no training rating, given the validation fraction."""
    others = ends[-1] - max(end - start for start, end in pairwise(ends))
    return validation_size(valid, ends[-1]) >= others


def fold_hash(whole: str, fold: int) -> str:
    """Return the hash of a fold, given the hash of its k-fold split and its number from 1."""
    return hash_of_entries({"fold": str(fold), "of": whole})


def hash_of_entries(entries: dict[str, str]) -> str:
    """Return the SHA-256 of names and their values; their order does not matter."""
    # The format of `sha256sum`, so that users can compute the hash themselves.
    lines = [f"{value}  {name}\n" for name, value in sorted(entries.items())]
    return hashlib.sha256("".join(lines).encode(errors="backslashreplace")).hexdigest()
