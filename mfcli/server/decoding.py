"""Requests as typed parameters."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from starlette.requests import ClientDisconnect, Request

from mfcli.server.parameters import MOST_BYTES, Parameters
from mfcli.server.problems import CLOSING, ProblemError

T = TypeVar("T", bound=Parameters)

_PATIENCE = 10.0  # seconds for a body to arrive
_PLACE = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)  # how msgspec ends the message of a value
_PLAIN = {
    r"^Object contains unknown field `(.*)`$": r"there is no parameter '\1'",
    r"^Object missing required field `(.*)`$": r"the parameter '\1' is missing",
}
"""Messages of msgspec, and the same for people who do not know it."""
_EXACT = 2.0**53  # all integers below are floats
_JSON = "application/json"


def decoded_id(text: str) -> str:
    """Return a raw id, given as it is in a path.

    Raises
    ------
    ProblemError
        If it is not UTF-8 text.
    """
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise ProblemError(400, "the id in the path is not UTF-8 text") from None


def decoded_query(query: bytes, kind: type[T]) -> T:
    """Return the parameters of a query.

    Raises
    ------
    ProblemError
        If a parameter is unknown, is given twice or breaks its rule.
    """
    try:
        pairs = parse_qsl(query.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise ProblemError(400, "the query is not UTF-8 text") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise ProblemError(422, f"{name}: is given twice")
        given[name] = value
    return _converted(given, kind)


def _converted(given: Mapping[str, str], kind: type[T]) -> T:
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ProblemError(422, _sentence(error)) from None


async def decoded_body(request: Request, kind: type[T]) -> T:
    """Return the parameters in the JSON body of a request.

    Raises
    ------
    ProblemError
        If the body is not JSON, too large, too slow, or breaks a rule.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        raise ProblemError(415, f"the content type must be {_JSON}", CLOSING)
    body = await _body(request)
    try:
        # Without a type first: for JSON, and its schemas, 7.0 is an integer.
        return msgspec.convert(_DECODER.decode(body), kind)
    except msgspec.ValidationError as error:
        raise ProblemError(422, _sentence(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(400, f"the body is not JSON: {error}") from None


async def _body(request: Request) -> bytes:
    too_large = ProblemError(413, f"the body may have {MOST_BYTES:,} bytes at most", CLOSING)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MOST_BYTES:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE):
            async for piece in request.stream():
                body += piece
                if len(body) > MOST_BYTES:
                    raise too_large
    except TimeoutError:
        rule = f"the body did not arrive within {_PATIENCE:g} seconds"
        raise ProblemError(408, rule, CLOSING) from None
    except ClientDisconnect:
        raise ProblemError(400, "the body is incomplete", CLOSING) from None
    return bytes(body)


def _number(text: str) -> int | float:
    """Return a number with a point or an exponent; as an integer, if it is a small one."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def _sentence(error: msgspec.ValidationError) -> str:
    """Return what is wrong with which parameter."""
    found = _PLACE.fullmatch(str(error))
    rule, place = found.groups() if found else (str(error), "")
    for pattern, plain in _PLAIN.items():
        rule = re.sub(pattern, plain, rule, flags=re.DOTALL)
    rule = f"{rule[:1].lower()}{rule[1:]}".replace("`", "")
    return f"{place}: {rule}" if place else rule


_DECODER = msgspec.json.Decoder(float_hook=_number)
