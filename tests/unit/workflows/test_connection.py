"""A client of Temporal: how it is made, and what is waited for and what is told at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from unittest.mock import AsyncMock, Mock

import pytest
from temporalio.service import RPCError, RPCStatusCode

from chaos.process.ports import Port
from workflows import policies
from workflows.connection import connect, connect_lazily, connect_unless, require_namespace
from workflows.settings import SettingsError

AT_ONCE_SECONDS = 5.0
SOME_TIME = timedelta(seconds=0.5)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Nothing of the user's own configuration."""
    (tmp_path / "temporal.toml").touch()
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "temporal.toml"))
    for name in ("TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY", "TEMPORAL_TLS", "TEMPORAL_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(policies, "CONNECT_RETRY_INTERVAL", timedelta(milliseconds=20))
    return monkeypatch


@pytest.fixture
def nobody(environment: pytest.MonkeyPatch) -> Iterator[Port]:
    """A port where nobody answers, as Temporal's address."""
    port = Port()
    environment.setenv("TEMPORAL_ADDRESS", port.address)
    yield port
    port.release()


@pytest.fixture
async def another(environment: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Somebody at Temporal's address who speaks no TLS, as it is configured to."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        environment.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{port}")
        environment.setenv("TEMPORAL_TLS", "true")
        yield


async def fault(patience: timedelta = timedelta(0)) -> str:
    with pytest.raises(SettingsError) as raised:
        await connect(patience=patience)
    return str(raised.value)


async def test_a_silent_connection_is_probed_as_the_policies_say(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")

    client = await connect_lazily()

    keep_alive = client.service_client.config.keep_alive_config
    assert keep_alive
    assert (keep_alive.interval_millis, keep_alive.timeout_millis) == (12_000, 8_000)


# A Temporal that is not up


async def test_without_patience_nobody_is_waited_for(
    nobody: Port, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncio.timeout(AT_ONCE_SECONDS):
        said = await fault()
    assert said.startswith(f"cannot connect to Temporal at {nobody.address} (")
    assert said.endswith("; start it, or set TEMPORAL_ADDRESS.")
    assert not caplog.records


async def test_who_is_not_there_is_waited_for_within_bounds_and_it_is_said_once(
    nobody: Port, caplog: pytest.LogCaptureFixture
) -> None:
    began = time.monotonic()
    said = await fault(SOME_TIME)
    took_seconds = time.monotonic() - began

    assert said.startswith(f"cannot connect to Temporal at {nobody.address} (")
    assert SOME_TIME.total_seconds() <= took_seconds < AT_ONCE_SECONDS
    assert [record.getMessage() for record in caplog.records] == [
        f"Temporal at {nobody.address} does not answer yet; trying for another 0 s"
    ]


async def test_an_address_that_is_none_is_told_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TEMPORAL_ADDRESS", "no address")
    async with asyncio.timeout(AT_ONCE_SECONDS):
        said = await fault(policies.CONNECT_PATIENCE)
    assert said.startswith("cannot connect to Temporal at no address (")


@pytest.mark.usefixtures("another")
async def test_who_cannot_be_spoken_to_by_tls_is_told_at_once() -> None:
    async with asyncio.timeout(AT_ONCE_SECONDS):
        said = await fault(policies.CONNECT_PATIENCE)
    assert "InvalidContentType" in said


@pytest.mark.usefixtures("nobody")
async def test_the_wait_ends_at_once_when_one_is_to_stop() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, stop.set)
    async with asyncio.timeout(AT_ONCE_SECONDS):
        assert await connect_unless(stop) is None


# A namespace


def client_that_is_told(answer: Exception | None) -> Mock:
    service = Mock(describe_namespace=AsyncMock(side_effect=answer))
    config = Mock(target_host="temporal.test:7233")
    return Mock(namespace="mine", workflow_service=service, service_client=Mock(config=config))


def refusal(status: RPCStatusCode) -> RPCError:
    return RPCError("so it is", status, b"")


async def test_a_namespace_that_does_not_exist_is_told() -> None:
    with pytest.raises(SettingsError) as raised:
        await require_namespace(client_that_is_told(refusal(RPCStatusCode.NOT_FOUND)))
    assert str(raised.value) == (
        "the Temporal namespace 'mine' does not exist at temporal.test:7233; "
        "create it, or correct TEMPORAL_NAMESPACE."
    )


@pytest.mark.parametrize(
    "answer",
    [
        None,
        refusal(RPCStatusCode.PERMISSION_DENIED),
        refusal(RPCStatusCode.UNIMPLEMENTED),
        refusal(RPCStatusCode.UNAVAILABLE),
        RuntimeError("Failed client connect: Server connection error"),
        TimeoutError(),
    ],
    ids=str,
)
async def test_who_does_not_tell_of_the_namespace_stops_nobody(answer: Exception | None) -> None:
    await require_namespace(client_that_is_told(answer))


async def test_an_empty_namespace_is_told(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TEMPORAL_NAMESPACE", "")
    assert await fault() == "TEMPORAL_NAMESPACE is empty; unset it, or name a namespace."
