"""What a connection may cost while its client sends: time, pieces, and a place among the others."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress

import pytest
import uvicorn

from chaos.process.waiting import wait_until
from tests.unit.workflows.service.conftest import StandIn
from workflows.service import protocol
from workflows.service.app import create_app
from workflows.service.protocol import MAX_HEADERS, Protocol

HOST = b"Host: 127.0.0.1\r\n"
HEALTH = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /api/template-workflow HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
PATIENCE_SECONDS = 10.0

NOT_SOUND = "the request is not valid HTTP, comes in too small pieces, or its head is too large."

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], AbstractAsyncContextManager[Stream]]


@pytest.fixture
async def connect(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connect]:
    """Connects to a server of this protocol."""
    config = uvicorn.Config(
        create_app(stand_in, None),
        http=Protocol,
        port=0,
        log_config=None,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    monkeypatch.setattr(server, "capture_signals", nullcontext)  # they are pytest's
    serving = asyncio.create_task(server.serve())
    await wait_until(
        lambda: server.started, what="it listens", deadline_seconds=10, interval_seconds=0.01
    )
    port = server.servers[0].sockets[0].getsockname()[1]

    @asynccontextmanager
    async def connected() -> AsyncIterator[Stream]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.close()

    yield connected
    server.should_exit = True
    await serving


async def whole(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the connection ends, or what the server has not read resets it."""
    told = b""
    with suppress(ConnectionError):
        # Piece by piece: a read to the end loses in a reset what had come before.
        while piece := await asyncio.wait_for(reader.read(65536), PATIENCE_SECONDS):
            told += piece
    return told


async def answer(reader: asyncio.StreamReader) -> bytes:
    """One answer, of a connection that stays open."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_SECONDS)
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    return head + await reader.readexactly(length)


def sentence(told: bytes) -> str:
    head, _, body = told.partition(b"\r\n\r\n")
    assert b"application/json" in head
    (found,) = json.loads(body)["errors"]
    return str(found)


async def trickle(writer: asyncio.StreamWriter) -> None:
    """A byte now and then, for ever."""
    with suppress(ConnectionError):
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("first", [b"", b"GET", b"GET / HTTP/1.1\r\nX: "])
async def test_a_head_that_never_ends_is_given_up(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    async with connect() as (reader, writer):
        writer.write(first)
        trickling = asyncio.create_task(trickle(writer)) if first else None
        told = await whole(reader)
        if trickling:
            trickling.cancel()
    assert told.startswith(b"HTTP/1.1 408 ")
    assert sentence(told) == "no whole request came within 0.2 s."


async def test_a_second_head_that_never_ends_is_given_up(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    async with connect() as (reader, writer):
        writer.write(HEALTH)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(0.4)  # an idle connection is kept
        writer.write(b"GET")
        assert (await whole(reader)).startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_was_refused_is_not_awaited_for_ever(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "EXCHANGE_SECONDS", 0.3)
    async with connect() as (reader, writer):
        writer.write(POST.replace(b"127.0.0.1", b"evil.test") + b"Content-Length: 3000000\r\n\r\n")
        assert (await answer(reader)).startswith(b"HTTP/1.1 403 ")
        began = time.monotonic()
        trickling = asyncio.create_task(trickle(writer))
        await whole(reader)
        trickling.cancel()
        assert time.monotonic() - began < PATIENCE_SECONDS / 2


@pytest.mark.parametrize("end", [b"\r\n", b""])
async def test_a_head_of_many_lines_is_refused_before_it_is_whole(
    connect: Connect, end: bytes
) -> None:
    lines = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * MAX_HEADERS
    async with connect() as (reader, writer):
        writer.write(lines + end)
        told = await whole(reader)
    assert told.startswith(b"HTTP/1.1 400 ")
    assert sentence(told) == NOT_SOUND


async def test_as_many_headers_as_there_may_be_are_taken_of_each_of_many_requests(
    connect: Connect,
) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * (MAX_HEADERS - 1)
    async with connect() as (reader, writer):
        writer.write((request + b"\r\n") * 20)
        for _ in range(20):
            assert (await answer(reader)).startswith(b"HTTP/1.1 200 ")


async def test_a_body_in_tiny_pieces_is_refused_and_one_in_larger_pieces_is_taken(
    connect: Connect, stand_in: StandIn
) -> None:
    async with connect() as (reader, writer):
        writer.write(CHUNKED + b"1\r\n \r\n" * 20_000)
        told = await whole(reader)
    assert not told or sentence(told) == NOT_SOUND
    body = json.dumps(
        {
            "templateType": "series",
            "config": {"characterPrompt": "a", "videoPrompts": ["v" * 2_000] * 400},
        }
    ).encode()
    pieces = [body[at : at + 512] for at in range(0, len(body), 512)]
    async with connect() as (reader, writer):
        writer.write(CHUNKED)
        writer.writelines(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        writer.write(b"0\r\n\r\n")
        assert (await answer(reader)).startswith(b"HTTP/1.1 202 ")
    assert len(stand_in.asked) == 1


async def test_a_head_that_is_too_large_is_refused_though_it_comes_at_once(
    connect: Connect,
) -> None:
    async with connect() as (reader, writer):
        writer.write(HEALTH[:-2] + b"a: b\r\n" * 6_000 + b"\r\n")
        told = await whole(reader)
    assert not told or told.startswith(b"HTTP/1.1 400 ")


async def test_what_is_no_http_is_answered_in_the_one_shape(connect: Connect) -> None:
    async with connect() as (reader, writer):
        writer.write(b"\x16\x03\x01 TLS\r\n\r\n")
        told = await whole(reader)
    assert told.startswith(b"HTTP/1.1 400 ")
    assert sentence(told).startswith("the request is not valid HTTP")


async def test_one_connection_too_many_ends_the_one_that_waited_longest(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 2)
    async with connect() as (first, _), connect() as (_, second):
        second.write(HEALTH[:-2])
        async with connect() as (reader, third):
            third.write(HEALTH)
            assert (await answer(reader)).startswith(b"HTTP/1.1 200 ")
            assert await whole(first) == b""


async def test_a_body_that_is_awaited_makes_room_and_a_request_that_is_worked_on_does_not(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, stand_in: StandIn
) -> None:
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 2)
    goes_on = asyncio.Event()

    async def waits() -> None:
        stand_in.asked.append(("ready",))
        await goes_on.wait()

    monkeypatch.setattr(stand_in, "require_ready", waits)
    async with connect() as (worked_on, asking), connect() as (slow, sending):
        asking.write(HEALTH.replace(b"health", b"ready"))
        await wait_until(
            lambda: bool(stand_in.asked),
            what="it is worked on",
            deadline_seconds=10,
            interval_seconds=0.01,
        )
        sending.write(POST + b"Content-Length: 100\r\n\r\n{")
        await asyncio.sleep(0.05)
        async with connect() as (reader, third):
            third.write(HEALTH)
            assert (await answer(reader)).startswith(b"HTTP/1.1 200 ")
            assert await whole(slow) == b""
            goes_on.set()
            assert (await answer(worked_on)).startswith(b"HTTP/1.1 200 ")
