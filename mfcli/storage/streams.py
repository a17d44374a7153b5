"""Control of what libraries print."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def stderr_held() -> Iterator[None]:
    """Discard what libraries write to standard error; print it if the block raises an error.

    It is also discarded after Ctrl-C.
    """
    if sys.stderr:  # None if it is closed
        sys.stderr.flush()
    # Libraries in C write to the file descriptor, so replacing `sys.stderr` is not enough. A file,
    # not a pipe: a pipe that nobody reads fills up and blocks.
    with tempfile.TemporaryFile() as held:
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
