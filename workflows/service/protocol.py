"""A connection of the service: uvicorn's own, with bounds on what a client may cost while it sends.

uvicorn bounds neither how long a request's head may take nor how many connections wait, and it
answers what is no HTTP in plain text.
"""

from __future__ import annotations

import asyncio
import re
import time
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from workflows.service.errors import as_json

HEAD_SECONDS = 10.0
"""How long a request's head may take to arrive, from the connection or its own first byte on."""

EXCHANGE_SECONDS = 60.0
"""How long a request may last from its head on, until its answer was taken: more than its body
(30 s) and Temporal (5 s) may take together.
"""

MAX_CONNECTIONS = 500
"""Open at once. One more ends the one that has waited longest with no request that is worked on."""

_READ_BYTES = 8 * 1024
"""Read of a connection before others have their turn; tiny pieces of a body cost the most."""

_FREE_PIECES = 1_000
_PIECE_BYTES = 512
"""A body may come in so many chunks of any size, and in as many more as have this size each."""


MAX_HEADERS = 100
"""Of one request. Each is read and sought through many times: a thousand cost 10 ms."""

_END_OF_HEAD = re.compile(rb"\n\r?\n")


class _Connection(h11.Connection):
    """Refuses a body in tiny pieces and a head of many lines: each piece costs a read."""

    pieces = size = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        if self.their_state is h11.IDLE:
            self._require_few_headers()
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.pieces = self.size = 0
        elif isinstance(event, h11.Data):
            self.pieces += 1
            self.size += len(event.data)
            if self.pieces > _FREE_PIECES + self.size // _PIECE_BYTES:
                raise h11.RemoteProtocolError("its body comes in too small pieces")
        return event

    def _require_few_headers(self) -> None:
        """Count the lines of what has come of a head, before anything is made of them."""
        came, _ = self.trailing_data
        end = _END_OF_HEAD.search(came)
        if came.count(b"\n", 0, end.start() if end else len(came)) > MAX_HEADERS:
            raise h11.RemoteProtocolError("its head has too many lines")


class Protocol(H11Protocol, asyncio.BufferedProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _Connection(h11.SERVER)
        self._buffer = bytearray(_READ_BYTES)
        self._deadline: asyncio.TimerHandle | None = None
        self._phase: object = None
        self.since = time.monotonic()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Have it send its head in time; where there are too many, end another."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._set_deadline(None)
        super().connection_lost(exc)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - as asyncio has it
        """Where the next bytes go: a small buffer, so that nobody takes long turns."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have come."""
        self.data_received(bytes(self._buffer[:nbytes]))
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request, for as long as a connection is kept."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE:
            self._phase = None
            self.since = time.monotonic()
            self._set_deadline(None)
        else:
            self._watch()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or no sound one."""
        del msg
        self._refuse(
            HTTPStatus.BAD_REQUEST,
            "the request is not valid HTTP, comes in too small pieces, or its head is too large.",
        )

    @property
    def can_be_ended(self) -> bool:
        """Whether nobody works on a request of it, or its body is not here yet."""
        return not self.is_in_a_request or self.cycle.more_body

    @property
    def is_in_a_request(self) -> bool:
        """Whether the head of a request has come and its answer has not gone."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _watch(self) -> None:
        """Begin a deadline where another part of a request has begun."""
        phase: object = "head" if self.conn.their_state is h11.IDLE else self.cycle
        if phase is self._phase:
            return
        self._phase = phase
        self.since = time.monotonic()
        self._set_deadline(HEAD_SECONDS if phase == "head" else EXCHANGE_SECONDS)

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self._give_up) if seconds else None

    def _give_up(self) -> None:
        if self._phase == "head":
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT, f"no whole request came within {HEAD_SECONDS:g} s."
            )
        else:
            self.transport.abort()

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Answer in place of the application, and end the connection."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.abort()  # an answer is on its way already
            return
        body = as_json([sentence])
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        response = h11.Response(status_code=status, headers=headers, reason=status.phrase.encode())
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _make_room(self) -> None:
        """End the connection that has waited longest: before a request, or else for its body."""
        others = [
            other
            for other in self.connections
            if isinstance(other, Protocol)
            and other is not self
            and other.can_be_ended
            and not other.transport.is_closing()
        ]
        if others:
            min(others, key=lambda each: (each.is_in_a_request, each.since)).transport.abort()
