"""The records of a split folder: `split.json` of a split, of a k-fold split, and of a fold."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from mfcli.data import EXPLICIT, IMPLICIT, Source
from mfcli.splits.changes import Changes
from mfcli.splits.folds import hash_of_entries, leaves_nothing
from mfcli.storage import Record, Section, Whole

MOST_FOLDS = 100  # also the limit of the setting `folds`
REJECTED = "rejected.csv"  # not part of the hash of a split


class StrategySection(Section, omit_defaults=True):
    """How a split was made: the name of the strategy, and the settings that were used."""

    name: str
    test: float | None = None
    cut: str | None = None
    folds: Whole | None = None
    valid: float | None = None
    seed: int | None = None
    min_user: Whole | None = None
    min_item: Whole | None = None
    removed: dict[str, Whole] | None = None


class ScaleSection(Section):
    """The scale of the ratings."""

    min: float
    max: float
    step: float | None


class SplitRecord(Record, omit_defaults=True):
    """`split.json` of a split, or of a k-fold split as a whole.

    Attributes
    ----------
    ratings : dict of int
        Number of ratings in "all", and in each part; only "all" in a k-fold split.
    mean : float
        Of the training ratings; of all ratings in a k-fold split.
    files : dict of str
        SHA-256 of each file.
    hash : str
        Digest of the files that hold the split.
    unseen : dict of int
        Ratings of each part other than train whose user or item has no training rating.
    ends : list of int
        Of a k-fold split: 0 and the end of each fold.
    feedback : {"explicit", "implicit"}
        As in `Ratings`; earlier versions, which knew only ratings, did not write it.
    parent, updates
        As in `Split`.
    """

    FORMAT = 2

    strategy: StrategySection
    source: Source | None
    users: Whole
    items: Whole
    ratings: dict[str, Whole]
    density: float
    mean: float
    scale: ScaleSection
    files: dict[str, str]
    hash: str
    unseen: dict[str, Whole] | None = None
    ends: list[Whole] | None = None
    feedback: str = EXPLICIT
    parent: str = ""
    updates: tuple[Changes, ...] = ()

    def __post_init__(self) -> None:
        # Otherwise a model could not be matched with the split that it was trained on.
        if self.hash != hash_of(self.files):
            raise ValueError("is damaged (its hash is wrong)")
        if self.feedback not in (EXPLICIT, IMPLICIT):
            raise ValueError(f"has an unknown feedback ({self.feedback!r})")
        if self.ends is not None:
            self._check_folds(self.ends)

    def _check_folds(self, ends: list[int]) -> None:
        valid, folds = self.strategy.valid, len(ends) - 1
        if valid is None:
            raise ValueError("has no strategy.valid")
        # Everything that `Folds` indexes with is checked here, because the file may be damaged.
        rising = all(start < end for start, end in pairwise(ends))
        if ends[:1] != [0] or not rising or not 2 <= folds <= MOST_FOLDS:
            raise ValueError("is damaged (its folds are not ranges)")
        if folds != self.strategy.folds:
            raise ValueError(f"has {folds} folds, but strategy.folds is {self.strategy.folds}")
        if not 0 <= valid < 1 or leaves_nothing(valid, ends):
            raise ValueError(f"leaves no rating to train on (strategy.valid is {valid:g})")


class FoldRecord(Record):
    """`split.json` of a fold: its number from 1. The folder above holds the ratings."""

    FORMAT = 2

    fold: Whole


def hash_of(files: dict[str, str]) -> str:
    """Return the hash of a split, given the digests of its files."""
    return hash_of_entries({name: value for name, value in files.items() if name != REJECTED})


def strategy_section(strategy: dict[str, Any]) -> StrategySection:
    """Return the strategy of a split as a record; the number of a fold is not part of it."""
    return StrategySection(**{name: v for name, v in strategy.items() if name != "fold"})
