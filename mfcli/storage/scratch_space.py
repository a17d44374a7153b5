"""Space for data that do not fit in memory, in an unnamed temporary file."""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mfcli.errors import LimitError, Param, Text
from mfcli.storage import lost_mappings
from mfcli.storage.byte_sizes import bytes_text
from mfcli.storage.memory import room
from mfcli.storage.process_resources import current_resources, temporary_folder
from mfcli.storage.scratch_files import scratch_errors, scratch_file


class Scratch:
    """A temporary file that is written and read at any place, by any number of threads.

    Parameters
    ----------
    file : binary file
        Open for reading and writing, without a buffer in use.
    in_order : bool
        Whether it is read from the start to the end, so that the system should read ahead.
    """

    def __init__(self, file: BinaryIO, *, in_order: bool = False) -> None:
        self._file, self._end, self._lock = file, 0, threading.Lock()
        self._advise("POSIX_FADV_NORMAL" if in_order else "POSIX_FADV_RANDOM")

    def reserve(self, size: int) -> int:
        """Return the offset of `size` bytes that nobody else has reserved."""
        with self._lock:
            self._end += size
            return self._end - size

    def write(self, offset: int, data: Any) -> None:
        """Write the bytes of an array.

        Raises
        ------
        ArtifactError
            If the system cannot write them, as on a full disk.
        """
        left = memoryview(data).cast("B")
        with scratch_errors():
            while len(left):
                written = self._write(offset, left)
                offset, left = offset + written, left[written:]

    def read(self, offset: int, out: Any) -> None:
        """Fill an array with bytes that were written.

        Raises
        ------
        ArtifactError
            If the system cannot read them.
        """
        left = memoryview(out).cast("B")
        with scratch_errors():
            while len(left):
                count = self._read(offset, left)
                if not count:
                    raise EOFError("a temporary file is shorter than what was written")
                offset, left = offset + count, left[count:]

    def array(self, offset: int, dtype: Any, count: int) -> NDArray[Any]:
        """Return values that were written, mapped into memory, which outlive the space.

        Windows does not remove files in use, so there they are copied into memory.
        """
        if os.name == "nt":
            values = np.empty(count, dtype)
            self.read(offset, values)
            return values
        self._advise("POSIX_FADV_NORMAL")  # a mapped column is read in order
        with scratch_errors():
            self._file.flush()
            mapping = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        lost_mappings.watch(temporary_folder(), mapping)
        return np.frombuffer(mapping, dtype, count, offset)

    def _advise(self, advice: str) -> None:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file.fileno(), 0, 0, getattr(os, advice))

    def _write(self, offset: int, data: memoryview) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._file.fileno(), data, offset)
        with self._lock:  # Windows has one position per file
            self._file.seek(offset)
            return self._file.write(data)

    def _read(self, offset: int, out: memoryview) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [out], offset)
        with self._lock:
            self._file.seek(offset)
            data = self._file.read(len(out))
            out[: len(data)] = data
            return len(data)


class MemorySpace:
    """Space of a fixed size in memory, with the methods of `Scratch` that `Segments` uses.

    Parameters
    ----------
    size : int
        Bytes.
    """

    def __init__(self, size: int) -> None:
        self._bytes, self._end = np.empty(size, np.uint8), 0

    def reserve(self, size: int) -> int:
        """Return the offset of `size` bytes that nobody else has reserved."""
        self._end += size
        return self._end - size

    def write(self, offset: int, data: NDArray[Any]) -> None:
        """Copy the bytes of an array."""
        values = data.reshape(-1).view(np.uint8)
        self._bytes[offset : offset + len(values)] = values

    def read(self, offset: int, out: NDArray[Any]) -> None:
        """Fill an array with bytes that were written."""
        values = out.reshape(-1).view(np.uint8)
        values[:] = self._bytes[offset : offset + len(values)]


@contextlib.contextmanager
def space(size: int, what: str) -> Iterator[Scratch | MemorySpace]:
    """Yield space for exactly `size` bytes: in memory if they fit, otherwise that of `scratch`."""
    if size <= room():
        yield MemorySpace(size)
        return
    with scratch(size, what) as made:
        yield made


@contextlib.contextmanager
def scratch(need: int, what: str, *, in_order: bool = False) -> Iterator[Scratch]:
    """Yield temporary space, which exists within the block and does not outlive the process.

    Parameters
    ----------
    need : int
        About how many bytes will be written.
    what : str
        The work, such as "splitting ratings.csv".
    in_order : bool
        As in `Scratch`.

    Raises
    ------
    LimitError
        If the folder of temporary files has less space.
    ArtifactError
        If the file cannot be created.
    """
    folder, _ = check_space(need, what)
    current_resources().on_space(need, folder)
    with scratch_file() as (file, _):
        yield Scratch(file, in_order=in_order)


def check_space(need: int, what: str) -> tuple[Path, int]:
    """Check that the folder of temporary files has space; return it and its free bytes.

    Parameters
    ----------
    need, what
        As for `scratch`.

    Raises
    ------
    LimitError
        If it has less space.
    ArtifactError
        If there is no such folder.
    """
    with scratch_errors():
        folder = temporary_folder()
        free = shutil.disk_usage(folder).free
    if need > free:
        rule = f"{what} needs about {bytes_text(need)} of temporary space, {bytes_text(free)}"
        remedy: Text = ["name a folder with more space with ", Param("temp")]
        raise LimitError(f"{rule} are free", place=folder, remedy=remedy)
    return folder, free


def lasting_scratch(need: int, what: str, *, in_order: bool = False) -> Scratch:
    """Return temporary space that exists as long as the object is in use, see `scratch`."""
    with contextlib.ExitStack() as stack:
        space = stack.enter_context(scratch(need, what, in_order=in_order))
        weakref.finalize(space, stack.pop_all().close)
    return space
