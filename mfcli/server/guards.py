"""Checks of every request before it is answered, and headers of every response."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mfcli.errors import UsageError
from mfcli.server.problems import CLOSING, ProblemError, problem_response

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_NAME = re.compile(r"[\w-]+(\.[\w-]+)*", re.ASCII)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Refuses requests that a page of another site may have sent, and adds headers to responses.

    A site can let its name point to this machine (DNS rebinding), so requests must name the host by
    an IP address or by one of the names that are allowed. A page of another site can also send
    requests that change nothing, but whose answers it cannot read; those with a body are refused.

    Parameters
    ----------
    app : ASGI application
    hosts : collection of str
        Names of this server, besides its IP addresses.

    Raises
    ------
    UsageError
        If one of them is not a name, such as an address with a scheme or a port.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app, self._hosts = app, {_name_in_headers(host) for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        # Routes are found by the path as it was sent: an encoded slash is a part of an id.
        path = scope["raw_path"].decode("ascii", "replace")
        try:
            _check_host(Headers(scope=scope), self._hosts)
            _check_origin(scope["method"], Headers(scope=scope))
        except ProblemError as error:
            await problem_response(error, path)(scope, receive, guarded)
            return
        await self._app({**scope, "path": path}, receive, guarded)


def _name_in_headers(host: str) -> str:
    """Return the name of a host as browsers send it."""
    try:
        name = host.encode("idna").decode().lower().rstrip(".")
    except UnicodeError:
        name = ""
    if not _NAME.fullmatch(name):
        rule = "a name of the server must be a host name without scheme and port"
        raise UsageError(rule, value=host, remedy="name it as in: films.example")
    return name


def _check_host(headers: Headers, hosts: Collection[str]) -> None:
    """Refuse a request that names another host."""
    given = headers.getlist("host")
    if len(given) != 1:
        raise ProblemError(400, "exactly one Host header is required", CLOSING)
    try:
        name = (urlsplit(f"//{given[0]}").hostname or "").rstrip(".")
    except ValueError:
        name = ""
    if name not in hosts and not _is_address(name):
        raise ProblemError(421, f"this server is not {given[0]!r}", CLOSING)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _check_origin(method: str, headers: Headers) -> None:
    """Refuse a request with a body that a page of another site has sent."""
    if method in _SAFE_METHODS:
        return
    origin = headers.get("origin")
    is_other = origin is not None and origin.partition("://")[2] != headers["host"]
    if is_other or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise ProblemError(403, "pages of other sites may not send requests", CLOSING)
