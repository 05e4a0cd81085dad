"""What a worker reports to its supervisor through a pipe: its attempts, and that it lives.

A report must never block the worker: a line that does not fit into the pipe is dropped. The
supervisor then knows less, and what it does not know is left to the heartbeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from temporalio import activity, workflow
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

REPORTS_VARIABLE = "FLEET_REPORTS_FD"
SENDER_VARIABLE = "FLEET_SENDER"
NUMBER_VARIABLE = "FLEET_NUMBER"
"""The supervisor sets them for each worker: the pipe, its name in the payment journal, which
is never used again, and the worker's number, counted from 1."""

BEAT_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


class Event(StrEnum):
    """The kinds of reports."""

    READY = "ready"
    BEAT = "beat"
    BEGAN = "began"
    ENDED = "ended"
    WORKFLOW = "workflow"


class Report(BaseModel):
    """One line in the pipe. `token` names one attempt of an activity, `what` describes it;
    `workflow_id` is a workflow in the worker's cache.
    """

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    event: Event
    identity: str | None = None
    token: bytes | None = None
    what: str | None = None
    workflow_id: str | None = None


@dataclass(frozen=True)
class SupervisorLink:
    """The worker's end of the pipe. `sender` is the worker's name in the payment journal."""

    sender: str
    pipe: int

    @classmethod
    def of_this_process(cls) -> Self | None:
        """The link of this process, or None if no supervisor started it."""
        sender, pipe = os.environ.get(SENDER_VARIABLE), os.environ.get(REPORTS_VARIABLE)
        if not sender or not pipe:
            return None
        os.set_blocking(int(pipe), False)
        # Only this process writes to it, and a paused supervisor must not block its workers.
        os.set_blocking(sys.stderr.fileno(), False)
        return cls(sender, int(pipe))

    def tell(self, event: Event, **fields: Any) -> None:
        """Write one line; drop it if there is no room."""
        line = Report(event=event, **fields).model_dump_json(exclude_none=True) + "\n"
        data = line.encode()
        if len(data) <= select.PIPE_BUF:  # a longer one could be torn by another thread's
            with contextlib.suppress(OSError):
                os.write(self.pipe, data)

    @asynccontextmanager
    async def kept(self, identity: str, stop: Callable[[], object]) -> AsyncIterator[None]:
        """Report readiness, then that the worker lives; `stop` it once the supervisor is gone."""
        loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

        def read() -> None:
            if not os.read(stdin, 1):
                loop.remove_reader(stdin)  # at its end the pipe is always readable
                stop()

        loop.add_reader(stdin, read)
        _wake_up_when_the_supervisor_dies()
        self.tell(Event.READY, identity=identity)
        beat = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beat.cancel()
            loop.remove_reader(stdin)

    async def _beat(self) -> None:
        while True:
            self.tell(Event.BEAT)
            await asyncio.sleep(BEAT_SECONDS)


def _wake_up_when_the_supervisor_dies() -> None:
    """Otherwise a worker that is stopped by SIGSTOP would stay for ever without its supervisor."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)


@dataclass
class ReportingInterceptor(Interceptor):
    """Reports the begin and the end of each attempt, and the workflows in the cache."""

    link: SupervisorLink

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Wrap every attempt."""
        return _Activity(next, self.link)

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002, ARG002 - the SDK's signature
    ) -> type[WorkflowInboundInterceptor]:
        """Wrap every workflow."""
        link = self.link

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(_Workflow(outbound, link))

        return Inbound


class _Activity(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, link: SupervisorLink) -> None:
        super().__init__(following)
        self._link = link

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        info = activity.info()
        what = f"{info.activity_type} of {info.workflow_id}"[:200]
        self._link.tell(Event.BEGAN, token=info.task_token, what=what)
        try:
            return await super().execute_activity(input)
        finally:
            self._link.tell(Event.ENDED, token=info.task_token)


class _Workflow(WorkflowOutboundInterceptor):
    def __init__(self, following: WorkflowOutboundInterceptor, link: SupervisorLink) -> None:
        super().__init__(following)
        self._link = link

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002 - the SDK's name
        if not workflow.unsafe.is_replaying():
            with workflow.unsafe.sandbox_unrestricted():
                self._link.tell(Event.WORKFLOW, workflow_id=workflow.info().workflow_id)
        return super().start_activity(input)
