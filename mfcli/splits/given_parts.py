"""Parts of a split that are given, such as those of a published one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import chain, combinations
from typing import Any, NamedTuple

import numpy as np

from mfcli.data import Buckets, Scale, Source, common_feedback, scale_of
from mfcli.errors import DataError
from mfcli.splits.bucket_parts import Place
from mfcli.splits.numbering import common_numberings
from mfcli.splits.partition import Partition
from mfcli.splits.pool import TRAIN, Pool
from mfcli.storage import room, space
from mfcli.types import Counts, Rows

_PAIR = np.dtype(np.int64)
_COPIES = 4  # of the pairs that are compared, sorted ones included


class GivenParts(NamedTuple):
    """Parts over common vocabularies.

    Attributes
    ----------
    places : dict of Place
    types : dict of dtype
        Of the columns: times only if all parts have them, weights if one has them.
    scale : Scale
        Of all ratings.
    source : Source or None
        Of all ratings; None if that of a part is not known.
    """

    places: dict[str, Place]
    types: dict[str, np.dtype[Any]]
    scale: Scale
    source: Source | None


def given_parts(given: Mapping[str, Buckets]) -> GivenParts:
    """Join the vocabularies of parts, in the order of the parts and of the ids in each.

    Raises
    ------
    DataError
        If two parts have a rating of the same user and item, or are of different feedback.
    """
    common_feedback({name: buckets.feedback for name, buckets in given.items()})
    users = common_numberings([buckets.users for buckets in given.values()])
    items = common_numberings([buckets.items for buckets in given.values()])
    places = {
        name: Place(buckets, TRAIN, {"user": user, "item": item})
        for (name, buckets), user, item in zip(given.items(), users, items, strict=True)
    }
    _check_disjoint(places)
    scale = scale_of(chain.from_iterable(Pool(b).all_pieces("rating") for b in given.values()))
    return GivenParts(places, _types(given), scale, _source(given))


def _types(given: Mapping[str, Buckets]) -> dict[str, np.dtype[Any]]:
    every = [buckets.types for buckets in given.values()]
    types = dict(chain.from_iterable(one.items() for one in every))
    return {n: kind for n, kind in types.items() if n != "timestamp" or all(n in e for e in every)}


def _source(given: Mapping[str, Buckets]) -> Source | None:
    sources = [buckets.source for buckets in given.values()]
    known = [source for source in sources if source is not None]
    return reduce(Source.joined, known) if len(known) == len(sources) else None


def _check_disjoint(places: Mapping[str, Place]) -> None:
    ratings = sum(place.buckets.size(TRAIN) for place in places.values())
    groups = ratings * _PAIR.itemsize * _COPIES // room() + 1
    with space(ratings * _PAIR.itemsize, "comparing the parts") as made:
        pairs = Partition(made, groups)
        for name, place in places.items():
            for pair, user in _pairs(place):
                pairs.add(user % pairs.count, {name: pair})
        for one, two in combinations(places, 2):
            if common := _common(pairs, one, two):
                rule = f"{common:,} pairs of a user and an item are in {one} and in {two}"
                raise DataError(rule, remedy="remove them from one of the two")


def _common(pairs: Partition, one: str, two: str) -> int:
    """Return how many pairs two parts have in common."""
    both = ((pairs.read(one, n, _PAIR), pairs.read(two, n, _PAIR)) for n in range(pairs.count))
    return sum(len(np.intersect1d(mine, other, assume_unique=True)) for mine, other in both)


def _pairs(place: Place) -> Iterator[tuple[Counts, Rows]]:
    """Yield a number for each pair of a user and an item, and the rows of the users."""
    numberings, buckets = place.numberings, place.buckets
    for bucket in range(len(buckets)):
        columns = zip(numberings.values(), Pool(buckets).columns(bucket, *numberings), strict=True)
        user, item = (numbering.of_split(rows) for numbering, rows in columns)
        pair = user.astype(np.int64)  # int32 would overflow
        pair *= len(numberings["item"].ids)
        pair += item
        yield pair, user
