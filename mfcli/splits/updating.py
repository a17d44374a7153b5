"""The revision of a split by new ratings, or without some users.

Ids keep their rows, and new ids are appended. A pair stays in its part: if it is rated again, its
rating is replaced there. Pairs that are new go to train. The rows of users close up when some are
removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from mfcli.data import (
    IMPLICIT,
    Ratings,
    Scale,
    Vocabulary,
    common_feedback,
    concatenated,
    counts_of,
    merge_duplicates,
    scale_of,
    to_arrow_mask,
    united,
)
from mfcli.errors import DataError, Param, Text
from mfcli.splits.changes import Changes, TakenFile
from mfcli.splits.parts import Split
from mfcli.splits.revisions import VALUES, RevisedPart, Revision
from mfcli.types import Counts, Mask, Rows

_PIECE = 1 << 20  # ratings that are compared at a time
_ADDED = ("rating", "weight")  # columns of events that add up
_NONE = np.zeros(0, np.int64)


def revised(
    split: Split, given: Sequence[Ratings] = (), removed: pa.Array | None = None
) -> tuple[Revision | None, Changes]:
    """Revise a split by new ratings, or without some users.

    Of two ratings of a pair, the later one counts if the split has times, otherwise the given one.
    Strengths of events are added.

    Parameters
    ----------
    split : Split
    given : sequence of Ratings
        Of equal times, the last rating counts.
    removed : Arrow array of int64 or string, optional
        Ids of users to remove, together with all their ratings, also the given ones.

    Returns
    -------
    revision : Revision or None
        None if nothing changes.
    changes : Changes

    Raises
    ------
    DataError
        If the split is a fold, the ratings are of other feedback or lack times that the split has,
        a sum of strengths does not fit in float32, or no training rating is left.
    """
    _check(split, given)
    given, skipped = _untaken(split, given)
    files = tuple(map(_file, filter(_is_file, given)))
    rest, changes = split, Changes(files=files, skipped=skipped)
    if removed is not None:
        given, omitted = _omitting(given, removed)
        rest, changes = _without(split, removed, replace(changes, omitted=omitted))
    total = reduce(concatenated, given) if given else rest.train.take(slice(0))
    rest, total = _alike(rest, total)
    revision, changes = _revision(rest, _numbered(rest, total), changes, split)
    return None if changes.is_empty else revision, changes


def check_updatable(split: Split, place: Path | None = None) -> None:
    """Refuse a fold of a k-fold split, which shares its ratings with the other folds.

    Raises
    ------
    DataError
    """
    if "fold" in split.strategy:
        rule, remedy = "a k-fold split cannot be updated", "split all ratings together"
        raise DataError(rule, place=place, remedy=remedy)


def _check(split: Split, given: Sequence[Ratings]) -> None:
    check_updatable(split)
    for ratings in given:
        name = ratings.source.name if ratings.source else "ratings"
        common_feedback({"the split": split.feedback, name: ratings.feedback})
        if split.train.timestamp is not None and ratings.timestamp is None:
            rule = "has no timestamps, but the ratings of the split have"
            remedy: Text = ["add a column of times, or name it with ", Param("columns.timestamp")]
            raise DataError(rule, place=name, remedy=remedy)


def _untaken(split: Split, given: Sequence[Ratings]) -> tuple[list[Ratings], tuple[str, ...]]:
    """Leave out files that the split was made from or has taken in, and return their names."""
    known = {file.sha256 for update in split.updates for file in update.files}
    known |= {split.source.sha256} if split.source else set()
    rest, skipped = [], []
    for ratings in given:
        source = ratings.source
        if source and source.sha256 and source.sha256 in known:
            skipped.append(source.name)
        else:
            rest.append(ratings)
            known |= {source.sha256} if source else set()
    return rest, tuple(skipped)


def _is_file(ratings: Ratings) -> bool:
    return ratings.source is not None and bool(ratings.source.sha256)


def _file(ratings: Ratings) -> TakenFile:
    source = ratings.source
    assert source  # of `_is_file`
    return TakenFile(source.name, source.bytes, source.sha256)


def _omitting(given: Sequence[Ratings], removed: pa.Array) -> tuple[list[Ratings], int]:
    """Leave out the ratings of removed users, and count them."""
    kept = [ratings.take(~_marked(ratings.users, removed)[ratings.user]) for ratings in given]
    return kept, sum(map(len, given)) - sum(map(len, kept))


def _marked(vocabulary: Vocabulary, ids: pa.Array) -> Mask:
    """Mark the rows of ids; those that are unknown are ignored."""
    rows = vocabulary.rows(ids)
    marked = np.zeros(len(vocabulary), np.bool_)
    marked[rows[rows >= 0]] = True
    return marked


def _without(split: Split, removed: pa.Array, changes: Changes) -> tuple[Split, Changes]:
    """Remove users; the rows of the others close up."""
    old, gone = split.train.users, _marked(split.train.users, removed)
    changes = replace(changes, unknown=int(np.count_nonzero(old.rows(removed) < 0)))
    if not gone.any():
        return split, changes
    row = np.cumsum(~gone, dtype=np.int32) - 1  # the new row of each user who stays
    left = {name: part.take(~gone[part.user]) for name, part in split.parts.items()}
    if not len(left["train"]):
        raise DataError("no training rating is left without these users")
    users = Vocabulary(old.ids.filter(to_arrow_mask(~gone)), old.counts[~gone])
    items = split.train.items.counting(left["train"].item)
    parts = {n: replace(part.over(users, items), user=row[part.user]) for n, part in left.items()}
    ratings = sum(len(part) - len(left[name]) for name, part in split.parts.items())
    count = int(np.count_nonzero(gone))
    changes = replace(changes, removed_users=count, removed_ratings=ratings)
    return _of_parts(split, parts), changes


def _of_parts(split: Split, parts: Mapping[str, Ratings]) -> Split:
    """Return a split with other parts; parts without ratings are left out."""
    changes: dict[str, Any] = {name: part if len(part) else None for name, part in parts.items()}
    return replace(split, address="", extents={}, **changes)


def _alike(split: Split, given: Ratings) -> tuple[Split, Ratings]:
    """Return a split and ratings with the same columns; a missing weight is 1."""
    if split.train.timestamp is None:
        given = replace(given, timestamp=None)
    if split.train.weight is None and given.weight is None:
        return split, given
    parts = {name: _weighted(part) for name, part in split.parts.items()}
    return _of_parts(split, parts), _weighted(given)


def _weighted(ratings: Ratings) -> Ratings:
    if ratings.weight is not None:
        return ratings
    return replace(ratings, weight=np.ones(len(ratings), np.float32))


def _numbered(split: Split, given: Ratings) -> Ratings:
    """Return ratings over the vocabularies of a split, to which new ids are appended.

    Each pair occurs once. The vocabularies count the training ratings of the split.
    """
    given = given.without_empty()  # such as ids of users who are removed
    users, user = _extended(split.train.users, given.users)
    items, item = _extended(split.train.items, given.items)
    over = replace(given, user=user[given.user], item=item[given.item])
    # Several texts may be the same id, such as 42 and 42.0, and several files have the same pair.
    rule = "sum" if split.feedback == IMPLICIT else "keep-last"
    merged = merge_duplicates(over.over(users, items), rule, lambda row: f"rating {row + 1}")
    return merged.ratings.over(users, items)


def _extended(old: Vocabulary, new: Vocabulary) -> tuple[Vocabulary, Rows]:
    both, rows = united(old, new)
    if len(both) == len(old):
        return old, rows  # with ids of the same type
    more = np.zeros(len(both) - len(old), np.int64)
    return Vocabulary(both.ids, np.concatenate([old.counts, more])), rows


class _Again(NamedTuple):
    """Pairs of a part that are rated again.

    Attributes
    ----------
    rows : int64 array, shape (n,)
        Positions of the ratings that are replaced, ascending.
    ratings : Ratings
        What replaces them.
    counts : int64 array, shape (3,)
        Number of ratings that are replaced, that were there already, and that are older.
    """

    rows: Counts
    ratings: Ratings
    counts: Counts


def _rated_again(part: Ratings, rows: Counts, given: Ratings) -> _Again:
    """Find the ratings of a part that change, given new ratings of some of its pairs."""
    before = part.take(rows)
    again = _added(before, given) if part.feedback == IMPLICIT else given
    differs, is_later = np.zeros(len(rows), np.bool_), np.ones(len(rows), np.bool_)
    for name in set(VALUES) & set(part.types):
        differs |= getattr(before, name) != getattr(again, name)
    if before.timestamp is not None and again.timestamp is not None:
        is_later = again.timestamp >= before.timestamp
    changed = differs & is_later
    counts = [np.count_nonzero(mask) for mask in (changed, ~differs, differs & ~is_later)]
    return _Again(rows[changed], again.take(changed), np.array(counts))


def _added(before: Ratings, given: Ratings) -> Ratings:
    """Add strengths, and weights; the later time counts."""
    with np.errstate(over="ignore"):
        sums = {n: getattr(before, n) + getattr(given, n) for n in _ADDED if n in before.types}
    if not all(np.isfinite(column).all() for column in sums.values()):
        rule = "the strengths of a user and an item add up to more than float32 can hold"
        raise DataError(rule, remedy="divide all strengths by a constant, and split again")
    if before.timestamp is not None and given.timestamp is not None:
        sums["timestamp"] = np.maximum(before.timestamp, given.timestamp)
    return replace(given, **sums)


def _revision(
    split: Split, given: Ratings, changes: Changes, older: Split
) -> tuple[Revision, Changes]:
    """Assign ratings to the parts of a split, and count what changes."""
    pairs, is_new = _Pairs.of(given), np.ones(len(given), np.bool_)
    found: dict[str, _Again] = {}
    for name, part in split.parts.items():
        rows, at = pairs.in_part(part)
        is_new[at] = False
        found[name] = _rated_again(part, rows, given.take(at))
    new = given.take(is_new)
    users, items = _counting(given.users, new.user), _counting(given.items, new.item)
    more = {name: new if name == "train" else new.take(slice(0)) for name in found}
    parts = {
        name: RevisedPart(split.parts[name], again.rows, again.ratings, more[name], users, items)
        for name, again in found.items()
    }
    changed, same, earlier = np.sum([again.counts for again in found.values()], axis=0).tolist()
    counted = replace(
        changes,
        new=len(new),
        changed=changed,
        same=same,
        older=earlier,
        users=len(users) - len(split.train.users),
        items=len(items) - len(split.train.items),
    )
    updates = (*older.updates, replace(counted, unknown=0, skipped=()))
    return Revision(parts, older, _scale(parts), updates), counted


def _counting(vocabulary: Vocabulary, more: Rows) -> Vocabulary:
    """Add training ratings to the counts of a vocabulary."""
    return Vocabulary(vocabulary.ids, vocabulary.counts + counts_of(more, len(vocabulary)))


def _scale(parts: Mapping[str, RevisedPart]) -> Scale:
    return scale_of(chain.from_iterable(part.pieces("rating") for part in parts.values()))


class _Pairs(NamedTuple):
    """Pairs of users and items, among which those of a part are looked for.

    Attributes
    ----------
    numbers : int64 array, shape (n,)
        A number for each pair, ascending.
    order : int64 array, shape (n,)
        The position of each among the ratings.
    users, items : bool arrays, shapes (n_users,) and (n_items,)
        The rows that occur. Few do, so few ratings of a part need a search.
    """

    numbers: Counts
    order: Counts
    users: Mask
    items: Mask

    @classmethod
    def of(cls, given: Ratings) -> _Pairs:
        numbers = _numbers(given.user, given.item, len(given.items))
        order = np.argsort(numbers)
        users, items = np.zeros(len(given.users), np.bool_), np.zeros(len(given.items), np.bool_)
        users[given.user], items[given.item] = True, True
        return cls(numbers[order], order, users, items)

    def in_part(self, part: Ratings) -> tuple[Counts, Counts]:
        """Return the positions of pairs in a part, and the position of each among the ratings."""
        found = [*self._found(part)] if len(self.numbers) else []
        rows, at = zip(*found, strict=True) if found else ([_NONE], [_NONE])
        return np.concatenate(rows), self.order[np.concatenate(at)]

    def _found(self, part: Ratings) -> Iterator[tuple[Counts, Counts]]:
        for start in range(0, len(part), _PIECE):
            user, item = part.user[start : start + _PIECE], part.item[start : start + _PIECE]
            near = np.flatnonzero(self.users[user] & self.items[item])
            numbers = _numbers(user[near], item[near], len(self.items))
            at = np.searchsorted(self.numbers, numbers).clip(max=len(self.numbers) - 1)
            same = self.numbers[at] == numbers
            yield near[same] + start, at[same]


def _numbers(user: Rows, item: Rows, items: int) -> Counts:
    return user.astype(np.int64) * items + item
