"""NumPy arrays in `.npy` and `.npz` files."""

from __future__ import annotations

import contextlib
import math
import tokenize
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mfcli.errors import ArtifactError, Text
from mfcli.storage.files import MappedFile

_PART = 1 << 16  # rows in memory at a time


class PermutedRows:
    """The rows of an array in another order, copied only a part at a time.

    Parameters
    ----------
    rows : array, shape (n, ...)
    places : integer array, shape (n,)
        Where each of the rows is.
    """

    def __init__(self, rows: NDArray[Any], places: NDArray[Any]) -> None:
        self._rows, self._places = rows, places
        self.shape, self.dtype = rows.shape, rows.dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self._rows[self._places], dtype)

    def copy(self) -> NDArray[Any]:
        """Return all rows in their order."""
        return np.asarray(self._rows[self._places])

    def fill(self, values: NDArray[Any]) -> None:
        """Replace the rows by values in their order."""
        for part in self._parts():
            self._rows[self._places[part]] = values[part]

    def pieces(self) -> Iterator[NDArray[Any]]:
        """Yield some of the rows at a time, in their order."""
        for part in self._parts():
            yield self._rows[self._places[part]]

    def _parts(self) -> Iterator[slice]:
        return (slice(at, at + _PART) for at in range(0, len(self._places), _PART))


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays so that `numpy.load` reads them without pickles.

    Unlike `numpy.savez`, this closes the file when the disk is full.
    """
    with zipfile.ZipFile(path, "w") as archive:
        # Members are stored, not compressed: random weights hardly shrink.
        for name, array in arrays.items():
            # The size is not known in advance, and without zip64 it may not exceed 2 GB.
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                if isinstance(array, PermutedRows):
                    _write_pieces(file, array)
                else:
                    np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


def _write_pieces(file: IO[bytes], array: PermutedRows) -> None:
    """Write what `write_array` writes for the whole."""
    kind = np.lib.format.dtype_to_descr(array.dtype)
    header = {"descr": kind, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, header)
    for piece in array.pieces():
        file.write(piece.data.cast("B"))


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array to a `.npy` file, which `numpy.load` can map into memory."""
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def read_arrays(file: MappedFile, remedy: Text) -> dict[str, NDArray[Any]]:
    """Read the arrays of `write_arrays`.

    Raises
    ------
    ArtifactError
        If they are damaged.
    """
    with _reading(file, remedy), np.load(file.stream(), allow_pickle=False) as arrays:
        return dict(arrays)


def mapped_array(file: MappedFile, remedy: Text) -> NDArray[Any]:
    """Return the array of `write_array`, which stays mapped and is read-only.

    Raises
    ------
    ArtifactError
        If it is damaged.
    """
    with _reading(file, remedy):
        stream = file.stream()
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("of another version")
        shape, _, kind = np.lib.format.read_array_header_1_0(stream)
        array = np.frombuffer(file.content, kind, math.prod(shape), stream.tell())
        return array.reshape(shape)


@contextlib.contextmanager
def _reading(file: MappedFile, remedy: Text) -> Iterator[None]:
    """Convert what NumPy raises for other bytes to an `ArtifactError`."""
    try:
        yield
    except (
        OSError, EOFError, KeyError, TypeError, ValueError, MemoryError, SyntaxError,
        tokenize.TokenError, zipfile.BadZipFile,
    ) as error:  # fmt: skip
        rule = f"is damaged ({error!r})"
        raise ArtifactError(rule, place=file.path, remedy=remedy) from error
