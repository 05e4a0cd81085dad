"""Fails the attempts of a dead worker at once, so that other workers retry them.

Only for a process that is known to be gone. Each attempt is failed by its task token, which names
that attempt and no other. Once the attempt has ended, the server refuses the token, so the next
attempt cannot be failed by mistake. What cannot be done here is left to the heartbeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.workflowservice.v1 import (
    GetSystemInfoRequest,
    GetWorkflowExecutionHistoryReverseRequest,
    ShutdownWorkerRequest,
)
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from workflows import policies
from workflows.models import WORKER_LOST
from workflows.payments.journal import JournalError, PaymentJournal

RPC_TIMEOUT = timedelta(seconds=2)
_RETRY_SECONDS = 0.2
_JOURNAL_SECONDS = 1.0
_EVENTS_READ = 30
_AWAY = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}
_AT_ONCE = timedelta(milliseconds=1)

logger = logging.getLogger("workflows.fleet")


@dataclass(frozen=True)
class Loss:
    """A worker process that is gone, and its attempts in flight. `how` says what ended it."""

    pid: int
    how: str
    sender: str
    identity: str | None
    attempts: Mapping[bytes, str]
    workflows: Sequence[str]
    sticky_queue: str | None


class _Outcome(Enum):
    FAILED_OVER = "failed over"
    OVER = "over already"
    LEFT = "left to the heartbeats"


@dataclass(frozen=True)
class Handover:
    """The result of a failover. `over`: attempts whose tokens the server refused, because they
    had ended; `left`: attempts that end only with their heartbeat timeout.
    """

    failed_over: int
    over: int
    left: int
    calls_given_up: int
    sticky_queue_is_shut: bool
    seconds: float

    def __str__(self) -> str:
        return (
            f"failed_over={self.failed_over} in_ms={1000 * self.seconds:.0f} over={self.over} "
            f"left_to_heartbeats={self.left} open_calls_settled={self.calls_given_up} "
            f"sticky_queue={'shut' if self.sticky_queue_is_shut else 'left'}"
        )


@dataclass(frozen=True)
class Failover:
    """Fails over lost workers. The dead worker's open calls in `journal` are settled first."""

    client: Client
    journal: PaymentJournal

    async def hand_over(self, loss: Loss) -> Handover:
        """Fail over all that is in flight, or leave it to the heartbeats. No outage raises here."""
        began = time.monotonic()
        # First the journal: otherwise the next attempt waits for the deadline of a dead sender.
        calls = await self._give_up_on(loss.sender)
        sticky = asyncio.create_task(self._shut_sticky_queue(loss, began))
        outcomes = await asyncio.gather(
            *(self._fail(token, loss, began) for token in loss.attempts)
        )
        seconds = time.monotonic() - began
        return Handover(
            failed_over=outcomes.count(_Outcome.FAILED_OVER),
            over=outcomes.count(_Outcome.OVER),
            left=outcomes.count(_Outcome.LEFT),
            calls_given_up=calls,
            sticky_queue_is_shut=await sticky,
            seconds=seconds,
        )

    async def temporal_answers(self) -> bool:
        """Whether the server answers, be it with an error."""
        try:
            await self.client.workflow_service.get_system_info(
                GetSystemInfoRequest(), timeout=RPC_TIMEOUT
            )
        except RPCError as error:
            return error.status not in _AWAY
        return True

    async def find_sticky_queue(self, identity: str, workflow_id: str) -> str | None:
        """The sticky task queue of a worker, or None if this workflow's history does not name it.
        Only a history has that name.
        """
        request = GetWorkflowExecutionHistoryReverseRequest(
            namespace=self.client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id),
            maximum_page_size=_EVENTS_READ,
        )
        service = self.client.workflow_service
        try:
            page = await service.get_workflow_execution_history_reverse(
                request, timeout=RPC_TIMEOUT
            )
        except RPCError:
            return None
        for event in page.history.events:
            queue = event.workflow_task_scheduled_event_attributes.task_queue
            is_sticky = queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY
            if is_sticky and queue.name.startswith(identity):
                return queue.name
        return None

    async def _give_up_on(self, sender: str) -> int:
        """Settle the journal's open calls of the dead worker, unless the journal is slow."""
        asking = asyncio.create_task(asyncio.to_thread(self.journal.give_up_on, sender))
        try:
            return await asyncio.wait_for(asyncio.shield(asking), _JOURNAL_SECONDS)
        except TimeoutError:
            asking.add_done_callback(_note_failure)
            logger.warning(
                "the payment journal is slow: open calls of dead workers may wait for "
                "their deadline"
            )
        except JournalError as error:
            logger.warning("open calls of dead workers wait for their deadlines: %s", error)
        return 0

    async def _fail(self, token: bytes, loss: Loss, began: float) -> _Outcome:
        handle = self.client.get_async_activity_handle(task_token=token)
        error = ApplicationError(
            f"its worker {loss.identity or loss.pid} was lost ({loss.how}).",
            type=WORKER_LOST,
            next_retry_delay=_AT_ONCE,
        )
        while True:
            try:
                await handle.fail(error, rpc_timeout=RPC_TIMEOUT)
            except RPCError as problem:
                if problem.status is RPCStatusCode.NOT_FOUND:
                    return _Outcome.OVER
                if _is_left_to_the_heartbeats(began):
                    logger.warning("%s is not failed over: %s", loss.attempts[token], problem)
                    return _Outcome.LEFT
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return _Outcome.FAILED_OVER

    async def _shut_sticky_queue(self, loss: Loss, began: float) -> bool:
        """Shut the dead worker's sticky queue, so that no workflow task waits there."""
        if loss.identity is None:
            return False
        while True:
            queue = loss.sticky_queue or await self._look_for_sticky_queue(loss)
            if queue is not None:
                request = ShutdownWorkerRequest(
                    namespace=self.client.namespace,
                    sticky_task_queue=queue,
                    identity=loss.identity,
                    reason=loss.how,
                )
                with contextlib.suppress(RPCError):
                    await self.client.workflow_service.shutdown_worker(request, timeout=RPC_TIMEOUT)
                    return True
            if queue is None or time.monotonic() - began > self._sticky_seconds:
                return False
            await asyncio.sleep(_RETRY_SECONDS)

    async def _look_for_sticky_queue(self, loss: Loss) -> str | None:
        for workflow_id in loss.workflows:
            queue = await self.find_sticky_queue(loss.identity or "", workflow_id)
            if queue:
                return queue
        return None

    @property
    def _sticky_seconds(self) -> float:
        """As long as a workflow task would wait there anyway."""
        return policies.STICKY_QUEUE_TIMEOUT.total_seconds()


def _is_left_to_the_heartbeats(began: float) -> bool:
    return time.monotonic() - began > policies.HEARTBEAT_TIMEOUT.total_seconds()


def _note_failure(asked: asyncio.Task[int]) -> None:
    if not asked.cancelled() and (error := asked.exception()):
        logger.warning("open calls of dead workers wait for their deadlines: %s", error)
