"""Calls of a service that are held, and each thing that can become of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from chaos.wire.boundary import Stage
from chaos.wire.journal import Called
from chaos.wire.specs import Decision, LimitSpec, LineSpec, Protocol, Upstream, WireError
from tests.integration.wire.bed import Bed, WireProcess, reached
from tests.integration.wire.http_bed import Service, service_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOUBLES = Path(__file__).parents[3] / "examples" / "orders" / "orders" / "doubles.py"
BODY = b'{"amount": 7}'
POST = b"POST /x HTTP/1.1\r\nHost: it\r\nContent-Length: 13\r\n\r\n" + BODY
SILENT_SECONDS = 0.3


@pytest_asyncio.fixture(loop_scope="module")
async def service(module_bed: Bed, process: WireProcess) -> AsyncIterator[Service]:
    async with service_in(module_bed, process) as service:
        yield service


@pytest.mark.parametrize("stage", [Stage.LEAVING, Stage.ANSWERED])
async def test_a_held_call_goes_on_when_it_is_resumed(service: Service, stage: Stage) -> None:
    async with service.client() as client, await service.set(f"call POST /x {stage}") as held:
        asked = asyncio.create_task(client.post("/x", content=BODY))
        passage = await reached(held)
        assert len(service.booked()) == (stage is Stage.ANSWERED)
        assert not asked.done()
        await service.wire.decide(passage, Decision.RESUME)
        assert (await asked).content == BODY
        assert (await client.post("/x", content=BODY)).content == BODY
    first, second = await service.calls(2)
    assert [c.boundary.stage for c in first.crossings] == [Stage.LEAVING, Stage.ANSWERED]
    assert (first.decision, second.decision) == ("resume", "")


@pytest.mark.parametrize("stage", [Stage.LEAVING, Stage.ANSWERED])
async def test_one_that_is_dropped_ends_in_a_reset(service: Service, stage: Stage) -> None:
    reader, writer = await service.raw()
    async with await service.set(f"call POST /x {stage}") as held:
        writer.write(POST)
        await service.wire.decide(await reached(held), Decision.DROP)
        with pytest.raises(ConnectionResetError):
            await reader.read()
    writer.close()
    call = await _only_call(service, stage)
    assert (call.decision, call.status, call.delivered_at) == ("drop", "", None)


@pytest.mark.parametrize("stage", [Stage.LEAVING, Stage.ANSWERED])
async def test_one_that_is_silenced_hears_nothing_until_it_leaves(
    service: Service, stage: Stage
) -> None:
    reader, writer = await service.raw()
    async with await service.set(f"call POST /x {stage}") as held:
        writer.write(POST)
        await service.wire.decide(await reached(held), Decision.SILENCE)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SILENT_SECONDS):
                await reader.read()
    assert service.process.calls(service.line) == []
    writer.close()
    call = await _only_call(service, stage)
    assert (call.decision, call.status, call.delivered_at) == ("silence", "", None)


@pytest.mark.parametrize("stage", [Stage.LEAVING, Stage.ANSWERED])
async def test_one_can_be_answered_in_the_services_place(service: Service, stage: Stage) -> None:
    async with service.client() as client, await service.set(f"call POST /x {stage}") as held:
        asked = asyncio.create_task(client.post("/x", content=BODY))
        await service.wire.decide(await reached(held), "503")
        reply = await asked
        assert reply.reason_phrase == "Service Unavailable"
        assert reply.text == "A breakpoint answers with 503.\n"
        assert len(service.booked()) == (stage is Stage.ANSWERED)
        assert (await client.post("/x", content=BODY)).content == BODY  # the next one is none's
    first, second = await service.calls(2)
    assert (first.decision, first.status, second.status) == ("503", "503", "200")
    assert first.body_sha256 == second.body_sha256 != ""


@pytest.mark.parametrize("stage", [Stage.LEAVING, Stage.ANSWERED])
async def test_a_client_that_leaves_while_it_is_held_is_seen_to(
    service: Service, stage: Stage
) -> None:
    _, writer = await service.raw()
    async with await service.set(f"call POST /x {stage}") as held:
        writer.write(POST)
        passage = await reached(held)
        writer.close()
        call = await _only_call(service, stage)
        assert (call.decision, call.status) == ("left", "")
        assert service.process.decisions(service.line) == ["left"]
        with pytest.raises(WireError, match="is not held"):
            await service.wire.decide(passage, Decision.RESUME)


async def test_it_can_be_held_at_both_ends(service: Service) -> None:
    async with (
        service.client() as client,
        await service.set("call POST /x leaving") as leaving,
        await service.set("call POST /x answered") as answered,
    ):
        asked = asyncio.create_task(client.post("/x", content=BODY))
        await service.wire.decide(await reached(leaving), Decision.RESUME)
        await service.wire.decide(await reached(answered), "429")
        assert (await asked).status_code == 429


async def test_a_request_of_any_size_is_held_before_the_service_has_any_of_it(
    service: Service,
) -> None:
    body = b"x" * 20_000_000
    async with service.client() as client, await service.set("call POST /x leaving") as held:
        asked = asyncio.create_task(client.post("/x", content=body))
        passage = await reached(held)
        connected = psutil.Process(service.child.pid).net_connections("tcp")
        assert all(each.status != "ESTABLISHED" for each in connected)
        await service.wire.decide(passage, Decision.RESUME)
        assert (await asked).text == hashlib.sha256(body).hexdigest()


async def test_a_line_that_is_closed_lets_go_of_what_it_holds(service: Service) -> None:
    reader, writer = await service.raw()
    async with await service.set("call POST /x leaving") as held:
        writer.write(POST)
        await reached(held)
        await service.wire.close_line(service.line)
        with pytest.raises(ConnectionRefusedError):
            await service.raw()
        assert await reader.read() == b""
        assert service.process.decisions(service.line) == ["left"]
    writer.close()
    spec = LineSpec(
        name=service.line,
        port=service.port.number,
        protocol=Protocol.HTTP,
        upstream=Upstream(address=service.direct.address),
    )
    await service.wire.open(spec)
    async with service.client() as client:
        assert (await client.post("/x", content=BODY)).content == BODY


async def test_a_reply_that_is_too_large_to_keep_is_held_as_well(service: Service) -> None:
    size = 5_000_000
    async with service.client() as client:
        path = f"/bytes-{size}"
        async with await service.set("call POST /* answered") as held:
            asked = asyncio.create_task(client.post(path))
            await service.wire.decide(await reached(held), Decision.RESUME)
            assert len((await asked).content) == size
        async with await service.set("call POST /* answered") as held:
            asked = asyncio.create_task(client.post(path))
            await service.wire.decide(await reached(held), "500")
            assert (await asked).status_code == 500
        assert (await client.post("/x", content=BODY)).content == BODY


async def test_a_service_that_dies_while_the_call_is_held_is_gone_for_it(service: Service) -> None:
    reader, writer = await service.raw()
    async with await service.set("call POST /x leaving") as held:
        writer.write(POST)
        passage = await reached(held)
        await service.child.kill()
        await service.wire.decide(passage, Decision.RESUME)
        with pytest.raises(ConnectionResetError):
            await reader.read()
    writer.close()


async def test_who_waits_for_leave_to_send_is_refused_before_it_sends(service: Service) -> None:
    reader, writer = await service.raw()
    async with await service.set("call POST /x leaving") as held:
        writer.write(POST.replace(b"Host", b"Expect: 100-continue\r\nHost").removesuffix(BODY))
        await service.wire.decide(await reached(held), "503")
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
    writer.close()
    (call,) = await service.calls(1)
    assert (call.status, call.body_sha256) == ("503", "")


async def test_what_is_above_a_limit_is_refused_and_told_when_to_come_again(
    service: Service,
) -> None:
    await service.wire.limit(LimitSpec(service="payments", per_second=0.5, burst=2, status=503))
    try:
        async with service.client() as client:
            replies = [await client.post("/x", content=BODY) for _ in range(3)]
    finally:
        await service.wire.unlimit("payments")
    assert [each.status_code for each in replies] == [200, 200, 503]
    assert replies[2].headers["Retry-After"] in {"1", "2"}
    assert len(service.booked()) == 2, "the service got it nevertheless"
    refused = (await service.calls(3))[2]
    assert (refused.decision, refused.status, refused.forwarded_at) == ("limit", "503", None)


async def test_what_is_above_a_limit_may_wait_for_its_turn(service: Service) -> None:
    await service.wire.limit(LimitSpec(service="payments", per_second=4, burst=1, status=0))
    try:
        async with service.client() as client:
            replies = await asyncio.gather(*(client.post("/x", content=BODY) for _ in range(3)))
    finally:
        await service.wire.unlimit("payments")
    assert [each.status_code for each in replies] == [200, 200, 200]
    waits = [
        (call.forwarded_at - call.at).total_seconds()
        for call in await service.calls(3)
        if call.decision == "queued" and call.forwarded_at
    ]
    assert waits
    assert max(waits) > 0.1


async def test_a_reply_to_head_and_one_of_204_have_no_body(service: Service) -> None:
    async with service.client() as client:
        async with await service.set("call HEAD /x leaving") as held:
            asked = asyncio.create_task(client.head("/x"))
            await service.wire.decide(await reached(held), "503")
            assert (await asked).content == b""
        async with await service.set("call POST /x leaving") as held:
            asked = asyncio.create_task(client.post("/x"))
            await service.wire.decide(await reached(held), "204")
            assert (await asked).content == b""
        assert (await client.post("/x", content=BODY)).content == BODY


async def _only_call(service: Service, stage: Stage) -> Called:
    """It was sent on only if it was held afterwards."""
    (call,) = await service.calls(1)
    assert len(service.booked()) == (stage is Stage.ANSWERED)
    assert (call.forwarded_at is not None) == (stage is Stage.ANSWERED)
    assert (call.replied_at is not None) == (stage is Stage.ANSWERED)
    return call
