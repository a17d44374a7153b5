"""What updates changed in a split, as `split.json` records it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TakenFile:
    """A file whose ratings were taken into a split; its fields are those of `Source`."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Changes:
    """What an update changed.

    Attributes
    ----------
    files : tuple of TakenFile
        Files of ratings; none for ratings in memory.
    new : int
        Pairs that the split did not hold.
    changed : int
        Pairs that were rated again, with another value, time or weight.
    same : int
        Ratings that the split held already.
    older : int
        Ratings of pairs of which the split holds a later one.
    users, items : int
        New ids.
    removed_users, removed_ratings : int
        Users that were removed, and their ratings.
    omitted : int
        New ratings by removed users, which were not taken in.
    unknown : int
        Users to remove that the split does not have; not recorded.
    skipped : tuple of str
        Files that were taken in before; not recorded.
    """

    files: tuple[TakenFile, ...] = ()
    new: int = 0
    changed: int = 0
    same: int = 0
    older: int = 0
    users: int = 0
    items: int = 0
    removed_users: int = 0
    removed_ratings: int = 0
    omitted: int = 0
    unknown: int = 0
    skipped: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the split stays as it is."""
        return not (self.new or self.changed or self.removed_users)
