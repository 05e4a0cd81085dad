"""Both control clients share their base; what they do with a running process is tested with it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import respx

from chaos.network.control import Network, NetworkError
from chaos.network.http_control import Control, ControlError
from tests.chaos.video.fake_api.control import FakeApi, FakeApiError

URL = "http://127.0.0.1:1"


@asynccontextmanager
async def answering(client: Control, status: int, body: str) -> AsyncIterator[Control]:
    with respx.mock:
        respx.route().mock(return_value=httpx.Response(status, text=body))
        async with client:
            yield client


@pytest.mark.parametrize(
    ("made", "error"),
    [(FakeApi, FakeApiError), (Network, NetworkError), (Control, ControlError)],
)
async def test_a_refusal_is_the_clients_own(made: type[Control], error: type[ControlError]) -> None:
    async with answering(made(URL), 409, json.dumps({"error": "It is on."})) as client:
        with pytest.raises(error, match=r"It is on\.") as found:
            await client.send("POST", "/toxics", {})
    assert type(found.value) is error


@pytest.mark.parametrize("body", ["", "no JSON", "[]", "{}"])
async def test_a_refusal_without_a_reason_names_what_was_asked(body: str) -> None:
    async with answering(Control(URL), 500, body) as client:
        with pytest.raises(ControlError, match="GET /rules was answered with status 500"):
            await client.send("GET", "/rules")


async def test_nobody_there_is_not_healthy() -> None:
    async with Control(URL) as client:
        assert not await client.health()
