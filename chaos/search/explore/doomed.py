"""The real worker, a hand on the switch: `python doomed.py -m MODULE …`, or `… doomed.py FILE …`.

It runs the worker as Python would, and watches it where it meets the server and other services: at
the SDK's bridge and at httpx, if the worker uses that. At the armed moment it writes its last line
and kills itself on the spot, as no signal from outside could.

It runs in the guest's own Python: it must import nothing but the standard library, temporalio and
httpx, and nothing of what lies beside it. What it reads and writes, `moments.py` has as models.

Each type that is ignored here is a method's, which is replaced on purpose.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import stat
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.bridge.proto import ActivityTaskCompletion
from temporalio.bridge.proto.activity_task import ActivityTask
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.bridge.worker import Worker

FOLDER_VARIABLE = "EXPLORE_FOLDER"
ARMED, HIT, PASSED = "armed.json", "hit.json", "passed.jsonl"
_ADDRESS = "TEMPORAL_ADDRESS"

Moment = dict[str, Any]
"""An actor, a stage, the number of the actor, and that of a call."""


def moment(actor: str, stage: str, number: int = 0, call: int = 0) -> Moment:
    """As a line has it."""
    return {"actor": actor, "stage": stage, "number": number, "call": call}


BOOTING = moment("worker", "booting")


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
    _count: Counter[tuple[str, str | bytes]] = field(default_factory=Counter)

    def boots(self) -> None:
        """A first task is about to be asked for."""
        armed = self._armed()
        if armed and armed["moment"] == BOOTING:
            self._passes(armed["workflow_id"], BOOTING)

    def task_polled(self, activation: WorkflowActivation) -> None:
        """A workflow task came; one that only empties the cache is none."""
        run_id = activation.run_id
        if all(job.HasField("remove_from_cache") for job in activation.jobs):
            self._evicted.add(run_id)
            return
        for job in activation.jobs:
            if job.HasField("initialize_workflow"):
                self._workflows[run_id] = job.initialize_workflow.workflow_id
        self._count["task", run_id] += 1
        self._task(run_id, "polled")

    def is_task(self, completion: WorkflowActivationCompletion) -> bool:
        """Whether this answers a workflow task, not an emptied cache."""
        if completion.run_id in self._evicted:
            self._evicted.discard(completion.run_id)
            self._count.pop(("task", completion.run_id), None)
            return False
        return True

    def task(self, completion: WorkflowActivationCompletion, stage: str) -> None:
        """A workflow task goes on."""
        self._task(completion.run_id, stage)

    def activity_polled(self, task: ActivityTask) -> None:
        """An activity came, unless it is a cancel of one."""
        if not task.HasField("start"):
            return
        workflow_id = task.start.workflow_execution.workflow_id
        self._count["activity", workflow_id] += 1
        number = self._count["activity", workflow_id]
        self._activities[task.task_token] = Activity(workflow_id, number, task.start.activity_type)
        self.activity(task.task_token, "polled")

    def activity(self, token: bytes, stage: str) -> None:
        """An activity goes on."""
        found = self._activities[token]
        self._passes(found.workflow_id, moment("activity", stage, found.number), found.kind)

    def call_number(self, token: bytes) -> int:
        """The number of a call that an activity begins."""
        self._count["call", token] += 1
        return self._count["call", token]

    def call(self, token: bytes, number: int, path: str, stage: str) -> None:
        """A call of a URL's path goes on."""
        found = self._activities[token]
        passed = moment("call", stage, found.number, number)
        self._passes(found.workflow_id, passed, f"{found.kind} {asked(path)}")

    def _task(self, run_id: str, stage: str) -> None:
        number = self._count["task", run_id]
        self._passes(self._workflows[run_id], moment("task", stage, number))

    def _passes(self, workflow_id: str, now: Moment, what: str = "") -> None:
        passed = {
            "workflow_id": workflow_id,
            "moment": now,
            "pid": os.getpid(),
            "at": datetime.now(timezone.utc).isoformat(),  # noqa: UP017 - a guest's Python may be 3.10
            "what": what,
        }
        armed = self._armed()
        if armed and armed["workflow_id"] == workflow_id:
            unpolled = armed["moment"] == {**now, "stage": "unpolled"}
            if armed["moment"] == now:
                self._die(passed)
            elif unpolled and now["stage"] == "completing":
                cut_connections(os.environ[_ADDRESS])
            elif unpolled and now["stage"] == "completed":
                self._die({**passed, "moment": armed["moment"]})
        with (self.folder / f"{workflow_id}.{PASSED}").open("ab", buffering=0) as file:
            file.write(_line(passed))

    def _armed(self) -> dict[str, Any] | None:
        """What is armed, unless somebody has died of it already."""
        with suppress(FileNotFoundError):
            armed: dict[str, Any] = json.loads((self.folder / ARMED).read_bytes())
            return None if self._hit_file(armed["workflow_id"]).exists() else armed
        return None

    def _hit_file(self, workflow_id: str) -> Path:
        return self.folder / f"{workflow_id}.{HIT}"

    def _die(self, last: dict[str, Any]) -> None:
        """Write the last line and be gone. Only one process can make the file.

        What is written outlives a SIGKILL; to wait for the disk would only make the kill late.
        """
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        with suppress(FileExistsError):
            os.write(os.open(self._hit_file(last["workflow_id"]), flags, 0o644), _line(last))
            os.kill(os.getpid(), signal.SIGKILL)


def _line(passed: dict[str, Any]) -> bytes:
    return f"{json.dumps(passed)}\n".encode()


def asked(path: str) -> str:
    """What a request asks for, such as `charges` or `generateContent`: the last word of its path
    that is no id, which has a digit.
    """
    words = [word.rpartition(":")[2] for word in path.split("/") if word]
    named = [word for word in words if not any(letter.isdigit() for letter in word)]
    return named[-1] if named else "/"


def cut_connections(address: str) -> None:
    """Break this process's connections to the server, and so end its open polls there.

    The SDK connects again for the report that comes next, and polls again some 100 ms later.
    """
    port = int(address.rpartition(":")[2])
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - their names are all that is wanted
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as ours:
                peer = ours.getpeername()
                if isinstance(peer, tuple) and peer[1] == port:
                    ours.shutdown(socket.SHUT_RDWR)


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
        watch.task(comp, "completing")
        await complete(self, comp)
        watch.task(comp, "completed")
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
        watch.activity(comp.task_token, "completing")
        await complete(self, comp)
        watch.activity(comp.task_token, "completed")

    Worker.poll_activity_task = polling  # type: ignore[method-assign]
    Worker.complete_activity_task = completing  # type: ignore[method-assign]


def watch_calls(watch: Watch) -> None:
    """Be told of each request that an activity sends by httpx; of others nobody tells."""
    try:
        import httpx  # noqa: PLC0415 - a guest may have none
    except ImportError:
        return
    send, send_async = httpx.Client.send, httpx.AsyncClient.send

    def sending(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        if not activity.in_activity():
            return send(self, request, **options)
        token, number = _begins(watch, request.url.path)
        response = send(self, request, **options)
        watch.call(token, number, request.url.path, "replied")
        return response

    async def sending_async(
        self: httpx.AsyncClient, request: httpx.Request, **options: Any
    ) -> httpx.Response:
        if not activity.in_activity():
            return await send_async(self, request, **options)
        token, number = _begins(watch, request.url.path)
        response = await send_async(self, request, **options)
        watch.call(token, number, request.url.path, "replied")
        return response

    httpx.Client.send = sending  # type: ignore[method-assign]
    httpx.AsyncClient.send = sending_async  # type: ignore[method-assign]


def _begins(watch: Watch, path: str) -> tuple[bytes, int]:
    token = activity.info().task_token
    number = watch.call_number(token)
    watch.call(token, number, path, "leaving")
    return token, number


def main(arguments: Sequence[str]) -> None:
    """Watch, then become the worker, with the import path that Python would give it."""
    watch = Watch(Path(os.environ[FOLDER_VARIABLE]))
    watch_tasks(watch)
    watch_activities(watch)
    watch_calls(watch)
    if arguments[0] == "-m":
        sys.path[0] = str(Path.cwd())
        sys.argv = list(arguments[1:])
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(arguments[0]).absolute().parent)
        sys.argv = list(arguments)
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
