"""How an experiment waits for the end of workflows, and records their progress meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowHistoryEventFilterType,
)
from temporalio.service import RPCError, RPCStatusCode

from chaos.evidence.journal import Event, Journal
from chaos.process.waiting import wait_until, within

SAMPLE_INTERVAL_SECONDS = 0.25
FOLLOW_AGAIN_SECONDS = 0.5

AWAITED_AT_ONCE = 50
"""Workflows whose end is awaited at the server side by side; more would keep it busy."""

SETTLE_SECONDS = 15.0
"""How long the workflow task of a workflow that should still run may take: a dead worker's sticky
queue timeout, and the task itself.
"""

_LONGEST_CALL = timedelta(seconds=20)
_PAUSE_SECONDS = 0.05

_Handle = WorkflowHandle[Any, Any]


@dataclass(frozen=True)
class Ends:
    """Asks the server for the ends of workflows. Those `not_yet` there may still be started by
    others; all others that the server does not know are lost.
    """

    handle: Callable[[str], _Handle]
    not_yet: Collection[str]
    on_ended: Callable[[str], None]

    async def until_ended(self, ids: Sequence[str], deadline_seconds: float) -> None:
        """Wait for all of them. Raises DeadlineExceededError.

        `handle.result()` gives up after 10 s without a server, so this asks in its own loop.
        """
        places = asyncio.Semaphore(AWAITED_AT_ONCE)
        names = f"{', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}"
        async with within(f"{names} end", deadline_seconds), asyncio.TaskGroup() as group:
            for workflow_id in ids:
                group.create_task(self._until_one_ended(workflow_id, places))

    async def _until_one_ended(self, workflow_id: str, places: asyncio.Semaphore) -> None:
        """The server reports the end; it may be down, and a run may be followed by another. A slot
        is released after each answer, so that the others are asked as well.
        """
        while True:
            async with places:
                if await self.has_ended(workflow_id):
                    return
                with contextlib.suppress(RPCError):
                    await self._next_close(workflow_id)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _next_close(self, workflow_id: str) -> None:
        """Wait until a run ends, or for as long as a call may take."""
        events = self.handle(workflow_id).fetch_history_events(
            wait_new_event=True,
            event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT,
            rpc_timeout=_LONGEST_CALL,
        )
        await anext(events, None)

    async def has_ended(self, workflow_id: str) -> bool:
        """Whether a workflow has ended, or is lost."""
        try:
            described = await self.handle(workflow_id).describe(rpc_timeout=timedelta(seconds=2))
        except RPCError as error:
            return self._is_lost(workflow_id, error)
        if described.status in {None, WorkflowExecutionStatus.RUNNING}:
            return False
        self.on_ended(workflow_id)
        return True

    async def until_idle(self, workflow_id: str) -> None:
        """Wait until a workflow that should still run has no workflow task to do, or is lost.
        Raises DeadlineExceededError.
        """

        async def is_idle() -> bool:
            handle = self.handle(workflow_id)
            try:
                described = await handle.describe(rpc_timeout=timedelta(seconds=2))
            except RPCError as error:
                return self._is_lost(workflow_id, error)
            return not described.raw_description.HasField("pending_workflow_task")

        await wait_until(
            is_idle,
            what=f"{workflow_id} has no workflow task to do",
            deadline_seconds=SETTLE_SECONDS,
        )

    def _is_lost(self, workflow_id: str, error: RPCError) -> bool:
        return error.status is RPCStatusCode.NOT_FOUND and workflow_id not in self.not_yet


@asynccontextmanager
async def watched(
    handle: _Handle, workflow_id: str, query: str, journal: Journal
) -> AsyncIterator[None]:
    """Record a query's answer each time that it changes, while the block runs."""
    changed = asyncio.Event()
    tasks = [
        asyncio.create_task(_follow(handle, changed)),
        asyncio.create_task(_sample(handle, workflow_id, query, journal, changed)),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _follow(handle: _Handle, changed: asyncio.Event) -> None:
    """Wait until a workflow's history grows: only then can its progress have changed."""
    while True:
        events = handle.fetch_history_events(wait_new_event=True, rpc_timeout=_LONGEST_CALL)
        try:
            async for _ in events:
                changed.set()
        except RPCError:  # it is not there yet, or the server is away
            await asyncio.sleep(SAMPLE_INTERVAL_SECONDS)
        else:  # its run has ended, and another may follow
            await asyncio.sleep(FOLLOW_AGAIN_SECONDS)


async def _sample(
    handle: _Handle, workflow_id: str, query: str, journal: Journal, changed: asyncio.Event
) -> None:
    last: dict[str, Any] | None = None
    while True:
        await changed.wait()
        changed.clear()
        try:
            now = await handle.query(query, result_type=dict, rpc_timeout=timedelta(seconds=1))
        except RPCError:
            # While the server or every worker is down there is no answer; that is no finding.
            changed.set()
        else:
            if now != last:
                last = now
                journal.add(Event.PROGRESS, workflow_id=workflow_id, progress=now)
        await asyncio.sleep(SAMPLE_INTERVAL_SECONDS)
