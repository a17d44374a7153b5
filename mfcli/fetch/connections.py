"""HTTP connections with time limits, so that no server can keep a download open forever.

The timeout of a socket starts again with every byte, and Python skips any number of responses "100
Continue". Here a response must begin in time and within a limited number of bytes, and its body
must arrive at a minimum rate.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
import urllib.request
from typing import IO, Any

TIMEOUT = 30.0  # seconds: without a byte, until the body begins, and of grace for a slow body

_SLOWEST = 1000  # bytes per second of a body, on average
_LONGEST = 1 << 16  # bytes before the body, the limit of Python for a single header


def opened(request: urllib.request.Request) -> Any:
    """Send a request and return the response, whose headers have been read.

    Raises
    ------
    OSError, http.client.HTTPException
        If the connection fails or is too slow.
    ValueError
        If the server redirects to a malformed address.
    """
    opener = urllib.request.build_opener(_Plain, _Secure, _Redirects)
    return opener.open(request, timeout=TIMEOUT)


class _Bounded(io.RawIOBase):
    """Reads from a socket until a deadline, which moves with the number of bytes read."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._file = connection, connection.makefile("rb", buffering=0)
        self._start, self._read, self._in_body = time.monotonic(), 0, False

    def begin_body(self) -> None:
        self._start, self._read, self._in_body = time.monotonic(), 0, True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        allowed = TIMEOUT + (self._read / _SLOWEST if self._in_body else 0.0)
        left = self._start + allowed - time.monotonic()
        if left <= 0:
            raise TimeoutError("the server is too slow")
        # Wait for a silent server no longer than the time that is left.
        self._socket.settimeout(min(left, TIMEOUT))
        count = self._file.readinto(buffer) or 0
        self._read += count
        if self._read > _LONGEST and not self._in_body:
            raise http.client.LineTooLong("response header")
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response that reads from a `_Bounded`."""

    def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self.fp.close()  # the file that Python made, which has no bounds
        self._bounded = _Bounded(sock)
        self.fp = io.BufferedReader(self._bounded)

    def begin(self) -> None:
        super().begin()  # reads the status and the headers
        self._bounded.begin_body()


class _PlainConnection(http.client.HTTPConnection):
    response_class = _Response


class _SecureConnection(http.client.HTTPSConnection):
    response_class = _Response


class _Plain(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_PlainConnection, req)


class _Secure(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, req)


class _Redirects(urllib.request.HTTPRedirectHandler):
    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> Any:
        fp.close()  # otherwise the body, which may not end, is read before the next request
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
