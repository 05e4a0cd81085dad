"""Fixtures: the service's application without a process, before a stand-in for Temporal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from workflows.models import Decision
from workflows.service.app import create_app
from workflows.service.errors import unknown
from workflows.service.operations import Input, Operations
from workflows.service.schemas import Kind, OperationsView, OperationView, Status

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class StandIn(Operations):
    """Notes what it is asked for. `fault` is raised instead, where it is set."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.fault: Exception | None = None

    def _note(self, *what: object) -> None:
        self.asked.append(what)
        if self.fault:
            raise self.fault

    async def start(self, kind: Kind, given: Input, operation_id: str) -> None:
        self._note("start", kind, given, operation_id)

    async def restart(self, operation_id: str) -> None:
        self._note("restart", operation_id)

    async def status(self, operation_id: str) -> OperationView:
        self._note("status", operation_id)
        if operation_id == "unknown":
            raise unknown(operation_id)
        return a_view(operation_id)

    async def pause(self, operation_id: str) -> None:
        self._note("pause", operation_id)

    async def resume(self, operation_id: str) -> None:
        self._note("resume", operation_id)

    async def cancel(self, operation_id: str) -> None:
        self._note("cancel", operation_id)

    async def decide(self, operation_id: str, decision: Decision) -> None:
        self._note("decide", operation_id, decision)

    async def page(self, limit: int, page_token: str | None) -> OperationsView:
        self._note("page", limit, page_token)
        return OperationsView(operations=[a_view("one")], next_page_token=None)

    async def require_ready(self) -> None:
        self._note("require_ready")


def a_view(operation_id: str) -> OperationView:
    return OperationView(
        operation_id=operation_id,
        type=Kind.SINGLE,
        status=Status.RUNNING,
        started_at=AT,
        closed_at=None,
        videos=None,
        progress=None,
        progress_missing="nobody asked.",
        attempts=(),
        alerts=(),
    )


Connect = Callable[..., httpx.AsyncClient]


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn()


@pytest.fixture
def connect(stand_in: StandIn) -> Connect:
    """Makes a client of the application, with this token."""

    def connect(token: str | None = None, base_url: str = "http://127.0.0.1:3007") -> Any:
        app = create_app(stand_in, SecretStr(token) if token else None)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=base_url)

    return connect


@pytest.fixture
async def http(connect: Connect) -> AsyncIterator[httpx.AsyncClient]:
    async with connect() as client:
        yield client


def errors(response: httpx.Response) -> list[str]:
    """The sentences of an answer in the one shape of all errors."""
    answer = response.json()
    assert list(answer) == ["errors"], answer
    sentences: list[str] = answer["errors"]
    return sentences
