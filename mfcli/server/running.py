"""A process that serves an application until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import sys
from collections.abc import Callable

import uvicorn

from mfcli.errors import Param, Text, UsageError
from mfcli.server.application import Application
from mfcli.server.connections import Connection
from mfcli.server.watching import watch

_BACKLOG = 1024  # connections that wait to be accepted
_AT_ONCE = 64  # connections that are accepted before others are closed
_FILES = 4096  # that may be open, if the system allows it
_GRACE = 1  # seconds for requests to be finished after a signal
_IDLE = 30  # seconds until a connection without requests is closed
_SWITCH = 0.001  # seconds until Python lets another thread run, instead of 0.005


def serve(
    app: Application,
    host: str,
    port: int,
    *,
    reload: bool = False,
    on_start: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve an application until SIGINT or SIGTERM.

    Parameters
    ----------
    app : Application
        Its model may still be loading.
    host : str
        Address to listen on.
    port : int
        0 for a free one.
    reload : bool
        Load the model again whenever its files change.
    on_start : callable, optional
        Called with the URL when the model is loaded.

    Raises
    ------
    UsageError
        If the address or the port cannot be used.
    MfcliError
        If the model cannot be loaded.
    """
    listener = _listener(host, port)
    _allow_files()
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # clients must not fill a log
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # nor if no file can be opened
    sys.setswitchinterval(_SWITCH)  # so that answers do not delay other requests
    shown = f"[{host}]" if ":" in host else host
    server = _Server(app, lambda: on_start(f"http://{shown}:{listener.getsockname()[1]}/"))
    if reload:
        watch(app.versions, app.sources.versions, app.reload)
    server.run(sockets=[listener])
    if server.failure:
        raise server.failure


class _Server(uvicorn.Server):
    """A server that ends if its first model cannot be loaded."""

    failure: BaseException | None = None

    def __init__(self, app: Application, on_start: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_GRACE,
                timeout_keep_alive=_IDLE,
                backlog=_AT_ONCE,
            )
        )
        self._served, self._on_start = app.loader.served, on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for one in sockets or ():
            one.listen(_BACKLOG)  # asyncio has set this to the number that it accepts at once
        self._announcing = asyncio.create_task(self._announce())

    async def _announce(self) -> None:
        try:
            await asyncio.wrap_future(self._served)
            self._on_start()
        except Exception as error:
            self.failure, self.should_exit = error, True


def _allow_files() -> None:
    """Let this process have enough open files for all connections; some systems begin with 256."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # a lower limit of the system
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    UsageError
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        # With its protocol, so that asyncio sends answers without delay (TCP_NODELAY).
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # elsewhere, two servers could have the same port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        return listener
    except (OSError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        is_port = getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EACCES)
        other: Text = ["choose another ", Param("host")]
        if is_port:
            other = ["choose another ", Param("port"), ", or ", Param("port", 0), " for a free one"]
        raise UsageError(
            f"cannot listen on {host}, port {port}: {reason}",
            remedy=other,
        ) from None
