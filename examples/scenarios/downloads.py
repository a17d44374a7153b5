"""A slow server from which `mfcli fetch` downloads."""

from __future__ import annotations

import hashlib
import io
import random
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

_PIECES = 20


def _archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("ml-latest-small/ratings.csv", random.Random(0).randbytes(3_000_000))
        archive.writestr("ml-latest-small/README.txt", "generated")
    return data.getvalue()


_ARCHIVE = _archive()
_DIGEST = hashlib.md5(_ARCHIVE).hexdigest().encode()


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data = _ARCHIVE if self.path.endswith(".zip") else _DIGEST
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        size = -(-len(data) // _PIECES)
        try:
            for start in range(0, len(data), size):
                self.wfile.write(data[start : start + size])
                time.sleep(0.02)
        except OSError:
            pass  # the command was stopped

    def log_message(self, *_: object) -> None:
        pass


class Downloads:
    """A context manager that serves an archive and returns the address, each time the same.

    `mfcli fetch` records the address, so that results with different ones would differ.
    """

    _port = 0  # chosen by the system the first time

    def __enter__(self) -> str:
        self._server = ThreadingHTTPServer(("127.0.0.1", Downloads._port), _Answer)
        Downloads._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
