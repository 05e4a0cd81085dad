"""The real worker, a hand on the switch: `python -m chaos.search.explore.doomed [MODULE [ARGUMENT …]]`.

It runs MODULE (default: `workflows.worker`) as `python -m` would, and watches it where it meets the
server and the paid API: at the SDK's bridge and at httpx. At the armed moment it writes its last
line and kills itself on the spot, as no signal from outside could.

Each type that is ignored here is a method's, which is replaced on purpose.
"""

from __future__ import annotations

import os
import runpy
import signal
import socket
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from temporalio import activity
from temporalio.bridge.proto import ActivityTaskCompletion
from temporalio.bridge.proto.activity_task import ActivityTask
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.bridge.worker import Worker

from chaos.search.explore.moments import (
    ARMED,
    BOOTING,
    FOLDER_VARIABLE,
    Actor,
    Armed,
    Moment,
    Passed,
    Stage,
    hit_file,
    passed_file,
    unpolled,
)

WORKER = "workflows.worker"


@dataclass(frozen=True)
class Activity:
    """An attempt of an activity, as it was polled."""

    workflow_id: str
    number: int
    kind: str


@dataclass
class Watch:
    """Counts what this process does for each workflow, and ends it at the armed moment."""

    folder: Path
    _workflows: dict[str, str] = field(default_factory=dict)
    _evicted: set[str] = field(default_factory=set)
    _activities: dict[bytes, Activity] = field(default_factory=dict)
    _count: Counter[tuple[Actor, str | bytes]] = field(default_factory=Counter)

    def boots(self) -> None:
        """A first task is about to be asked for."""
        armed = self._armed()
        if armed and armed.moment == BOOTING:
            self._passes(armed.workflow_id, BOOTING)

    def task_polled(self, activation: WorkflowActivation) -> None:
        """A workflow task came; one that only empties the cache is none."""
        run_id = activation.run_id
        if all(job.HasField("remove_from_cache") for job in activation.jobs):
            self._evicted.add(run_id)
            return
        for job in activation.jobs:
            if job.HasField("initialize_workflow"):
                self._workflows[run_id] = job.initialize_workflow.workflow_id
        self._count[Actor.TASK, run_id] += 1
        self._task(run_id, Stage.POLLED)

    def is_task(self, completion: WorkflowActivationCompletion) -> bool:
        """Whether this answers a workflow task, not an emptied cache."""
        if completion.run_id in self._evicted:
            self._evicted.discard(completion.run_id)
            self._count.pop((Actor.TASK, completion.run_id), None)
            return False
        return True

    def task(self, completion: WorkflowActivationCompletion, stage: Stage) -> None:
        """A workflow task goes on."""
        self._task(completion.run_id, stage)

    def activity_polled(self, task: ActivityTask) -> None:
        """An activity came, unless it is a cancel of one."""
        if not task.HasField("start"):
            return
        workflow_id = task.start.workflow_execution.workflow_id
        self._count[Actor.ACTIVITY, workflow_id] += 1
        number = self._count[Actor.ACTIVITY, workflow_id]
        self._activities[task.task_token] = Activity(workflow_id, number, task.start.activity_type)
        self.activity(task.task_token, Stage.POLLED)

    def activity(self, token: bytes, stage: Stage) -> None:
        """An activity goes on."""
        found = self._activities[token]
        moment = Moment(actor=Actor.ACTIVITY, number=found.number, stage=stage)
        self._passes(found.workflow_id, moment, found.kind)

    def call_number(self, token: bytes) -> int:
        """The number of a call that an activity begins."""
        self._count[Actor.CALL, token] += 1
        return self._count[Actor.CALL, token]

    def call(self, token: bytes, number: int, request: httpx.Request, stage: Stage) -> None:
        """A call goes on."""
        found = self._activities[token]
        moment = Moment(actor=Actor.CALL, number=found.number, call=number, stage=stage)
        self._passes(found.workflow_id, moment, f"{found.kind} {_name(request)}")

    def _task(self, run_id: str, stage: Stage) -> None:
        number = self._count[Actor.TASK, run_id]
        moment = Moment(actor=Actor.TASK, number=number, stage=stage)
        self._passes(self._workflows[run_id], moment)

    def _passes(self, workflow_id: str, moment: Moment, what: str = "") -> None:
        passed = Passed(
            workflow_id=workflow_id, moment=moment, pid=os.getpid(), at=datetime.now(UTC), what=what
        )
        armed = self._armed()
        if armed and armed.workflow_id == workflow_id:
            if armed.moment == moment:
                self._die(passed)
            elif armed.moment == unpolled(moment) and moment.stage is Stage.COMPLETING:
                cut_connections(os.environ["TEMPORAL_ADDRESS"])
            elif armed.moment == unpolled(moment) and moment.stage is Stage.COMPLETED:
                self._die(passed.model_copy(update={"moment": armed.moment}))
        with passed_file(self.folder, workflow_id).open("ab", buffering=0) as file:
            file.write(_line(passed))

    def _armed(self) -> Armed | None:
        """What is armed, unless somebody has died of it already."""
        with suppress(FileNotFoundError):
            armed = Armed.model_validate_json((self.folder / ARMED).read_bytes())
            return None if hit_file(self.folder, armed.workflow_id).exists() else armed
        return None

    def _die(self, last: Passed) -> None:
        """Write the last line and be gone. Only one process can make the file.

        What is written outlives a SIGKILL; to wait for the disk would only make the kill late.
        """
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        with suppress(FileExistsError):
            os.write(os.open(hit_file(self.folder, last.workflow_id), flags, 0o644), _line(last))
            os.kill(os.getpid(), signal.SIGKILL)


def _line(passed: Passed) -> bytes:
    return f"{passed.model_dump_json()}\n".encode()


def cut_connections(address: str) -> None:
    """Break this process's connections to the server, and so end its open polls there.

    The SDK connects again for the report that comes next, and polls again some 100 ms later.
    """
    port = int(address.rpartition(":")[2])
    for connection in psutil.Process().net_connections(kind="tcp"):
        if connection.status == psutil.CONN_ESTABLISHED and connection.raddr.port == port:
            with socket.socket(fileno=os.dup(connection.fd)) as ours, suppress(OSError):
                ours.shutdown(socket.SHUT_RDWR)


def _name(request: httpx.Request) -> str:
    """What a request asks for, such as `generateContent`, without ids."""
    parent, last = request.url.path.split("/")[-2:]
    return last.rpartition(":")[2] if ":" in last else parent


def watch_tasks(watch: Watch) -> None:
    """Be told of each workflow task."""
    poll, complete = Worker.poll_workflow_activation, Worker.complete_workflow_activation

    async def polling(self: Worker) -> WorkflowActivation:
        watch.boots()
        activation = await poll(self)
        watch.task_polled(activation)
        return activation

    async def completing(self: Worker, comp: WorkflowActivationCompletion) -> None:
        if not watch.is_task(comp):
            return await complete(self, comp)
        watch.task(comp, Stage.COMPLETING)
        await complete(self, comp)
        watch.task(comp, Stage.COMPLETED)
        return None

    Worker.poll_workflow_activation = polling  # type: ignore[method-assign]
    Worker.complete_workflow_activation = completing  # type: ignore[method-assign]


def watch_activities(watch: Watch) -> None:
    """Be told of each attempt of an activity."""
    poll, complete = Worker.poll_activity_task, Worker.complete_activity_task

    async def polling(self: Worker) -> ActivityTask:
        task = await poll(self)
        watch.activity_polled(task)
        return task

    async def completing(self: Worker, comp: ActivityTaskCompletion) -> None:
        watch.activity(comp.task_token, Stage.COMPLETING)
        await complete(self, comp)
        watch.activity(comp.task_token, Stage.COMPLETED)

    Worker.poll_activity_task = polling  # type: ignore[method-assign]
    Worker.complete_activity_task = completing  # type: ignore[method-assign]


def watch_calls(watch: Watch) -> None:
    """Be told of each request that an activity sends."""
    send = httpx.AsyncClient.send

    async def sending(
        self: httpx.AsyncClient, request: httpx.Request, **options: Any
    ) -> httpx.Response:
        if not activity.in_activity():
            return await send(self, request, **options)
        token = activity.info().task_token
        number = watch.call_number(token)
        watch.call(token, number, request, Stage.LEAVING)
        response = await send(self, request, **options)
        watch.call(token, number, request, Stage.REPLIED)
        return response

    httpx.AsyncClient.send = sending  # type: ignore[method-assign]


def main(arguments: Sequence[str]) -> None:
    """Watch, then become the worker."""
    module = arguments[0] if arguments else WORKER
    watch = Watch(Path(os.environ[FOLDER_VARIABLE]))
    watch_tasks(watch)
    watch_activities(watch)
    watch_calls(watch)
    sys.argv = [module, *arguments[1:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
