"""What a call carries passes both ways, whatever the method: the server here is the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
import trustme

from chaos.process.waiting import wait_until
from chaos.wire.limits import refusal_details
from chaos.wire.specs import LimitSpec, Upstream, WireError
from tests.integration.wire.bed import DEADLINE_SECONDS, WireProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = "/temporal.api.workflowservice.v1.WorkflowService/OfTomorrow"
KNOWN = "/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace"
FOREIGN = "/grpc.health.v1.Health/Watch"
FOREIGN_UNARY = "/grpc.health.v1.Health/Check"
NAME = "temporal.test"
NO_LIMIT = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
Answer = Callable[[bytes, Any], Awaitable[bytes]]


@dataclass
class Server(grpc.GenericRpcHandler):
    """It answers all calls in one way."""

    answer: Answer
    metadata: list[tuple[tuple[str, str | bytes], ...]] = field(default_factory=list)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        if details.method == FOREIGN:
            return grpc.stream_stream_rpc_method_handler(self._many)
        return grpc.unary_unary_rpc_method_handler(self._one)

    async def _one(self, request: bytes, context: Any) -> bytes:
        self.metadata.append(tuple(context.invocation_metadata()))
        return await self.answer(request, context)

    async def _many(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request + b"1"
            yield request + b"2"
        await context.abort(grpc.StatusCode.ABORTED, "that was all")


@asynccontextmanager
async def serving(
    answer: Answer, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[tuple[Server, str]]:
    served = Server(answer)
    server = grpc.aio.server(handlers=(served,), options=NO_LIMIT)
    if credentials:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield served, f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def through(
    process: WireProcess, name: str, upstream: Upstream | str
) -> AsyncIterator[grpc.aio.Channel]:
    port = await process.line(name, upstream)
    async with grpc.aio.insecure_channel(port.address, NO_LIMIT) as channel:
        yield channel
    await process.wire.close_line(name)


def unary(channel: grpc.aio.Channel, method: str) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
    return channel.unary_unary(method)


async def echo(request: bytes, context: Any) -> bytes:
    await context.send_initial_metadata((("first", "1"), ("first-bin", b"\0\1")))
    context.set_trailing_metadata((("last", "2"), ("last-bin", b"\2\3")))
    return request


async def refuse(request: bytes, context: Any) -> bytes:
    details = (("grpc-status-details-bin", request), ("why", "because"))
    await context.abort(grpc.StatusCode.ALREADY_EXISTS, "it is there: ä", details)
    return b""


@pytest.mark.parametrize("method", [UNKNOWN, KNOWN, FOREIGN_UNARY])
async def test_bytes_and_metadata_pass_both_ways(process: WireProcess, method: str) -> None:
    """Also those that are no message of a known method."""
    sent = (("authorization", "Bearer x"), ("some-bin", b"\xff\0"))
    async with serving(echo) as (server, address), through(process, "echo", address) as channel:
        call = unary(channel, method)(b"\xffnonsense", metadata=sent)
        assert await call == b"\xffnonsense"
        initial, trailing = tuple(await call.initial_metadata()), await call.trailing_metadata()
    assert set(sent) <= set(server.metadata[0])
    assert set(initial) == {("first", "1"), ("first-bin", b"\0\1")}
    assert set(trailing) == {("last", "2"), ("last-bin", b"\2\3")}


@pytest.mark.parametrize("method", [UNKNOWN, FOREIGN_UNARY])
async def test_a_refusal_keeps_its_status_and_its_details(
    process: WireProcess, method: str
) -> None:
    async with serving(refuse) as (_, address), through(process, "refuse", address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary(channel, method)(b"\1\2")
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert caught.value.details() == "it is there: ä"
    assert {("grpc-status-details-bin", b"\1\2"), ("why", "because")} <= set(
        caught.value.trailing_metadata()
    )
    if method == UNKNOWN:
        (called,) = process.calls("refuse")
        assert (called.method, called.status) == ("OfTomorrow", "ALREADY_EXISTS")


async def test_a_limit_refuses_as_the_server_does(process: WireProcess) -> None:
    async with serving(echo) as (server, address), through(process, "limited", address) as channel:
        await process.wire.limit(LimitSpec(per_second=0.1, burst=1))
        try:
            await unary(channel, UNKNOWN)(b"\1")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await unary(channel, UNKNOWN)(b"\1")
        finally:
            await process.wire.unlimit()
        assert await unary(channel, UNKNOWN)(b"\2") == b"\2"
    assert len(server.metadata) == 2, "the server got it nevertheless"
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert ("grpc-status-details-bin", refusal_details()) in tuple(caught.value.trailing_metadata())
    refused = process.calls("limited")[1]
    assert (refused.decision, refused.status, refused.forwarded_at) == (
        "limit",
        "RESOURCE_EXHAUSTED",
        None,
    )


async def test_a_message_of_any_size_passes(process: WireProcess) -> None:
    big = bytes(20 << 20)
    async with serving(echo) as (_, address), through(process, "big", address) as channel:
        assert await unary(channel, UNKNOWN)(big) == big


async def test_deadlines_and_cancellations_reach_the_server(process: WireProcess) -> None:
    left: list[float | None] = []
    ended = asyncio.Event()

    async def wait(request: bytes, context: Any) -> bytes:
        left.append(context.time_remaining())
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()
        return request

    async with serving(wait) as (_, address), through(process, "wait", address) as channel:
        method = unary(channel, UNKNOWN)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await method(b"", timeout=0.5)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await asyncio.wait_for(ended.wait(), DEADLINE_SECONDS)
        ended.clear()
        call = method(b"")
        await wait_until(lambda: len(left) == 2, what="it is there", deadline_seconds=5)
        call.cancel()
        await asyncio.wait_for(ended.wait(), DEADLINE_SECONDS)
    with_deadline, without = left
    assert with_deadline is not None
    assert 0 < with_deadline < 0.6
    assert without is None


async def test_calls_do_not_wait_for_each_other(process: WireProcess) -> None:
    """All are there before the first is answered."""
    together = asyncio.Barrier(300)

    async def meet(request: bytes, context: Any) -> bytes:
        del context
        await together.wait()
        return request

    async with serving(meet) as (_, address), through(process, "many", address) as channel:
        method = unary(channel, UNKNOWN)
        replies = await asyncio.gather(*(method(str(n).encode()) for n in range(300)))
    assert replies == [str(n).encode() for n in range(300)]


async def test_streams_of_other_services_pass(process: WireProcess) -> None:
    async with serving(echo) as (_, address), through(process, "stream", address) as channel:
        method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(FOREIGN)
        call = method()
        await call.write(b"a")
        assert [await call.read(), await call.read()] == [b"a1", b"a2"]
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.ABORTED
        assert await call.details() == "that was all"


async def test_a_server_that_is_away_is_unavailable(process: WireProcess) -> None:
    async with serving(echo) as (_, address), through(process, "away", address) as channel:
        pass
    async with through(process, "away", address) as channel:
        method = unary(channel, UNKNOWN)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await method(b"")
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@dataclass(frozen=True)
class Certificates:
    ca: Path
    certificate: Path
    key: Path
    server: grpc.ServerCredentials


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Of a server that asks its clients for one."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    server, client = authority.issue_cert(NAME), authority.issue_cert("worker@test")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    client.private_key_pem.write_to_path(folder / "client.key")
    credentials = grpc.ssl_server_credentials(
        [(server.private_key_pem.bytes(), server.cert_chain_pems[0].bytes())],
        authority.cert_pem.bytes(),
        require_client_auth=True,
    )
    return Certificates(
        folder / "ca.pem", folder / "client.pem", folder / "client.key", credentials
    )


async def test_a_server_behind_tls_knows_the_line_by_its_certificate(
    process: WireProcess, certificates: Certificates
) -> None:
    async with serving(echo, certificates.server) as (_, address):
        upstream = Upstream(
            address=address,
            tls=True,
            ca_file=str(certificates.ca),
            certificate_file=str(certificates.certificate),
            key_file=str(certificates.key),
            server_name=NAME,
        )
        async with through(process, "tls", upstream) as channel:
            assert await unary(channel, UNKNOWN)(b"x") == b"x"
        unknown = upstream.model_copy(update={"certificate_file": "", "key_file": ""})
        async with through(process, "no-certificate", unknown) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await unary(channel, UNKNOWN)(b"x")
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_file_of_tls_that_is_not_there_is_explained(process: WireProcess) -> None:
    upstream = Upstream(address="127.0.0.1:1", tls=True, ca_file="none.pem")
    with pytest.raises(WireError, match=r"The file none.pem cannot be read"):
        await process.line("no-file", upstream)
