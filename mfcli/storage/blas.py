"""One thread for BLAS and LAPACK, so that their results have the same bits everywhere.

The order of additions in BLAS and LAPACK depends on their number of threads, which depends on the
machine, on environment variables and on other libraries. mfcli runs its own threads, so BLAS gets
one. The package threadpoolctl does nothing if another thread has set a limit, so the library is
called directly.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

# Calls that read and set the number of threads: OpenBLAS under the names of its builds, MKL, BLIS,
# and Accelerate of macOS 15, for which 1 also means a single thread.
_CALLS = [
    *(
        (f"{prefix}openblas_get_num_threads{suffix}", f"{prefix}openblas_set_num_threads{suffix}")
        for prefix in ("scipy_", "")
        for suffix in ("64_", "_64", "")
    ),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
    ("bli_thread_get_num_threads", "bli_thread_set_num_threads"),
    ("BLASGetThreading", "BLASSetThreading"),
]
_lock = threading.Lock()
_originals: list[int] = []  # numbers of threads before each of the blocks that run


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS use one thread while a block or a decorated function runs.

    Blocks may be nested and may run in several threads at the same time. BLAS gets its threads
    back when the last one ends.
    """
    get, set_to = blas_calls()
    with _lock:
        # Within another block, this is the 1 that the other block has set.
        _originals.append(get())
        set_to(1)
    try:
        yield
    finally:
        with _lock:
            # Blocks of several threads end in any order, so only their number counts.
            if len(_originals) == 1:
                set_to(_originals[0])
            del _originals[-1]  # the first entry is the number before all blocks


@functools.cache
def blas_calls() -> tuple[Callable[[], int], Callable[[int], object]]:
    """Return the calls that read and set the number of threads of NumPy's BLAS.

    An unknown library keeps the number that environment variables give it.
    """
    import numpy
    from numpy.linalg import _umath_linalg  # linked with BLAS

    # Systems look a name up in the libraries that a module is linked with; Windows does not, but
    # the packages of NumPy on PyPI have a folder with the library.
    bundled = (Path(numpy.__file__).parent.parent / "numpy.libs").glob("*openblas*")
    for path in (_umath_linalg.__file__, *bundled):
        with contextlib.suppress(OSError):
            library = ctypes.CDLL(str(path))
            for get, set_to in _CALLS:
                if hasattr(library, get) and hasattr(library, set_to):
                    return getattr(library, get), getattr(library, set_to)
    return lambda: 1, lambda number: None
