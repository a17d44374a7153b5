"""Ranges of users, so that what they have rated and their lists fit in memory.

What users have rated is read as it is if it all fits. Otherwise, one pass appends each rating to
the range of its user in temporary space.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.model.grouping import count_values
from mfcli.model.rated_parts import TYPES, Pieces, RatingPieces
from mfcli.storage import Segments, check_memory, room, scratch
from mfcli.types import Counts, Doubles, Progress, Rows

_COLUMNS = dict.fromkeys(("excluded", "profile"), ("user", "item"))  # otherwise all columns
_MEMORY = {"excluded": 4, "profile": 4, "explaining": 64}
"""Bytes for each rating: grouped items, and columns, their order and the equations' positions."""
_PIECE = 1 << 20  # ratings that are read together
_MOST = 256  # ranges, unless single users need more than their share


@dataclass(frozen=True)
class UserRange:
    """Some users, and what they have rated.

    Attributes
    ----------
    users : int32 array, shape (m,)
        In the order of all users.
    known : dict of RatingPieces
        Ratings of these users, and perhaps of others, by what they are used for.
    """

    users: Rows
    known: dict[str, RatingPieces]


def user_ranges(
    users: Rows,
    known: Mapping[str, RatingPieces],
    *,
    fixed: float,
    each: float,
    work: str = "recommending items",
    on_progress: Progress = lambda done, total: None,
) -> Iterator[UserRange]:
    """Yield ranges of users, at least one.

    Parameters
    ----------
    users : int32 array, shape (m,)
    known : mapping of RatingPieces
        What is excluded ("excluded"), what explains predictions ("explaining"), and what tells the
        profiles of users ("profile").
    fixed, each : float
        Bytes of memory that are needed in any case, and for each user.
    work : str
        What they are for, for an error.
    on_progress : callable, optional
        Called with the number of ratings that are in temporary space, and of all that will be.

    Raises
    ------
    LimitError, ArtifactError
        If there is too little memory for 256 ranges, or too little temporary space.
    """
    counts = {what: _counts(ratings) for what, ratings in known.items()}
    need = np.full(len(users), each)
    for what, count in counts.items():
        need += _MEMORY[what] * count[users]
    # Each range takes time, so a limit that allows only small ones is refused.
    least = need.sum() / _MOST
    check_memory(fixed + least, work, "use fewer users")
    ends = _ends(np.cumsum(need), max(room(fixed), int(least)))
    # Of a user who is listed twice, only one range could hold the ratings.
    listed = users[users >= 0]
    if known and len(ends) > 1 and len(np.unique(listed)) == len(listed):
        yield from _stored_ranges(users, ends, known, counts, work, on_progress)
        return
    for start, end in _bounds([len(users)] if known else ends):
        yield UserRange(users[start:end], {**known})


def _bounds(ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip([0, *ends], ends, strict=False)


def _stored_ranges(
    users: Rows,
    ends: list[int],
    known: Mapping[str, RatingPieces],
    counts: Mapping[str, Counts],
    work: str,
    on_progress: Progress,
) -> Iterator[UserRange]:
    """Yield ranges whose ratings are in temporary space."""
    size = max(ratings.size for ratings in known.values())
    numbers = np.full(size, -1, np.int32)
    listed = users >= 0  # unknown users have rated nothing
    numbers[users[listed]] = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))[listed]
    names = {what: _COLUMNS.get(what, ratings.names) for what, ratings in known.items()}
    sizes = {what: int(count[users].sum()) for what, count in counts.items()}
    need = sum(
        size * sum(TYPES[name].itemsize for name in names[what]) for what, size in sizes.items()
    )
    with scratch(need, work) as space:
        segments, done = Segments(space), 0
        for what, ratings in known.items():
            for appended in _append(segments, what, ratings, names[what], numbers):
                done += appended
                on_progress(done, sum(sizes.values()))
        for number, (start, end) in enumerate(_bounds(ends)):
            own: dict[str, RatingPieces] = {
                what: _Stored(segments, (what, number), names[what], size) for what in known
            }
            yield UserRange(users[start:end], own)


def _counts(ratings: RatingPieces) -> Counts:
    """Return how many known items each user has rated."""
    counts = np.zeros(ratings.size, np.int64)
    for piece in ratings.pieces("user", "item"):
        count_values(*piece, counts)
    return counts


def _ends(total: Doubles, most: int) -> list[int]:
    """Cut users into ranges of consecutive ones, given the bytes that they need up to each one.

    A range needs at most `most` bytes, or is one user.
    """
    ends, start = list[int](), 0
    while start < len(total):
        before = total[start - 1] if start else 0.0
        start = max(int(np.searchsorted(total, before + most, side="right")), start + 1)
        ends.append(start)
    return ends or [0]


def _append(
    segments: Segments,
    what: str,
    ratings: RatingPieces,
    names: tuple[str, ...],
    numbers: NDArray[Any],
) -> Iterator[int]:
    """Append each rating to the range of its user, of which `numbers` has the number.

    Yield how many ratings of a piece were appended.
    """
    numbers = np.append(numbers, numbers.dtype.type(-1))  # the last one is that of the row -1
    for columns in ratings.pieces(*names):
        number = numbers[columns[0]]
        kept = (number >= 0) & (columns[1] >= 0)
        taken = {name: column[kept] for name, column in zip(names, columns, strict=True)}
        segments.distribute(number[kept], taken, lambda name, number: (what, number, name))
        yield len(taken["user"])


@dataclass(frozen=True)
class _Stored:
    """Ratings of a range in temporary space; the names of its columns follow `key`."""

    segments: Segments
    key: tuple[str, int]
    names: tuple[str, ...]
    size: int

    def pieces(self, *names: str) -> Pieces:
        yield from zip(*map(self._column, names), strict=True)

    def _column(self, name: str) -> Iterator[NDArray[Any]]:
        return self.segments.pieces((*self.key, name), TYPES[name], _PIECE)
