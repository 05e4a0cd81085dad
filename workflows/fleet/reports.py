"""What a worker tells its fleet, through a pipe: which attempts it has in hand, and that it lives.

The fleet must know it at once when the worker is dead, so nothing here waits: a line that finds no
room in the pipe is dropped. The fleet then knows less, and what it does not know is left to the
heartbeats.
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
MEMBER_VARIABLE = "FLEET_MEMBER"
PLACE_VARIABLE = "FLEET_PLACE"
"""Set by the fleet for each process: the pipe, a name that is never used again, and the number of
the place that it fills, counted from 1."""

BEAT_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


class Event(StrEnum):
    """What a report tells of."""

    READY = "ready"
    BEAT = "beat"
    BEGAN = "began"
    ENDED = "ended"
    WORKFLOW = "workflow"


class Report(BaseModel):
    """One line. `token` names one attempt of an activity, `workflow_id` a workflow that the
    worker keeps in its cache.
    """

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    event: Event
    identity: str | None = None
    token: bytes | None = None
    what: str | None = None
    workflow_id: str | None = None


@dataclass(frozen=True)
class Membership:
    """A worker's end of the pipe, and its name in the fleet."""

    sender: str
    pipe: int

    @classmethod
    def of_this_process(cls) -> Self | None:
        """None for a worker that was not started by a fleet."""
        sender, pipe = os.environ.get(MEMBER_VARIABLE), os.environ.get(REPORTS_VARIABLE)
        if not sender or not pipe:
            return None
        os.set_blocking(int(pipe), False)
        # Nobody else writes to it, and a fleet that is paused must not make its workers wait.
        os.set_blocking(sys.stderr.fileno(), False)
        return cls(sender, int(pipe))

    def tell(self, event: Event, **fields: Any) -> None:
        """Write one line, or nothing."""
        line = Report(event=event, **fields).model_dump_json(exclude_none=True) + "\n"
        data = line.encode()
        if len(data) <= select.PIPE_BUF:  # a longer one could be torn by another thread's
            with contextlib.suppress(OSError):
                os.write(self.pipe, data)

    @asynccontextmanager
    async def kept(self, identity: str, stop: Callable[[], object]) -> AsyncIterator[None]:
        """Say that the worker is ready, then that it lives; `stop` it once its fleet is gone."""
        loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

        def read() -> None:
            if not os.read(stdin, 1):
                loop.remove_reader(stdin)  # it would be called all the time from now on
                stop()

        loop.add_reader(stdin, read)
        _wake_up_when_the_fleet_dies()
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


def _wake_up_when_the_fleet_dies() -> None:
    """A paused worker could not see that its fleet is gone, and would stay for good."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)


@dataclass
class ReportingInterceptor(Interceptor):
    """Tells the fleet of each attempt, when it begins and when it ends."""

    membership: Membership

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Around every attempt."""
        return _Activity(next, self.membership)

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002, ARG002 - the SDK's signature
    ) -> type[WorkflowInboundInterceptor]:
        """Around every workflow."""
        membership = self.membership

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(_Workflow(outbound, membership))

        return Inbound


class _Activity(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, membership: Membership) -> None:
        super().__init__(following)
        self._membership = membership

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        info = activity.info()
        what = f"{info.activity_type} of {info.workflow_id}"[:200]
        self._membership.tell(Event.BEGAN, token=info.task_token, what=what)
        try:
            return await super().execute_activity(input)
        finally:
            self._membership.tell(Event.ENDED, token=info.task_token)


class _Workflow(WorkflowOutboundInterceptor):
    def __init__(self, following: WorkflowOutboundInterceptor, membership: Membership) -> None:
        super().__init__(following)
        self._membership = membership

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002 - the SDK's name
        if not workflow.unsafe.is_replaying():
            with workflow.unsafe.sandbox_unrestricted():
                self._membership.tell(Event.WORKFLOW, workflow_id=workflow.info().workflow_id)
        return super().start_activity(input)
