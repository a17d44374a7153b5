"""Errors as problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from mfcli.errors import DataError, MfcliError, UnknownIdError, UsageError
from mfcli.server.answers import Problem

MEDIA_TYPE = "application/problem+json"
NO_STORE = {"Cache-Control": "no-store"}
CLOSING = {"Connection": "close"}
"""For requests whose body is not read to its end."""


class ProblemError(Exception):
    """A request cannot be answered.

    Parameters
    ----------
    status : int
    detail : str
        What is wrong, in one sentence.
    headers : mapping of str, optional
        More headers of the response.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})

    @classmethod
    def of(cls, error: MfcliError) -> ProblemError:
        """Return the problem for an error of the library."""
        if isinstance(error, UnknownIdError):
            return cls(404, str(error))
        return cls(422 if isinstance(error, DataError | UsageError) else 409, str(error))


def problem_json(status: int, detail: str, path: str) -> bytes:
    """Return a problem as JSON."""
    title = HTTPStatus(status).phrase
    return msgspec.json.encode(Problem("about:blank", title, status, detail, path))


def problem_response(error: ProblemError, path: str) -> Response:
    """Return the response for a problem of a request to a path."""
    content = problem_json(error.status, error.detail, path)
    return Response(content, error.status, NO_STORE | error.headers, media_type=MEDIA_TYPE)
