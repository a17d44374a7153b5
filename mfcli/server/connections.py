"""Connections that slow or many clients cannot occupy for long."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from mfcli.server.problems import MEDIA_TYPE, problem_json

MOST = 512
"""Connections at a time."""

_HEADERS = 10.0  # seconds for a request to arrive, up to its body
_WRITING = 20.0  # seconds in which a client may read nothing of a response
_SLOW = "the request did not arrive in time"
_MANY = "there are too many connections"
_MALFORMED = "the request is malformed"


class Connection(H11Protocol):
    """A connection with limits that uvicorn does not have."""

    _waiting: asyncio.TimerHandle | None = None  # for a request
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > MOST:
            self._refuse(503, _MANY)
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        super().data_received(data)
        if self._is_answering():
            self._stop_waiting()
        elif self._waiting is None and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._writing = self.loop.call_later(_WRITING, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on, because the client reads."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(400, _MALFORMED)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(_HEADERS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if not (self._is_answering() or self.transport.is_closing()):
            self._refuse(408, _SLOW)

    def _refuse(self, status: int, detail: str) -> None:
        """Answer with a problem and close the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            content = problem_json(status, detail, "")
            headers = [
                ("Content-Type", MEDIA_TYPE),
                ("Content-Length", str(len(content))),
                ("Connection", "close"),
            ]
            reason = HTTPStatus(status).phrase.encode()
            response = h11.Response(status_code=status, headers=headers, reason=reason)
            for event in (response, h11.Data(data=content), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
