"""Sums of each user, in memory or, if they do not fit, in temporary space."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np

from mfcli.storage import Scratch, room, scratch
from mfcli.types import Doubles

_FIXED = 48  # bytes per user of arrays that are in memory at the same time


class UserSums:
    """Several sums of each user, set and read one by one, or for a range of users.

    Parameters
    ----------
    names : sequence of str
        Of the sums.
    users : int
    space : Scratch, optional
        Where they are kept; in memory by default.

    Attributes
    ----------
    names : tuple of str
    users : int
    is_stored : bool
        Whether they are in temporary space.
    """

    def __init__(self, names: Sequence[str], users: int, space: Scratch | None = None) -> None:
        self.names, self.users, self._space = tuple(names), users, space
        self._places = {name: place for place, name in enumerate(self.names)}
        if space is None:
            self._rows = np.empty((len(self.names), users))
        else:
            self._offset = space.reserve(8 * len(self.names) * users)

    @property
    def is_stored(self) -> bool:
        return self._space is not None

    @property
    def nbytes(self) -> int:
        """Bytes of all sums."""
        return 8 * len(self.names) * self.users

    def set(self, name: str, values: Doubles, start: int = 0) -> None:
        """Set a sum of the users from `start` on; different users may be set by several threads."""
        if self._space is None:
            self._rows[self._places[name], start : start + len(values)] = values
        else:
            data = np.ascontiguousarray(values, np.float64)
            self._space.write(self._place(self._places[name], start), data)

    def get(self, name: str) -> Doubles:
        """Return a sum of all users, float64 of shape (users,), which must not be changed."""
        return self._read(self._places[name], 0, self.users)

    def block(self, start: int, end: int) -> Doubles:
        """Return all sums of a range of users, float64 of shape (sums, end - start)."""
        end = min(end, self.users)
        if self._space is None:
            return self._rows[:, start:end]
        return np.stack([self._read(row, start, end) for row in range(len(self.names))])

    def _read(self, row: int, start: int, end: int) -> Doubles:
        if self._space is None:
            return self._rows[row, start:end]
        values = np.empty(end - start)
        self._space.read(self._place(row, start), values)
        return values

    def _place(self, row: int, user: int) -> int:
        return self._offset + 8 * (row * self.users + user)


@contextlib.contextmanager
def user_sums(names: Sequence[str], users: int, what: str) -> Iterator[UserSums]:
    """Yield sums to set, in memory if they fit.

    Parameters
    ----------
    names : sequence of str
    users : int
    what : str
        The work, for an error.

    Raises
    ------
    LimitError
        If there is too little temporary space.
    """
    need = 8 * len(names) * users
    if need <= room(_FIXED * users):
        yield UserSums(names, users)
        return
    with scratch(need, what) as space:
        yield UserSums(names, users, space)
