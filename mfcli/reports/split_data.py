"""The split of a report: found beside the runs, or given."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mfcli.arguments import path_of
from mfcli.data import Ratings, Scale, Source
from mfcli.reports.runs import Run
from mfcli.show import split_beside
from mfcli.splits import Changes, Folds, Split, folds_of, read_folds, read_split, split_hashes

_RECORD = "split.json"


@dataclass(frozen=True)
class SplitData:
    """A split, or a k-fold split, with what a report says about it.

    Attributes
    ----------
    given : Split or Folds
    place : Path or None
        Its folder; None in memory.
    hashes : set of str
        Its hash, and those of its folds.
    made : float
        When its folder was written, in seconds since 1970; now for a split in memory.
    """

    given: Split | Folds
    place: Path | None
    hashes: set[str]
    made: float

    @property
    def first(self) -> Split:
        """The split, or that of the first fold."""
        return self.given[0] if isinstance(self.given, Folds) else self.given

    @property
    def parts(self) -> dict[str, int]:
        """The number of ratings in each part; of a k-fold split, in each fold."""
        if isinstance(self.given, Folds):
            ends = self.given.ends
            return {f"fold {n}": ends[n] - ends[n - 1] for n in range(1, len(ends))}
        return {name: len(part) for name, part in self.given.parts.items()}

    @property
    def has_test(self) -> bool:
        """Whether ratings are held out for testing; each fold is."""
        return isinstance(self.given, Folds) or self.given.test is not None

    @property
    def has_valid(self) -> bool:
        """Whether ratings are held out for validation; a fold has none."""
        return isinstance(self.given, Split) and self.given.valid is not None

    @property
    def unseen(self) -> dict[str, int]:
        """Ratings of each held-out part whose user or item has no training rating."""
        if isinstance(self.given, Folds):
            return {}
        held_out = {n: part for n, part in self.given.parts.items() if n != "train"}
        return {name: self.given.unseen(part) for name, part in held_out.items()}

    @property
    def source(self) -> Source | None:
        return self.given.source

    @property
    def strategy(self) -> dict[str, Any]:
        return self.given.strategy

    @property
    def scale(self) -> Scale:
        return self.given.scale

    @property
    def hash(self) -> str:
        return self.given.hash

    @property
    def feedback(self) -> str:
        return self.given.feedback

    @property
    def updates(self) -> tuple[Changes, ...]:
        return () if isinstance(self.given, Folds) else self.given.updates

    def ratings(self) -> Ratings:
        """Return the ratings of all parts, over vocabularies that count them."""
        given = self.given
        found = given.ratings if isinstance(given, Folds) else given.union().train
        found = replace(found, source=self.source)  # a part does not know where it came from
        users, items = found.users.counting(found.user), found.items.counting(found.item)
        return found.over(users, items)


def split_data(
    given: Split | Folds | str | os.PathLike[str] | None, runs: Sequence[Run]
) -> SplitData | None:
    """Return the split that was given, or the one beside the runs; None if there is none.

    Raises
    ------
    ArtifactError
        If the split is damaged, or the folder that was given holds none.
    UsageError
        If it is neither a split nor a path.
    """
    if isinstance(given, Split | Folds):
        return SplitData(given, None, {given.hash} - {""}, time.time())
    place = _beside(runs) if given is None else path_of(given, "split")
    if place is None:
        return None
    read = read_folds(place) if folds_of(place) else read_split(place)
    made = (place / _RECORD).stat().st_mtime
    return SplitData(read, place, split_hashes(place), made)


def _beside(runs: Sequence[Run]) -> Path | None:
    """Return the split of the first run that has one beside it, or in the working folder."""
    for run in runs:
        folder = run.model.folder.parent if run.model else run.folder
        if found := split_beside(folder, run.split_hash):
            place = Path(found["path"])
            return place.parent if _is_fold(place) else place
    return None


def _is_fold(place: Path) -> bool:
    return place in folds_of(place.parent) if (place.parent / _RECORD).exists() else False
