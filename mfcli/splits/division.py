"""Ratings that are assigned to the parts of a split, but not copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mfcli.data import Scale, Source
from mfcli.splits.bucket_parts import BucketPart, pieces_of
from mfcli.splits.copies import copied
from mfcli.splits.parts import Split, split_of


@dataclass(frozen=True)
class Division:
    """Ratings that are assigned to the parts of a split, but not copied.

    Attributes
    ----------
    parts : dict of BucketPart
        "train" and, optionally, "test" and "valid", whose vocabularies count the training ratings
        only.
    scale, strategy, source
        As in `Split`.
    """

    parts: dict[str, BucketPart]
    scale: Scale
    strategy: dict[str, Any]
    source: Source | None

    @property
    def train(self) -> BucketPart:
        return self.parts["train"]

    def pieces(self, name: str) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield pieces of a column of all parts, each with the index of its part."""
        return pieces_of([*self.parts.values()], name)

    @property
    def feedback(self) -> str:
        """As in `Ratings`."""
        return self.train.place.buckets.feedback

    def split(self) -> Split:
        """Copy the parts."""
        taken = {name: copied(p, self.source, self.feedback) for name, p in self.parts.items()}
        return split_of(
            taken,
            scale=self.scale,
            strategy=self.strategy,
            source=self.source,
        )
