"""Columns that are divided into groups, in memory or on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.storage import MemorySpace, Scratch, Segments

_MOST = 1 << 12  # groups; more would be written in very small pieces


class Partition:
    """Columns that are divided into groups.

    Parameters
    ----------
    space : Scratch or MemorySpace
    groups : int
        How many are wanted.
    """

    def __init__(self, space: Scratch | MemorySpace, groups: int) -> None:
        self._segments, self.count = Segments(space), min(groups, _MOST)

    def add(self, group: NDArray[Any], columns: Mapping[str, NDArray[Any]]) -> None:
        """Append values to groups.

        Parameters
        ----------
        group : integer array, shape (n,)
            The group of each value, below `count`.
        columns : mapping of arrays, shape (n,)
        """
        self._segments.distribute(group.astype(np.int64), columns, lambda *key: key)

    @property
    def bits(self) -> int:
        """The number of bits that number a group, if `count` is a power of two."""
        return self.count.bit_length() - 1

    def replace(self, name: str, group: int, values: NDArray[Any]) -> None:
        """Replace the values of a column in a group by as many others."""
        self._segments.replace((name, group), values)

    def read(self, name: str, group: int, kind: np.dtype[Any]) -> NDArray[Any]:
        """Return the values of a column in a group."""
        return self._segments.read((name, group), kind)
