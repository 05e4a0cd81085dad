"""What passes a line to a service: all that is HTTP/1.1, as it is."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest
import pytest_asyncio

from chaos.process.waiting import wait_until
from tests.integration.wire.bed import DEADLINE_SECONDS, Bed, WireProcess
from tests.integration.wire.http_bed import Service, service_in
from tests.integration.wire.service import BLOCK

pytestmark = pytest.mark.asyncio(loop_scope="module")

LARGE_BYTES = 50_000_000
MEMORY_BYTES = 16 << 20
"""What the wire may grow by while that passes."""


@pytest_asyncio.fixture(loop_scope="module")
async def service(module_bed: Bed, process: WireProcess) -> AsyncIterator[Service]:
    async with service_in(module_bed, process) as service:
        yield service


async def _blocks(size: int) -> AsyncIterator[bytes]:
    while size:
        part = BLOCK[:size]
        size -= len(part)
        yield part


def _sha256(size: int) -> str:
    whole, rest = divmod(size, len(BLOCK))
    return hashlib.sha256(BLOCK * whole + BLOCK[:rest]).hexdigest()


@pytest.mark.parametrize("size", [0, 1, LARGE_BYTES])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_of_any_size_arrives_and_is_in_no_memory(
    service: Service, size: int, *, is_chunked: bool
) -> None:
    before = _most_bytes(service)
    headers = {} if is_chunked else {"Content-Length": str(size)}
    async with service.client() as client:
        posted = await client.post(f"/bytes-{size}", content=_blocks(size), headers=headers)
    assert (posted.status_code, len(posted.content)) == (200, size)
    assert hashlib.sha256(posted.content).hexdigest() == _sha256(size)
    assert service.booked() == [(f"POST /bytes-{size}", _sha256(size))]
    (call,) = await service.calls(1)
    assert call.body_sha256 == _sha256(size)
    assert _most_bytes(service) - before < MEMORY_BYTES


async def test_a_reader_that_stands_still_fills_no_memory(service: Service) -> None:
    before = _most_bytes(service)
    reader, writer = await service.raw()
    writer.write(f"GET /bytes-{LARGE_BYTES} HTTP/1.1\r\nHost: it\r\n\r\n".encode())
    sent = psutil.Process(service.child.pid)
    used: list[float] = []
    while len(used) < 5 or used[-1] > used[-5]:  # until the service stands still as well
        used.append(sum(sent.cpu_times()[:2]))
        await asyncio.sleep(0.1)
    assert _most_bytes(service) - before < MEMORY_BYTES
    writer.close()
    del reader
    (call,) = await service.calls(1)
    assert (call.status, call.delivered_at) == ("200", None)


async def test_headers_go_through_in_order_and_as_they_were_written(service: Service) -> None:
    mine = [("Host", "shop.example"), ("X-Zebra", "1"), ("x-ApPle", "2"), ("X-Zebra", "3")]
    async with service.client() as client:
        reply = await client.send(httpx.Request("GET", f"{service.url}/look?a=b", headers=mine))
    assert reply.json() == [[name, value] for name, value in mine]
    names = [name.decode() for name, _ in reply.headers.raw]
    assert names == ["Server", "Date", "X-Twice", "X-Twice", "Content-Length"]
    assert reply.headers.get_list("X-Twice") == ["1", "2"]
    assert reply.reason_phrase == "As It Was"
    assert service.booked() == [("GET /look?a=b", "")]


async def test_a_chunked_reply_keeps_its_trailer(service: Service) -> None:
    reader, writer = await service.raw()
    writer.write(b"GET /chunked HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n")
    heard = await reader.read()
    writer.close()
    _, _, body = heard.partition(b"\r\n\r\n")
    assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\nX-Sum: 6\r\n\r\n"


async def test_replies_without_a_body_pass(service: Service) -> None:
    async with service.client() as client:
        head = await client.head("/look")
        gone = await client.delete("/things/17")
        same = await client.get("/not-modified")
        after = await client.get("/look")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["Content-Length"]) > 0
    assert (gone.status_code, gone.content) == (204, b"")
    assert (same.status_code, same.headers["Content-Length"]) == (304, "1234")
    assert after.status_code == 200
    methods = [call.method for call in await service.calls(4)]
    assert methods == ["HEAD /look", "DELETE /things/*", "GET /not-modified", "GET /look"]


async def test_a_hundred_requests_share_one_connection(service: Service) -> None:
    reader, writer = await service.raw()
    for number in range(100):
        body = str(number).encode()
        writer.write(b"POST /x HTTP/1.1\r\nHost: it\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 As It Was\r\n")
        assert await reader.readexactly(len(body)) == body
    open_ = psutil.Process(service.child.pid).net_connections("tcp")
    assert sum(each.status == "ESTABLISHED" for each in open_) == 1
    writer.close()
    calls = await service.calls(100)
    assert [call.crossings[0].boundary.ordinal for call in calls] == list(range(1, 101))


async def test_fifty_clients_at_once_each_get_their_own(service: Service) -> None:
    async def ask(number: int) -> None:
        async with service.client() as client:
            for turn in range(4):
                text = f"{number} {turn} ".encode() * 1000
                assert (await client.post("/x", content=text)).content == text

    await asyncio.gather(*(ask(number) for number in range(50)))
    assert len(await service.calls(200)) == 200


@pytest.mark.parametrize("client_ends", [True, False])
async def test_a_connection_that_one_side_ends_is_ended_for_the_other(
    service: Service, *, client_ends: bool
) -> None:
    reader, writer = await service.raw()
    header = b"Connection: close\r\n" if client_ends else b""
    path = b"/look" if client_ends else b"/closing"
    writer.write(b"GET %s HTTP/1.1\r\nHost: it\r\n%s\r\n" % (path, header))
    heard = await reader.read()
    writer.close()
    assert b"200 As It Was" in heard


async def test_what_is_on_the_way_when_the_service_is_killed_breaks_off(service: Service) -> None:
    reader, writer = await service.raw()
    writer.write(b"POST /half HTTP/1.1\r\nHost: it\r\nContent-Length: 0\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(len(BLOCK)) == BLOCK
    await service.child.kill()
    assert await _rest(reader) == b""
    writer.close()
    (call,) = await service.calls(1)
    assert (call.status, call.delivered_at) == ("200", None)
    assert call.replied_at is not None


async def test_an_idle_connection_ends_with_its_service(service: Service) -> None:
    reader, writer = await service.raw()
    writer.write(b"POST /x HTTP/1.1\r\nHost: it\r\nContent-Length: 2\r\n\r\nhi")
    await reader.readuntil(b"hi")
    await service.child.kill()
    assert await _rest(reader) == b""
    writer.close()


async def test_a_service_that_is_away_is_a_reset_and_back_it_is_found(service: Service) -> None:
    await service.child.kill()
    reader, writer = await service.raw()
    writer.write(b"POST /x HTTP/1.1\r\nHost: it\r\nContent-Length: 2\r\n\r\nhi")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    (call,) = await service.calls(1)
    assert (call.forwarded_at, call.status) == (None, "")
    service.child.start()
    await _until_open(service)
    async with service.client() as client:
        assert (await client.post("/x", content=b"hi")).content == b"hi"


async def test_a_client_that_leaves_is_gone_for_the_service_too(service: Service) -> None:
    reader, writer = await service.raw()
    writer.write(b"POST /none HTTP/1.1\r\nHost: it\r\nContent-Length: 2\r\n\r\nhi")
    await _until_booked(service, 1)
    writer.close()
    del reader
    (call,) = await service.calls(1)
    assert call.forwarded_at is not None
    assert (call.replied_at, call.status) == (None, "")
    held = psutil.Process(service.child.pid).net_connections("tcp")
    assert all(each.status != "ESTABLISHED" for each in held)


async def test_what_was_sent_in_full_before_the_client_left_is_done(service: Service) -> None:
    """As it would be without the wire, or it would hide what is paid twice."""
    body = b"x" * 300_000
    _, writer = await service.raw()
    writer.write(b"POST /x HTTP/1.1\r\nHost: it\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    writer.close()
    await _until_booked(service, 1)
    assert service.booked() == [("POST /x", hashlib.sha256(body).hexdigest())]


async def test_half_a_request_is_none_for_the_service_and_has_no_hash(service: Service) -> None:
    _, writer = await service.raw()
    writer.write(b"POST /x HTTP/1.1\r\nHost: it\r\nContent-Length: 100\r\n\r\nhalf")
    writer.close()
    await _until_booked(service, 1)
    assert service.booked() == [("POST /x", "broken off")]
    (call,) = await service.calls(1)
    assert call.body_sha256 == ""


async def test_who_waits_for_leave_to_send_gets_it_from_the_service(service: Service) -> None:
    reader, writer = await service.raw()
    writer.write(
        b"POST /x HTTP/1.1\r\nHost: it\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    writer.write(b"hi")
    assert (await reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_an_answer_that_comes_before_the_body_is_heard(service: Service) -> None:
    reader, writer = await service.raw()
    writer.write(b"POST /early HTTP/1.1\r\nHost: it\r\nContent-Length: 1000000\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert await reader.readexactly(8) == b"too much"
    writer.close()
    (call,) = await service.calls(1)
    assert (call.status, call.body_sha256) == ("413", "")


async def test_what_is_no_http_is_answered_with_a_sentence(service: Service) -> None:
    reader, writer = await service.raw()
    writer.write(b"certainly\r\n\r\n")
    heard = await reader.read()
    writer.close()
    assert heard.startswith(b"HTTP/1.1 400 ")
    assert b"The request is not HTTP/1.1: " in heard
    async with service.client() as client:
        reply = await client.post("/nonsense")
    assert (reply.status_code, reply.text[:34]) == (502, "The service's reply is not HTTP/1.")


async def test_an_upgrade_is_refused_but_for_http_2_which_may_be_ignored(service: Service) -> None:
    async with service.client() as client:
        asked = {"Connection": "Upgrade", "Upgrade": "websocket"}
        refused = await client.get("/look", headers=asked)
        java = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAE"}
        passed = await client.get("/look", headers=java)
    assert refused.status_code == 502
    assert refused.text.startswith("The wire does not pass on websocket")
    assert passed.status_code == 200
    assert not {"Upgrade", "Connection", "HTTP2-Settings"} & {name for name, _ in passed.json()}
    assert service.booked() == [("GET /look", "")]


async def test_nothing_secret_is_on_record(service: Service) -> None:
    async with service.client() as client:
        await client.post(
            "/charges/42?token=secret-query",
            content=b"secret-body",
            headers={
                "Authorization": "Bearer secret-header",
                "Cookie": "secret-cookie",
                "Idempotency-Key": "order-42",
            },
        )
    (call,) = await service.calls(1)
    assert (call.method, call.idempotency_key) == ("POST /charges/*", "order-42")
    for file in (service.process.bed.folder / "wire").iterdir():
        assert b"secret" not in file.read_bytes()
    assert b"secret" not in service.process.child.log.read_bytes()


def _most_bytes(service: Service) -> int:
    """The most memory that the wire's process ever had."""
    status = Path(f"/proc/{service.process.child.pid}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """What else comes; a reset is an end as well."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await reader.read()
    except ConnectionResetError:
        return b""


async def _until_booked(service: Service, count: int) -> None:
    async def are_there() -> bool:
        return len(service.booked()) >= count

    await wait_until(are_there, what="the books", deadline_seconds=DEADLINE_SECONDS)


async def _until_open(service: Service) -> None:
    await wait_until(service.direct.is_open, what="it listens", deadline_seconds=DEADLINE_SECONDS)
