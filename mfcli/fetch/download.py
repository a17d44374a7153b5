"""Download files over HTTP: resumed where a connection broke, retried, and bounded in size."""

from __future__ import annotations

import contextlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mfcli import __version__
from mfcli.errors import ArtifactError, DataError, Param
from mfcli.types import Progress

PAUSES = (1.0, 2.0, 4.0)  # seconds before each new attempt after the connection breaks
LARGEST = 4 << 30  # bytes, compressed or not; ml-32m has 0.9 GB
CHUNK = 1 << 18
MIRROR = ("use ", Param("base", "URL"))

_BY_HAND = (*MIRROR, ", or download and unpack it by hand")
_TIMEOUT = 30.0  # seconds without a byte

T = TypeVar("T")


class _Temporary(Exception):
    """A failure that another attempt may not have."""


class _Useless(_Temporary):
    """The server cannot continue the partial file, so the next attempt starts again."""


def read_page(address: str) -> str:
    """Return the text at an address, of which only the first 256 kB are read."""

    def attempt() -> str:
        with _response(address) as response:
            return _read(response, address).decode("latin-1")

    return _retried(attempt, address)


def download(address: str, part: Path, on_progress: Progress) -> None:
    """Download a file; if the part exists, request only the bytes after its end."""
    _retried(lambda: _continue(address, part, on_progress), address)


def _retried(attempt: Callable[[], T], address: str) -> T:
    for pause in PAUSES:
        with contextlib.suppress(_Temporary):
            return attempt()
        time.sleep(pause)
    try:
        return attempt()
    except _Temporary as error:
        raise _failed(address, str(error), "try again later, ") from error


def _failed(address: str, reason: str, *remedy: str) -> DataError:
    return DataError(f"cannot be downloaded: {reason}", place=address, remedy=(*remedy, *_BY_HAND))


def _continue(address: str, part: Path, on_progress: Progress) -> None:
    start = part.stat().st_size if part.is_file() else 0
    try:
        with _response(address, start) as response:
            _append(response, address, part, _extent(response, start), on_progress)
    except _Useless:
        with on_disk(part):
            part.unlink(missing_ok=True)
        raise


def _extent(response: http.client.HTTPResponse, start: int) -> tuple[int, int | None]:
    """Return the position of the first byte of a response, and the size of the file if known."""
    if response.status == 200:  # the whole file, also where a server ignores ranges
        return 0, response.length
    total = start + (response.length or 0)
    span = response.headers.get("Content-Range")
    if response.status != 206 or span != f"bytes {start}-{total - 1}/{total}":
        raise _Useless(f"asked for bytes {start}-, got status {response.status} and {span!r}")
    return start, total


def _append(
    response: http.client.HTTPResponse,
    address: str,
    part: Path,
    extent: tuple[int, int | None],
    on_progress: Progress,
) -> None:
    """Write the bytes of a response from their position on."""
    done, total = extent
    if (total or 0) > LARGEST:
        raise _too_large(address)
    with on_disk(part), part.open("ab" if done else "wb") as file:
        while piece := _read(response, address):
            file.write(piece)
            done += len(piece)
            on_progress(done, total or done)
            if done > LARGEST:
                raise _too_large(address)
    if done < (total or 0):
        raise _Temporary(f"the connection ended after {done:,} of {total:,} bytes")


def _too_large(address: str) -> DataError:
    return DataError(f"must have at most {LARGEST:,} bytes", place=address, remedy=MIRROR)


def _read(response: http.client.HTTPResponse, address: str) -> bytes:
    with _network(address):
        return response.read1(CHUNK)


@contextlib.contextmanager
def _response(address: str, start: int = 0) -> Iterator[http.client.HTTPResponse]:
    """Request an address, from byte `start` to the end."""
    headers = {"User-Agent": f"mfcli/{__version__}"} | (
        {"Range": f"bytes={start}-"} if start else {}
    )
    request = urllib.request.Request(address, headers=headers)
    with _network(address):
        response = urllib.request.build_opener(_Redirects).open(request, timeout=_TIMEOUT)
    with response:
        yield response


@contextlib.contextmanager
def _network(address: str) -> Iterator[None]:
    """Distinguish temporary failures from permanent ones."""
    try:
        yield
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(address, error.code) from None
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise _Temporary(_reason(error)) from error


def _refused(address: str, status: int) -> Exception:
    if status == 416:
        return _Useless("HTTP status 416")
    if status >= 500:
        return _Temporary(f"HTTP status {status}")
    why = " (too many redirects)" if 300 <= status < 400 else ""
    return _failed(address, f"HTTP status {status}{why}")


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow up to five redirects, none of them to another scheme."""

    max_redirections = 5

    def redirect_request(self, *args: Any, **extra: Any) -> urllib.request.Request | None:
        request, response, *_, address = args
        if urlsplit(address).scheme != request.type:
            response.close()
            rule = f"must not redirect from {request.type} to {address!r}"
            raise DataError(rule, place=request.full_url, remedy=MIRROR)
        return super().redirect_request(*args, **extra)


@contextlib.contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Name the path in failures of the disk."""
    try:
        yield
    except OSError as error:
        rule, remedy = (
            f"cannot be read or written: {_reason(error)}",
            ("use another ", Param("out")),
        )
        raise ArtifactError(rule, place=path, remedy=remedy) from error
