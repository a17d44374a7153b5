"""Pages of mapped files that are no longer needed."""

from __future__ import annotations

import mmap
import weakref
from typing import TYPE_CHECKING, Any

from mfcli.storage.lost_mappings import mappings
from mfcli.storage.process_resources import is_limited

if TYPE_CHECKING:
    from numpy.typing import NDArray

_addresses: weakref.WeakKeyDictionary[mmap.mmap, int] = weakref.WeakKeyDictionary()


def release(array: NDArray[Any]) -> None:
    """Give the memory of a view of a mapped file back to the system, if memory is limited.

    The values stay: the system reads them again when they are used.

    Parameters
    ----------
    array : array
        Contiguous. Nothing happens if it is not a view of a `MappedFile`.
    """
    if not is_limited():
        return
    address = array.ctypes.data
    for mapping in mappings():
        start = address - _address(mapping)
        if 0 <= start < len(mapping):
            release_part(mapping, start, array.nbytes)
            return


def release_part(mapping: mmap.mmap, start: int, size: int) -> None:
    """Give back the pages of a part of a mapping, if memory is limited; the last one stays."""
    if not is_limited() or not hasattr(mapping, "madvise"):  # as on Windows
        return
    size = min(size, len(mapping) - start)
    first, last = (n // mmap.PAGESIZE * mmap.PAGESIZE for n in (start, start + size))
    if last > first:
        mapping.madvise(mmap.MADV_DONTNEED, first, last - first)


def _address(mapping: mmap.mmap) -> int:
    import numpy as np

    if mapping not in _addresses:
        _addresses[mapping] = np.frombuffer(mapping, np.uint8).ctypes.data
    return _addresses[mapping]
