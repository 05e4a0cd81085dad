"""The last question before a paid request leaves: connected, and with not a byte of it sent."""

from __future__ import annotations

import asyncio
import base64
import json
import select
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest
from pydantic import SecretStr

from chaos.process.waiting import wait_until
from workflows.api_errors import ApiError, Outcome
from workflows.gemini import Gemini
from workflows.pricing import REFERENCE_IMAGE_MODEL, REFERENCE_VIDEO_MODEL
from workflows.settings import Settings
from workflows.success_replies import Image
from workflows.transport import MaySend

OPERATION = f"models/{REFERENCE_VIDEO_MODEL}/operations/1"
FOX = Image(b"a fox", "image/png")
PART = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(FOX.data).decode()}}
# What an image and what an operation is read from, in one: each reader ignores the other's.
ANSWER = json.dumps({"name": OPERATION, "candidates": [{"content": {"parts": [PART]}}]}).encode()
REFUSAL = ApiError("NotNow", "the run is gone.", Outcome.PERMANENT, 3.0)
PATIENCE_SECONDS = 10.0

Paid = Callable[[Gemini, MaySend], Awaitable[object]]


class Wire(ThreadingTCPServer):
    """A provider that sees connections and bytes, and reads none while `reading` is not set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Reader)
        self.connections: list[socket.socket] = []
        self.connected = threading.Event()
        self.reading = threading.Event()
        self.reading.set()
        self.requests: list[bytes] = []
        self.ended = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Reader(StreamRequestHandler):
    """One connection: any number of requests, each with the same answer."""

    server: Wire

    def handle(self) -> None:
        self.server.connections.append(self.connection)
        self.server.connected.set()
        self.server.reading.wait(PATIENCE_SECONDS)
        while line := self.rfile.readline():
            self._answer(line)
        self.server.ended += 1

    def _answer(self, line: bytes) -> None:
        size_bytes = 0
        while (header := self.rfile.readline()) not in {b"\r\n", b""}:
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                size_bytes = int(value)
        self.rfile.read(size_bytes)
        self.server.requests.append(line)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(ANSWER)}"
        self.wfile.write(f"{head}\r\n\r\n".encode() + ANSWER)


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as wire:
        thread = threading.Thread(target=wire.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield wire
        wire.reading.set()
        wire.shutdown()
        thread.join()


@pytest.fixture
async def gemini(wire: Wire) -> AsyncIterator[Gemini]:
    settings = Settings(
        gemini_api_key=SecretStr("a-key"),
        google_gemini_base_url=wire.url,
        gemini_image_model=REFERENCE_IMAGE_MODEL,
        gemini_video_model=REFERENCE_VIDEO_MODEL,
    )
    async with Gemini(settings) as gemini:
        yield gemini


async def image(gemini: Gemini, may_send: MaySend) -> object:
    return await gemini.generate_image("a fox", may_send)


async def video(gemini: Gemini, may_send: MaySend) -> object:
    return await gemini.start_video("it waves", FOX, may_send)


PAID = pytest.mark.parametrize("call", [image, video])


def refuse() -> None:
    raise REFUSAL


def allow() -> None:
    return


@PAID
async def test_it_is_asked_when_connected_and_before_a_byte_is_sent(
    gemini: Gemini, wire: Wire, call: Paid
) -> None:
    seen: list[tuple[bool, list[socket.socket]]] = []
    wire.reading.clear()

    def look() -> None:
        connected = wire.connected.wait(PATIENCE_SECONDS)
        # On loopback, bytes that were sent can be read at once.
        readable, _, _ = select.select(wire.connections, [], [], 0)
        seen.append((connected, readable))
        wire.reading.set()

    await call(gemini, look)
    assert seen == [(True, [])]
    assert len(wire.requests) == 1


@PAID
async def test_it_is_asked_once_for_each_call_also_on_an_open_connection(
    gemini: Gemini, wire: Wire, call: Paid
) -> None:
    asked: list[int] = []
    for number in range(3):
        await call(gemini, lambda: asked.append(len(wire.requests)))
        assert len(wire.requests) == number + 1
    assert asked == [0, 1, 2]  # each time before its own request
    assert len(wire.connections) == 1

    with pytest.raises(ApiError):
        await call(gemini, refuse)
    assert len(wire.requests) == 3
    await call(gemini, allow)
    assert len(wire.requests) == 4


@PAID
async def test_a_request_that_must_not_be_sent_is_not_sent_and_its_reason_comes_out(
    gemini: Gemini, wire: Wire, call: Paid
) -> None:
    with pytest.raises(ApiError) as raised:
        await call(gemini, refuse)
    error = raised.value
    assert (error.code, str(error), error.outcome, error.retry_after_seconds) == (
        "NotNow",
        "the run is gone.",
        REFUSAL.outcome,
        3.0,
    )
    assert error.__cause__ is None
    await wait_until(
        lambda: wire.ended == 1,
        what="the connection is closed",
        deadline_seconds=PATIENCE_SECONDS,
    )
    assert (len(wire.connections), wire.requests) == (1, [])


async def test_calls_at_the_same_time_have_each_its_own_question_and_a_free_one_has_none(
    gemini: Gemini, wire: Wire
) -> None:
    answers = await asyncio.gather(
        image(gemini, refuse), video(gemini, allow), return_exceptions=True
    )
    assert isinstance(answers[0], ApiError)
    assert answers[1] == OPERATION
    assert [b":predictLongRunning" in request for request in wire.requests] == [True]
    assert await gemini.poll_video(OPERATION) is None
    assert len(wire.requests) == 2
