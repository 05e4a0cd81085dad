"""Takes the alerts of a worker's activities: logs them, and has them sent by Temporal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from types import TracebackType
from typing import Self

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from workflows.alerts.alert import Alert
from workflows.alerts.delivery import SendAlert, Sender, logger
from workflows.alerts.interceptor import AlertInterceptor
from workflows.alerts.receivers import Receiver

START_WAIT_SECONDS = 1.0
"""How long an attempt waits until Temporal has its alert. It takes milliseconds. Longer, and an
outage of the server would hold up what was paid for."""

STOP_SECONDS = 2.0
"""How long a worker that stops goes on handing alerts to Temporal, and with what it is sending."""

STARTS_AT_ONCE = 20
"""Starts at a time. Hundreds, of all that waited for one provider, would hold up heartbeats."""

_RETRY_SECONDS = 5.0

_REFUSALS = frozenset(
    {
        RPCStatusCode.PERMISSION_DENIED,
        RPCStatusCode.UNIMPLEMENTED,
        RPCStatusCode.INVALID_ARGUMENT,
    }
)
"""Answers of Temporal that another try does not change: alerts must not pile up in the worker."""

alert_logger = logging.getLogger("workflows.alerts")
"""Logs alerts, one JSON object on one line each, and nothing else."""


class Alerts:
    """The alerts of one worker. Use it by `async with`, around the worker.

    An alert that Temporal has is sent at least once, by this worker or another one with the same
    task queue. An alert is logged but not sent if the worker dies before Temporal has it; as a rule
    the attempt has not begun then. Nor is one that Temporal refuses.
    """

    def __init__(
        self, client: Client, task_queue: str, receivers: Sequence[Receiver], build_id: str
    ) -> None:
        self._client = client
        self._build_id = build_id
        self._receivers = {
            f"{task_queue}-alerts-{number}": receiver
            for number, receiver in enumerate(receivers, 1)
        }
        self._starts: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(STARTS_AT_ONCE)
        self._workers: list[Worker] = []
        self._stack = AsyncExitStack()
        self._stopping: asyncio.Future[list[None]] | None = None
        self.interceptor = AlertInterceptor(self.tell, client.identity)

    async def __aenter__(self) -> Self:
        """Begin to send the alerts that wait in Temporal."""
        for task_queue, receiver in self._receivers.items():
            sender = Sender(receiver)
            worker = self._worker(task_queue, sender)
            self._workers.append(worker)
            self._stack.callback(sender.close)
            await self._stack.enter_async_context(worker)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop sending. What is not sent yet waits in Temporal for the next worker."""
        if self._starts:
            _, left = await asyncio.wait(self._starts, timeout=STOP_SECONDS)
            for start in left:
                start.cancel()
            if left:
                logger.error("%d alerts are lost: Temporal could not be reached.", len(left))
        await self.stop()
        await self._stack.__aexit__(kind, error, trace)

    def stop(self) -> asyncio.Future[list[None]]:
        """Begin to stop sending, to all receivers. Call it when the worker begins to stop: with
        a server that hangs each takes 20 s, and one after the other would be too long.
        """
        if self._stopping is None:
            self._stopping = asyncio.gather(*(worker.shutdown() for worker in self._workers))
        return self._stopping

    async def tell(self, alert: Alert) -> None:
        """Log an alert and hand it to Temporal, for each receiver. Waits for Temporal, briefly."""
        alert_logger.warning("%s", alert.log_line)
        starts = [asyncio.create_task(self._start(alert, queue)) for queue in self._receivers]
        for start in starts:
            self._starts.add(start)
            start.add_done_callback(self._starts.discard)
        if starts:
            await asyncio.wait(starts, timeout=START_WAIT_SECONDS)

    async def _start(self, alert: Alert, task_queue: str) -> None:
        """Start the workflow of an alert, once for each attempt, receiver and task queue."""
        for tries in count():
            try:
                async with self._at_once:
                    await self._client.start_workflow(
                        SendAlert.run,
                        alert,
                        id=f"{task_queue}-{alert.key}",
                        task_queue=task_queue,
                        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    )
            except WorkflowAlreadyStartedError:
                return
            except RPCError as error:
                status = error.status
                if status in _REFUSALS:
                    logger.error("an alert is lost: Temporal refuses it (%s).", status.name)
                    return
                if tries == 0:
                    logger.warning("an alert waits for Temporal (%s).", status.name)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    def _worker(self, task_queue: str, sender: Sender) -> Worker:
        return Worker(
            self._client,
            task_queue=task_queue,
            workflows=[SendAlert],
            activities=[sender.send_alert],
            max_concurrent_activities=1,
            max_cached_workflows=0,  # a workflow has two tasks, and the cache a poller of its own
            max_concurrent_workflow_task_polls=1,
            max_concurrent_activity_task_polls=1,
            disable_eager_activity_execution=True,
            build_id=self._build_id,
            graceful_shutdown_timeout=timedelta(seconds=STOP_SECONDS),
        )
