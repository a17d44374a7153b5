"""The parts of ratings in buckets, whose columns are made piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Buckets, Vocabulary
from mfcli.splits.numbering import Numbering
from mfcli.splits.pool import Pool


class Place(NamedTuple):
    """Where the ratings of a part are: the buckets, the number of the part, and the new rows."""

    buckets: Buckets
    number: int
    numberings: Mapping[str, Numbering]


@dataclass(frozen=True)
class BucketPart:
    """The ratings of buckets that are in a part, in the order of the files.

    Attributes
    ----------
    place : Place
    types : dict of dtype
        Of the columns, as in `Ratings`; the weights of buckets that lack them are 1.
    users, items : Vocabulary
    """

    place: Place
    types: dict[str, np.dtype[Any]]
    users: Vocabulary
    items: Vocabulary

    def __len__(self) -> int:
        return self.place.buckets.size(self.place.number)

    def pieces(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield a column piece by piece; the memory of a piece may be used for the next one."""
        return (piece for _, piece in pieces_of([self], name))

    def of_split(self, name: str, piece: NDArray[Any]) -> NDArray[Any]:
        """Convert a piece of a column of the buckets; a missing weight comes as a rating."""
        buckets, _, numberings = self.place
        if name not in buckets.types:
            return np.ones(len(piece), self.types[name])
        return numberings[name].of_split(piece) if name in numberings else piece


def pieces_of(parts: Sequence[BucketPart], name: str) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield pieces of a column of several parts, each with the index of the part.

    The memory of a piece may be used for the next one. Buckets of several parts are read once.
    """
    for buckets in dict.fromkeys(part.place.buckets for part in parts):
        own = {p.place.number: n for n, p in enumerate(parts) if p.place.buckets is buckets}
        column = name if name in buckets.types else "rating"
        for number, piece in buckets.pieces_of_parts(column, [*own]):
            yield own[number], parts[own[number]].of_split(name, piece)


def parts_in(places: Mapping[str, Place], types: dict[str, np.dtype[Any]]) -> dict[str, BucketPart]:
    """Return parts over vocabularies that count the training ratings.

    Parameters
    ----------
    places : mapping of Place
        Of "train" and, optionally, "test" and "valid".
    types : dict of dtype
        Of the columns of all parts.
    """
    buckets, _, numberings = places["train"]
    users, items = (n.counting(Pool(buckets).counts(name)) for name, n in numberings.items())
    return {name: BucketPart(place, types, users, items) for name, place in places.items()}
