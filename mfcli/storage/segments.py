"""Lists of values that grow, in temporary space."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.storage.scratch_space import MemorySpace, Scratch
from mfcli.storage.threads import each

_READERS = 4  # threads that read: disks are faster if they know what is needed next


class Segments:
    """Lists of values, each appended piece by piece and read as a whole or in pieces.

    Parameters
    ----------
    space : Scratch or MemorySpace
    """

    def __init__(self, space: Scratch | MemorySpace) -> None:
        self._space = space
        # Of each list, the offset and the size of each segment, in bytes
        self._segments: dict[Hashable, list[tuple[int, int]]] = defaultdict(list)

    def append(self, key: Hashable, values: NDArray[Any]) -> None:
        """Append values to a list.

        Raises
        ------
        ArtifactError
            If they cannot be written.
        """
        size = values.nbytes
        if not size:
            return
        offset = self._space.reserve(size)
        self._space.write(offset, np.ascontiguousarray(values))
        segments = self._segments[key]
        if segments and sum(segments[-1]) == offset:  # they follow each other on disk
            offset, size = segments[-1][0], segments[-1][1] + size
            segments.pop()
        segments.append((offset, size))

    def distribute(
        self,
        numbers: NDArray[Any],
        columns: Mapping[str, NDArray[Any]],
        key: Callable[[str, int], Hashable],
    ) -> None:
        """Append each value to the list of its number; the order in a list is that of the values.

        Parameters
        ----------
        numbers : integer array, shape (n,)
            From 0 to 65,535.
        columns : mapping of arrays, shape (n,)
        key : callable
            Returns the key of a list, given the name of a column and a number.

        Raises
        ------
        ArtifactError
            If they cannot be written.
        """
        # NumPy sorts numbers of 16 bits by counting, which keeps the order of equal ones.
        order = np.argsort(numbers.astype(np.uint16), kind="stable")
        ends = np.cumsum(np.bincount(numbers)).tolist()
        for name, values in columns.items():
            ordered, start = values[order], 0
            for number, end in enumerate(ends):
                self.append(key(name, number), ordered[start:end])
                start = end

    def length(self, key: Hashable) -> int:
        """Return the bytes of a list."""
        return sum(size for _, size in self._segments.get(key, ()))

    def read(self, key: Hashable, dtype: Any) -> NDArray[Any]:
        """Return all values of a list."""
        values = np.empty(self.length(key) // np.dtype(dtype).itemsize, dtype)
        out, segments = values.view(np.uint8), self._segments.get(key, [])
        ends = np.cumsum([size for _, size in segments]).tolist()

        def read(number: int) -> None:
            offset, size = segments[number]
            self._space.read(offset, out[ends[number] - size : ends[number]])

        each(read, len(segments), _READERS)
        return values

    def pieces(self, key: Hashable, dtype: Any, count: int) -> Iterator[NDArray[Any]]:
        """Yield the values of a list in arrays of `count` values; the last one may be shorter."""
        size = np.dtype(dtype).itemsize
        left, position = self.length(key) // size, 0
        while left:
            piece = np.empty(min(count, left), dtype)
            self._fill(key, position, piece)
            yield piece
            left, position = left - len(piece), position + piece.nbytes

    def part(self, key: Hashable, dtype: Any, start: int, stop: int) -> NDArray[Any]:
        """Return the values `start` to ``stop - 1`` of a list."""
        values = np.empty(stop - start, dtype)
        self._fill(key, start * values.itemsize, values)
        return values

    def replace(self, key: Hashable, values: NDArray[Any]) -> None:
        """Replace the values of a list in their space, as far as it suffices."""
        left, segments = np.ascontiguousarray(values).view(np.uint8), self._segments.pop(key, [])
        for offset, size in segments:
            piece, left = left[:size], left[size:]
            if len(piece):
                self._space.write(offset, piece)
                self._segments[key].append((offset, len(piece)))
        self.append(key, left)

    def drop(self, key: Hashable) -> None:
        """Forget a list; its space is not used again."""
        self._segments.pop(key, None)

    def _fill(self, key: Hashable, position: int, out: NDArray[Any]) -> None:
        """Read the bytes of a list from a position on."""
        left = out.view(np.uint8)
        for offset, size in self._segments.get(key, ()):
            if position < size and len(left):
                count = min(size - position, len(left))
                self._space.read(offset + position, left[:count])
                left, position = left[count:], position + count
            position -= size
