"""A service that is broken on the wire: what its callers get, and what is on record of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from chaos.wire.specs import Breakage
from tests.integration.wire.bed import Bed, WireProcess
from tests.integration.wire.http_bed import Service, service_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = b'{"amount": 7}'
SLOW_SECONDS = 0.4


@pytest_asyncio.fixture(loop_scope="module")
async def service(module_bed: Bed, process: WireProcess) -> AsyncIterator[Service]:
    async with service_in(module_bed, process) as service:
        yield service


async def test_a_share_is_refused_and_never_reaches_the_service(service: Service) -> None:
    errors = Breakage(name="errors at payments", service="payments", status=503, share=0.5)
    await service.wire.break_service(errors)
    async with service.client() as client:
        replies = [await client.post("/x", content=BODY) for _ in range(3)]
        await service.wire.mend_service(errors.name)
        replies.append(await client.post("/x", content=BODY))

    assert [reply.status_code for reply in replies] == [503, 200, 503, 200]
    assert replies[0].text == "The fault errors at payments answers with 503.\n"
    assert len(service.booked()) == 2
    calls = await service.calls(4)
    assert [call.broken_by for call in calls] == [errors.name, "", errors.name, ""]
    assert [call.forwarded_at is None for call in calls] == [True, False, True, False]
    assert {call.body_sha256 for call in calls} == {calls[1].body_sha256}


async def test_a_slow_answer_is_of_what_was_done_at_once(service: Service) -> None:
    slow = Breakage(name="slow at payments", service="payments", delay_seconds=SLOW_SECONDS)
    await service.wire.break_service(slow)
    async with service.client() as client:
        reply = await client.post("/x", content=BODY)
        await service.wire.mend_service(slow.name)

    assert reply.content == BODY
    (call,) = await service.calls(1)
    assert (call.broken_by, call.status) == (slow.name, "200")
    assert call.replied_at
    assert call.delivered_at
    assert (call.delivered_at - call.replied_at).total_seconds() >= SLOW_SECONDS


async def test_who_gives_up_before_a_slow_answer_does_not_know_that_it_was_done(
    service: Service,
) -> None:
    slow = Breakage(name="slow at payments", service="payments", delay_seconds=60)
    await service.wire.break_service(slow)
    asked_at = datetime.now(UTC)  # the client counts from before its request has come
    async with service.client() as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SLOW_SECONDS):
                await client.post("/x", content=BODY)
    await service.wire.mend_service(slow.name)

    (call,) = await service.calls(1)
    assert (call.broken_by, call.status, call.delivered_at) == (slow.name, "", None)
    assert call.replied_at
    assert call.ended_at
    assert (call.ended_at - asked_at).total_seconds() >= SLOW_SECONDS
    assert (call.ended_at - call.replied_at).total_seconds() < slow.delay_seconds
    assert len(service.booked()) == 1


async def test_reading_passes_where_writing_is_refused(service: Service) -> None:
    read_only = Breakage(
        name="read_only at payments", service="payments", status=500, methods=("POST", "DELETE")
    )
    await service.wire.break_service(read_only)
    async with service.client() as client:
        written, read = await client.post("/x", content=BODY), await client.get("/x")
        await service.wire.mend_service(read_only.name)

    assert (written.status_code, read.status_code) == (500, 200)
    assert [call.broken_by for call in await service.calls(2)] == [read_only.name, ""]


async def test_another_services_calls_are_not_hit(service: Service) -> None:
    await service.wire.break_service(Breakage(name="errors", service="carrier", status=503))
    async with service.client() as client:
        assert (await client.post("/x", content=BODY)).status_code == 200
    await service.wire.mend_service("errors")
