"""Download files over HTTP, resuming where a connection broke."""

from __future__ import annotations

import contextlib
import http.client
import os
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mfcli import __version__
from mfcli.errors import ArtifactError, DataError, Param
from mfcli.fetch.connections import opened
from mfcli.types import Progress

PAUSES = (1.0, 2.0, 4.0)  # seconds before each new attempt after a temporary failure
CHUNK = 1 << 18  # bytes read at a time
MIRROR = ("use ", Param("base", "URL"))

_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class _Temporary(Exception):
    """A failure that may not occur on another attempt."""


def download(address: str, part: Path, most: int, on_progress: Progress) -> None:
    """Download a file; if `part` exists, request only the bytes after its end.

    Parameters
    ----------
    address : str
    part : Path
        Must be a regular file if it exists, because a link may lead to any other file.
    most : int
        Size limit in bytes.
    on_progress : callable
        Called with the number of bytes done and in total.

    Raises
    ------
    DataError
        If the file cannot be downloaded or is too large.
    ArtifactError
        If `part` is not a regular file.
    OSError
        If `part` cannot be written.
    """
    for pause in (*PAUSES, None):
        try:
            return _continue(address, part, most, on_progress)
        except _Temporary as error:
            if pause is None:
                raise _failed(address, str(error), "try again later, ") from error
            time.sleep(pause)


def _continue(address: str, part: Path, most: int, on_progress: Progress) -> None:
    done = _size(part)
    headers = {"User-Agent": f"mfcli/{__version__}"}
    if done:
        headers["Range"] = f"bytes={done}-"
    request = urllib.request.Request(address, headers=headers)
    with _network(address, part):
        response = opened(request)
    if response.status != 206:  # the whole file: not all servers know ranges
        done = 0
    total = done + (getattr(response, "length", None) or 0)  # FTP, after a redirect, has none
    with response, _open(part, append=done > 0) as file:
        while total <= most and (piece := _read(response, address, part)):
            done += file.write(piece)
            total = max(done, total)  # the length may be missing
            on_progress(done, total)
    if total > most:
        part.unlink(missing_ok=True)
        raise _failed(address, f"it has more than {most:,} bytes")
    if done < total:
        raise _Temporary(f"the connection ended after {done:,} of {total:,} bytes")


def _size(part: Path) -> int:
    """Return the size of a partial file, 0 if there is none."""
    try:
        status = part.lstat()
    except FileNotFoundError:
        return 0
    # With a second hard link, writing would change another file too.
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        rule = "must be a regular file without other links"
        raise ArtifactError(rule, place=part, remedy=["remove it, or use another ", Param("out")])
    return status.st_size


def _open(part: Path, append: bool) -> BinaryIO:
    """Open a partial file for writing, and never follow a link, even one that has just appeared."""
    mode = os.O_APPEND if append else os.O_TRUNC
    return os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | mode | _NO_LINKS, 0o666), "wb")


def _read(response: http.client.HTTPResponse, address: str, part: Path) -> bytes:
    with _network(address, part):
        return response.read1(CHUNK)


@contextlib.contextmanager
def _network(address: str, part: Path) -> Iterator[None]:
    """Distinguish temporary failures from permanent ones."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # the part is too long
            part.unlink(missing_ok=True)
        elif error.code < 500:
            why = " (a redirect was not followed)" if error.code < 400 else ""
            raise _failed(address, f"HTTP status {error.code}{why}") from None
        raise _Temporary(f"HTTP status {error.code}") from None
    except (http.client.InvalidURL, http.client.LineTooLong) as error:
        raise _failed(address, _reason(error)) from error
    except (OSError, http.client.HTTPException, UnicodeError, OverflowError) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        raise _Temporary(_reason(cause)) from error
    except ValueError as error:  # our own address has been checked
        raise _failed(address, "a redirect leads to an invalid address") from error


def _reason(error: object) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def _failed(address: str, reason: str, *remedy: str) -> DataError:
    by_hand = ", or download and unpack it by hand"
    rule = f"cannot be downloaded: {reason}"
    return DataError(rule, place=address, remedy=(*remedy, *MIRROR, by_hand))
