"""The ASGI application."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mfcli.arguments import path_of
from mfcli.errors import MfcliError
from mfcli.server.decoding import decoded_body, decoded_id, decoded_query
from mfcli.server.endpoints import ENDPOINTS, Endpoint
from mfcli.server.guards import Guard
from mfcli.server.loading import Loader
from mfcli.server.openapi import description
from mfcli.server.page_files import page_file
from mfcli.server.parameters import Nothing
from mfcli.server.problems import NO_STORE, ProblemError, problem_response
from mfcli.server.served_model import ServedModel
from mfcli.server.sources import Sources

LOCAL = ("localhost",)
"""Names of this machine for itself."""

_LOG = logging.getLogger("mfcli.server")
_THREADS = {"usual": 2, "slow": 1}  # for answers that take more than a few milliseconds
_LARGE = 4096  # bytes of a response that is worth to be compressed
_LEVEL = 4  # of compression: fast
_REVALIDATE = "no-cache"  # a response may be kept, but not used without asking

Respond = Callable[[Request], Awaitable[Response]]


class Application:
    """An ASGI application that serves a model; made by `application`.

    Attributes
    ----------
    loader : Loader
        Loads the model, and a new one in its place.
    sources : Sources
    versions : list
        Of the files, before the first model is loaded.
    """

    def __init__(self, sources: Sources, hosts: Collection[str]) -> None:
        self.loader = Loader(sources.load)
        self.sources, self.versions = sources, sources.versions()
        self._pools = {kind: ThreadPoolExecutor(n, kind) for kind, n in _THREADS.items()}
        app = Starlette(
            routes=[*map(self._route, ENDPOINTS), *self._others()],
            middleware=[
                Middleware(GZipMiddleware, minimum_size=_LARGE, compresslevel=_LEVEL),
            ],
            exception_handlers={HTTPException: _problem_of_path, ProblemError: _problem},
        )
        app.router.redirect_slashes = False
        self._app = Guard(app, hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)

    def reload(self) -> None:
        """Load the model again, in another thread, and serve it when it is ready.

        If it cannot be loaded, a warning says why, and the earlier one is served on.
        """
        self.loader.start()

    def _route(self, endpoint: Endpoint) -> Route:
        return Route(endpoint.path, _guarded(self._answering(endpoint)), methods=[endpoint.method])

    def _others(self) -> list[Route]:
        return [
            Route("/health", _guarded(self._health)),
            Route("/openapi.json", _guarded(_describe)),
            Route("/", _guarded(_page)),
            Route("/page/{name}", _guarded(_page)),
        ]

    def _answering(self, endpoint: Endpoint) -> Respond:
        async def respond(request: Request) -> Response:
            name = decoded_id(request.path_params.get("id", ""))
            asked: Any
            if endpoint.method == "GET":
                asked = decoded_query(request.scope["query_string"], endpoint.takes)
            else:
                asked = await decoded_body(request, endpoint.takes)
            # This one until the end, even if another one takes its place meanwhile.
            served = await self.loader.current()
            headers = NO_STORE
            if endpoint.method == "GET":
                headers = {"ETag": f'W/"{served.tag}"', "Cache-Control": _REVALIDATE}
                if _is_known(request, headers["ETag"]):
                    return Response(status_code=304, headers=headers)
            work = partial(_answer, endpoint, served, name, asked)
            if asked.is_quick and self.loader.is_warm:
                return _json(work(), headers)  # a thread would delay it, and others, more
            pool = self._pools["slow" if asked.is_slow else "usual"]
            loop = asyncio.get_running_loop()
            return _json(await loop.run_in_executor(pool, work), headers)

        return respond

    async def _health(self, request: Request) -> Response:
        """Say whether the server is ready."""
        decoded_query(request.scope["query_string"], Nothing)
        return _json(msgspec.json.encode(self.loader.health()), NO_STORE)


def application(
    model: str | os.PathLike[str],
    *,
    split: str | os.PathLike[str] | None = None,
    titles: str | os.PathLike[str] | None = None,
    encoding: str = "utf-8",
    title_columns: Mapping[str, str] | None = None,
    hosts: Collection[str] = LOCAL,
    wait: bool = True,
) -> Application:
    """Return an ASGI application that serves a model, for `uvicorn` and other servers.

    Parameters
    ----------
    model : path
        A model folder, or the folder of its run.
    split : path, optional
        The split that the model was trained on. With it, items that users have rated are not
        recommended, and recommendations can be explained.
    titles : path, optional
        File with a column of items and one of titles.
    encoding : str
        Of the titles.
    title_columns : mapping of str, optional
        Names of the columns "item" and "title".
    hosts : collection of str
        Names of the server in requests, besides IP addresses; requests to others are refused.
    wait : bool
        Return when the model is loaded. Otherwise, return at once; requests wait.

    Returns
    -------
    Application
        With a method `reload`.

    Raises
    ------
    UsageError
        If one of the hosts is not a name.
    ArtifactError, DataError
        If something cannot be read, or the model was not trained on the split; without `wait`, the
        future ``loader.served`` has this error.
    """
    sources = Sources(
        path_of(model, "model"),
        _path(split, "split"),
        _path(titles, "titles"),
        encoding,
        title_columns or {},
    )
    made = Application(sources, hosts)
    made.loader.start()
    if wait:
        made.loader.served.result()
    return made


def _path(path: str | os.PathLike[str] | None, name: str) -> Path | None:
    return None if path is None else path_of(path, name)


def _guarded(respond: Respond) -> Respond:
    """Answer with a problem if something fails that should not."""

    async def guarded(request: Request) -> Response:
        try:
            return await respond(request)
        except (ProblemError, HTTPException):
            raise
        except MfcliError as error:
            raise ProblemError.of(error) from None
        except Exception as error:
            place = f"{request.method} {request.scope['path']}"
            _LOG.error("%s: %s: %s", place, type(error).__name__, error)
            raise ProblemError(500, "the server failed to answer this request") from None

    return guarded


def _answer(endpoint: Endpoint, served: ServedModel, name: str, asked: Any) -> bytes:
    return msgspec.json.encode(endpoint.answer(served, name, asked))


def _is_known(request: Request, tag: str) -> bool:
    """Return whether the client has the response already."""
    known = request.headers.get("if-none-match", "").split(",")
    return any(one.strip() in (tag, tag.removeprefix("W/"), "*") for one in known)


def _json(content: bytes, headers: Mapping[str, str]) -> Response:
    return Response(content, headers=headers, media_type="application/json")


async def _describe(request: Request) -> Response:
    return _json(description(), {"Cache-Control": _REVALIDATE})


async def _page(request: Request) -> Response:
    return page_file(request.path_params.get("name", "index.html"), request.headers)


def _problem(request: Request, error: Any) -> Response:
    return problem_response(error, request.scope["path"])


def _problem_of_path(request: Request, error: Any) -> Response:
    """Answer a request to a path that does not exist, or does not have the method."""
    detail = {
        404: "there is nothing at this path",
        405: f"{request.method} is not possible here",
    }.get(error.status_code, error.detail)
    return _problem(request, ProblemError(error.status_code, detail, error.headers))
