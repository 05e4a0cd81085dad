"""The bodies of requests: how large, how long under way, and what all of them may cost together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from workflows import policies
from workflows.service.errors import Problem, unavailable
from workflows.service.schemas import MAX_BODY_BYTES

BODY_SECONDS = 30.0
"""How long a body may take to arrive; a client that never ends it would hold a slot for good."""

DRAIN_SECONDS = 2.0
_DRAINED_BYTES = 4 * MAX_BODY_BYTES
"""Of a body that was refused, read and thrown away so that its sender gets to see the answer."""

SMALL_BYTES = 64 * 1024
"""A body up to this size costs nothing to speak of, and is always taken."""

MAX_HELD_BYTES = 64 * 1024 * 1024
"""Of all bodies that are larger, together, while they arrive and are worked on."""

BYTES_A_SECOND = 32 * 1024 * 1024
"""Of larger bodies, one after the other: a fifth of what can be read, the rest is for others."""

MAX_VALUES = 4 * policies.MAX_SERIES_VIDEOS
"""In one body: a million little ones would cost a hundred times what they weigh."""

_CLOSE = {"Connection": "close"}


class Bodies:
    """all bodies in flight."""

    def __init__(self) -> None:
        self._held_bytes = 0
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def read(self, headers: Headers, receive: Receive) -> AsyncIterator[bytes]:
        """The whole body, announced or in chunks, for a block that works on it.

        Raises Problem: 400, 408, 413, 422, and 503 where others take all the room there is;
        ClientDisconnect where its sender went away: half a request is none.
        """
        _require_sound(headers)
        chunks: list[bytes] = []
        size = held = 0
        try:
            async with _in_time():
                async for chunk in _chunks(receive):
                    chunks.append(chunk)
                    size += len(chunk)
                    more = max(0, size - SMALL_BYTES) - held
                    held += more
                    self._held_bytes += more
                    if size > MAX_BODY_BYTES:
                        raise _too_large()
                    if self._held_bytes > MAX_HELD_BYTES:
                        raise unavailable(
                            "too many large requests are under way; try again.", headers=_CLOSE
                        )
            body = b"".join(chunks)
            chunks.clear()
            if size > SMALL_BYTES:
                await self._turn.acquire()
                asyncio.get_running_loop().call_later(size / BYTES_A_SECOND, self._turn.release)
            _require_few_values(body)
            yield body
        finally:
            self._held_bytes -= held


async def drain(receive: Receive) -> None:
    """Read on for a moment after a refusal: a connection that is closed in the middle of a body
    would take the answer with it.
    """
    size = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            async for chunk in _chunks(receive):
                size += len(chunk)
                if size > _DRAINED_BYTES:
                    return
    except (TimeoutError, ClientDisconnect):
        pass


def _require_few_values(body: bytes) -> None:
    """Raises Problem, 422, where JSON holds more values than any request does, before it is read.

    Only what is within strings may be long. A backslash is nowhere else in JSON, so that without
    the escaped ones each quote begins or ends a string; of UTF-8, that is: others have NULs.
    """
    plain = body.replace(rb"\\", b"").replace(rb"\"", b"")
    if b"\0" in plain:
        raise _unreadable("the body is not JSON in UTF-8.")
    outside = plain.split(b'"', 2 * MAX_VALUES)[::2]
    if len(outside) > MAX_VALUES or sum(part.count(b",") for part in outside) > MAX_VALUES:
        raise _unreadable(f"the body has more than {MAX_VALUES:,} values.")


def _unreadable(sentence: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, sentence)


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            yield
    except TimeoutError:
        raise Problem(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the body did not arrive within {BODY_SECONDS:g} s.",
            headers=_CLOSE,
        ) from None


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        yield message.get("body", b"")
        more = message.get("more_body", False)


def _require_sound(headers: Headers) -> None:
    """Refuse what need not be read at all."""
    announced = headers.get("content-length")
    if announced is None:
        return
    if "transfer-encoding" in headers:
        # Two programs on the way may not agree where such a request ends.
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "a request has Content-Length or Transfer-Encoding, not both.",
            headers=_CLOSE,
        )
    if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
        raise _too_large()


def _too_large() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {MAX_BODY_BYTES:,} bytes.",
        headers=_CLOSE,
    )
