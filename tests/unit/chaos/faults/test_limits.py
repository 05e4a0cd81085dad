"""A limit is put on and taken off where it belongs, and says where it cannot be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chaos.environment.stack import NotHereError
from chaos.environment.target import Service
from chaos.faults import RateLimited, ServiceOverloaded
from chaos.wire.specs import LimitSpec

HTTP = Service(name="payments", argv=("x",), variable="PAYMENTS_URL")
OTHER = Service(name="books", argv=("x",), variable="BOOKS_URL", url="postgres://{address}")


class Wire:
    def __init__(self) -> None:
        self.done: list[object] = []

    async def limit(self, limit: LimitSpec) -> None:
        self.done.append(limit)

    async def unlimit(self, service: str = "") -> None:
        self.done.append(service)


class Temporal:
    def __init__(self) -> None:
        self.configured: list[dict[str, str]] = []

    async def configure(self, settings: dict[str, str]) -> None:
        self.configured.append(settings)


def lab_with(wire: Wire, temporal: object = None) -> Any:
    services = {each.name: SimpleNamespace(service=each) for each in (HTTP, OTHER)}
    stack = SimpleNamespace(wire=SimpleNamespace(wire=wire), temporal=temporal, services=services)
    return SimpleNamespace(stack=stack)


async def test_a_namespace_is_limited_on_the_wire() -> None:
    wire, fault = Wire(), RateLimited(per_second=20)
    await fault.inject(lab_with(wire))
    await fault.heal(lab_with(wire))
    assert wire.done == [LimitSpec(per_second=20, burst=40), ""]


async def test_a_server_of_its_own_is_configured() -> None:
    temporal, fault = Temporal(), RateLimited(per_second=19.6, by="server")
    await fault.inject(lab_with(Wire(), temporal))
    await fault.heal(lab_with(Wire(), temporal))
    assert temporal.configured == [{"frontend.namespaceRPS": "20"}, {}]


async def test_a_server_that_others_use_cannot_be_configured() -> None:
    with pytest.raises(NotHereError, match="is not its own"):
        await RateLimited(per_second=20, by="server").inject(lab_with(Wire(), object()))


async def test_a_service_is_limited_on_the_wire() -> None:
    wire, fault = Wire(), ServiceOverloaded(service="payments", per_second=0.5, answer=503)
    await fault.inject(lab_with(wire))
    await fault.heal(lab_with(wire))
    limit = LimitSpec(service="payments", per_second=0.5, burst=1, status=503)
    assert wire.done == [limit, "payments"]


@pytest.mark.parametrize("name", ["books", "nobody"])
async def test_a_service_that_is_not_on_the_wire_cannot_be_limited(name: str) -> None:
    wire = Wire()
    with pytest.raises(NotHereError, match=f"no requests to '{name}' pass the wire"):
        await ServiceOverloaded(service=name, per_second=1).inject(lab_with(wire))
    assert not wire.done
