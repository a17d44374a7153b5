"""Standard output and standard error that work with any encoding, and if they are closed or full.

`guard_streams` replaces both. Characters that the encoding of a stream lacks are escaped. A stream
that is closed discards what is printed. A write that fails on standard output is an `OutputError`;
on standard error, it is ignored, because messages must not stop the work.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import select
import shutil
import sys
from typing import Any, BinaryIO, TextIO, cast

from rich.console import Console

from mfcli.cli.formatting import printable
from mfcli.errors import MfcliError
from mfcli.storage import with_addresses

UNLIMITED = 1 << 20
"""Columns of output that is not to a terminal."""

_BROKEN_PIPE = 128 + 13  # the status of a program that SIGPIPE ends


class OutputError(MfcliError):
    """Standard output cannot be written; its reader may have enough (`head`)."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot be written: {error.strerror or error}", place="standard output")
        self.is_broken_pipe = error.errno in (errno.EPIPE, errno.ESHUTDOWN)
        self.exit_code = _BROKEN_PIPE if self.is_broken_pipe else 1


def guard_streams() -> None:
    """Replace standard output and standard error; does nothing if they are replaced already."""
    sys.stdout = _guarded(sys.stdout, must_write=True)
    sys.stderr = _guarded(sys.stderr, must_write=False)
    if os.name == "posix" and sys.stdin is not None:
        # Python reads an empty pipe that does not block as the end of the input.
        with contextlib.suppress(OSError, ValueError):
            os.set_blocking(sys.stdin.fileno(), True)


def print_line(text: str) -> None:
    """Print one line on standard output; characters that control a terminal are escaped."""
    print(printable(with_addresses(text)))


def print_message(kind: str, text: str) -> None:
    """Print a note, a warning or an error in one line on standard error."""
    print(f"{kind}: {printable(with_addresses(text))}", file=sys.stderr)


def data_output() -> BinaryIO:
    """Return standard output for data that programs read, which is always UTF-8.

    Raises
    ------
    OutputError
        If it is closed.
    """
    raw = getattr(sys.stdout.buffer, "raw", None)
    if isinstance(raw, _Guard) and not raw.is_open:
        raise OutputError(OSError(errno.EBADF, "it is closed"))
    sys.stdout.flush()  # text that was printed before must come first
    return sys.stdout.buffer


def width() -> int:
    """Return the columns of standard output, for which tables and help are laid out.

    These are the variable `COLUMNS`, if it is set, or those of the terminal. Lines to a file or a
    pipe may have any length.
    """
    given = os.environ.get("COLUMNS", "")
    if re.fullmatch("[1-9][0-9]{0,4}", given):
        return int(given)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED


def console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Return a console that prints text as it is, without markup, emoji codes or highlighting."""
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def _guarded(stream: TextIO | None, *, must_write: bool) -> TextIO:
    below = getattr(stream, "buffer", None)
    if isinstance(getattr(below, "raw", None), _Guard) or (stream is not None and below is None):
        return cast(TextIO, stream)  # guarded already, or text in memory
    if stream is not None:
        stream.flush()
    guard = _Guard(stream, must_write)
    return io.TextIOWrapper(
        io.BufferedWriter(guard),
        encoding=stream.encoding if stream else "utf-8",
        errors="backslashreplace",  # an escaped character is better than an error
        # Messages appear at once; output to a file or pipe is written in large pieces.
        line_buffering=not must_write or guard.isatty(),
        write_through=getattr(stream, "write_through", False),
    )


class _Guard(io.RawIOBase):
    """Writes to the bytes below a stream, or discards everything if it is closed or has failed.

    Parameters
    ----------
    stream : text stream, optional
        None if it is closed.
    must_write : bool
        Whether a write that fails is an error.

    Attributes
    ----------
    is_open : bool
    """

    def __init__(self, stream: TextIO | None, must_write: bool) -> None:
        self._stream = stream  # keeps it alive: a stream that is collected closes its bytes
        buffer: Any = stream.buffer if stream else None
        self._below, self._must_write = getattr(buffer, "raw", buffer), must_write

    @property
    def is_open(self) -> bool:
        return self._below is not None

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self.is_open and bool(self._below.isatty())

    def fileno(self) -> int:
        return int(self._below.fileno()) if self.is_open else super().fileno()

    def write(self, data: Any) -> int:
        if not self.is_open:
            return len(data)
        try:
            # None means that a pipe that does not block is full.
            while (written := self._below.write(data)) is None:
                select.select([], [self._below], [])
        except OSError as error:
            self._below = None  # what is still in the buffers must not fail again at exit
            if self._must_write:
                raise OutputError(error) from error
            return len(data)
        return int(written)
