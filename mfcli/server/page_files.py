"""The page, and the files that it loads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath

from starlette.responses import Response

from mfcli.pages import asset
from mfcli.server.problems import ProblemError

_SHARED = "base.css"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_file(name: str, headers: Mapping[str, str]) -> Response:
    """Return the response for a file of the page.

    Parameters
    ----------
    name : str
        As it is in the path. Names are compared with those of the files, so no name reaches others.
    headers : mapping of str
        Of the request.

    Raises
    ------
    ProblemError
        If there is no such file.
    """
    text = _texts().get(name)
    if text is None:
        raise ProblemError(404, "there is nothing at this path")
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:20]}"'
    sent = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache", "ETag": tag}
    if headers.get("if-none-match") in (tag, f"W/{tag}"):
        return Response(status_code=304, headers=sent)
    return Response(text, headers=sent, media_type=_TYPES[PurePosixPath(name).suffix])


@cache
def _texts() -> dict[str, str]:
    """Return the texts of all files by name."""
    own = files("mfcli.server").joinpath("page").iterdir()
    found = {file.name: file for file in own if PurePosixPath(file.name).suffix in _TYPES}
    texts = {name: file.read_text(encoding="utf-8") for name, file in found.items()}
    return {_SHARED: asset(_SHARED), **texts}
