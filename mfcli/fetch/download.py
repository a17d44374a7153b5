"""Download files over HTTP, resuming where a connection broke."""

from __future__ import annotations

import contextlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from mfcli import __version__
from mfcli.errors import DataError, Param
from mfcli.types import Progress

PAUSES = (1.0, 2.0, 4.0)  # seconds before each new attempt after a temporary failure
CHUNK = 1 << 18
MIRROR = ("use ", Param("base", "URL"))

_TIMEOUT = 30.0  # seconds without a byte


class _Temporary(Exception):
    """A failure that another attempt may not have."""


def download(address: str, part: Path, on_progress: Progress) -> None:
    """Download a file; if `part` exists, request only the bytes after its end."""
    for pause in (*PAUSES, None):
        try:
            return _continue(address, part, on_progress)
        except _Temporary as error:
            if pause is None:
                raise _failed(address, str(error), "try again later, ") from error
            time.sleep(pause)


def _continue(address: str, part: Path, on_progress: Progress) -> None:
    done = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": f"mfcli/{__version__}"}
    if done:
        headers["Range"] = f"bytes={done}-"
    request = urllib.request.Request(address, headers=headers)
    with _network(address, part):
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    if response.status != 206:  # the whole file: not all servers know ranges
        done = 0
    total = done + (getattr(response, "length", None) or 0)  # FTP, after a redirect, has none
    with response, part.open("ab" if done else "wb") as file:
        while piece := _read(response, address, part):
            done += file.write(piece)
            on_progress(done, max(done, total))
    if done < total:
        raise _Temporary(f"the connection ended after {done:,} of {total:,} bytes")


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
    except (OSError, http.client.HTTPException, UnicodeError, OverflowError) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        raise _Temporary(reason) from error


def _failed(address: str, reason: str, *remedy: str) -> DataError:
    by_hand = ", or download and unpack it by hand"
    rule = f"cannot be downloaded: {reason}"
    return DataError(rule, place=address, remedy=(*remedy, *MIRROR, by_hand))
