"""A supervisor as these tests see it: which worker has which attempt, and what its log says."""

from __future__ import annotations

import asyncio
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo

from chaos.environment.supervisor import SupervisorProcess
from chaos.evidence.history import Activity, Workflow
from chaos.process.child import CANARY
from chaos.process.waiting import wait_until
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.fake_api.control import Breakpoint
from tests.chaos.video.specs import VideoSpec
from tests.integration.workflows.bench import Bench
from workflows.models import WORKER_LOST
from workflows.payments.calls import PaidCall
from workflows.payments.journal import PaymentJournal
from workflows.policies import JOURNAL_GRACE_SECONDS

DEADLINE_SECONDS = 30.0
WAIT, DRAW = "await_video", "generate_character"

_LOST = re.compile(
    r"worker-(?P<number>\d+) \(pid (?P<pid>\d+)\) is lost \((?P<how>[^)]*)\): "
    r"failed_over=(?P<failed_over>\d+) in_ms=\d+ over=(?P<over>\d+) "
    r"left_to_heartbeats=(?P<left>\d+) open_calls_settled=(?P<calls>\d+) "
    r"sticky_queue=(?P<sticky>\w+)"
)


@dataclass(frozen=True)
class Lost:
    """A line of a supervisor's log about a lost worker."""

    number: int
    pid: int
    how: str
    failed_over: int
    over: int
    left: int
    calls: int
    sticky: str


@dataclass(frozen=True)
class Supervised:
    """A running supervisor on a task queue of its own."""

    bench: Bench
    supervisor: SupervisorProcess

    @property
    def log(self) -> str:
        """All that it and its workers have written."""
        return self.supervisor.child.log.read_text()

    @property
    def losses(self) -> Sequence[Lost]:
        """The lost workers in its log."""
        found = [match.groupdict() for match in _LOST.finditer(self.log)]
        return [
            Lost(
                how=one["how"],
                sticky=one["sticky"],
                **{n: int(v) for n, v in one.items() if n not in {"how", "sticky"}},
            )
            for one in found
        ]

    @property
    def tally(self) -> Mapping[str, int]:
        """Its counts over its life, which it logs at its end."""
        (line,) = re.findall(r"all workers have ended: (.*)", self.log)
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line)}

    def pid_at(self, number: int) -> int:
        """The process that it started last under a number."""
        return int(re.findall(rf"worker-{number} started \(pid (\d+)\)", self.log)[-1])

    async def says(self, text: str, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until the log has this."""
        await wait_until(
            lambda: text in self.log,
            what=f"{self.supervisor.child.name} says {text!r}",
            deadline_seconds=deadline_seconds,
        )

    async def has_lost(self, pid: int) -> Lost:
        """Wait until its log says that this worker is lost; that line."""
        found: list[Lost] = []

        def told() -> bool:
            found[:] = [lost for lost in self.losses if lost.pid == pid]
            return bool(found)

        await wait_until(told, what=f"the loss of {pid} is told", deadline_seconds=DEADLINE_SECONDS)
        (lost,) = found
        return lost

    async def start(self, spec: VideoSpec) -> None:
        """Start a workflow on its queue."""
        await self.bench.lab.start(spec, task_queue=self.supervisor.task_queue)

    async def awaiting(self, spec: VideoSpec) -> tuple[Breakpoint, int]:
        """Start a workflow and wait until it awaits a video that is held; the worker's pid."""
        halt = await self.bench.set_breakpoint(BreakAt.VIDEO, spec.video_prompts[0])
        await self.start(spec)
        return halt, await self.waits_in_attempt(spec, 1)

    async def drawing(self, spec: VideoSpec) -> tuple[Breakpoint, int]:
        """Start a workflow and wait until its image request is held; the worker's pid."""
        halt = await self.bench.set_breakpoint(BreakAt.IMAGE, spec.character_prompt)
        await self.start(spec)
        await halt.reached(DEADLINE_SECONDS)
        return halt, await in_flight(self.bench, spec, DRAW, 1)

    async def waits_in_attempt(self, spec: VideoSpec, number: int) -> int:
        """Wait until this attempt polls for the video; the worker's pid."""
        pid = await in_flight(self.bench, spec, WAIT, number)
        # Only the attempt in flight polls, and its worker has reported it before.
        await self.bench.lab.until_polled(spec.video_prompts[0])
        return pid

    def kill(self, pid: int) -> datetime:
        """Kill a worker; when."""
        at = datetime.now(UTC)
        self.supervisor.signal(pid, signal.SIGKILL)
        return at

    async def is_complete_again(self) -> None:
        """Wait until all workers poll."""
        await self.supervisor.until_complete(self.bench.lab.client)

    async def finish(self) -> int:
        """Tell it to stop, and wait; its exit code."""
        self.supervisor.child.send(signal.SIGTERM)
        return await self.supervisor.child.wait(40)


@asynccontextmanager
async def supervised(
    bench: Bench,
    workers: int,
    *,
    name: str,
    command: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Supervised]:
    """A supervisor on the queue `name`, gone afterwards; nothing that it wrote shows a secret.

    `command` are the arguments to Python that make a worker, where it is not the usual one.
    """
    arguments = ("--command", shlex.join([sys.executable, *command])) if command else ()
    supervisor = None
    try:
        supervisor = await bench.lab.stack.start_supervisor(
            workers, task_queue=name, arguments=arguments, settings=settings
        )
        made = Supervised(bench, supervisor)
        yield made
        require_no_secret(bench, made.log)
    finally:
        if supervisor is not None:
            await supervisor.discard()


def require_no_secret(bench: Bench, text: str) -> None:
    """Fail where a text has a key in it."""
    assert bench.lab.stack.secret not in text
    assert CANARY not in text


async def in_flight(bench: Bench, spec: VideoSpec, kind: str, attempt: int) -> int:
    """Wait until this attempt of an activity is in flight; the worker's pid."""
    found: list[PendingActivityInfo] = []

    async def begun() -> bool:
        described = await bench.handle(spec).describe()
        found[:] = [
            pending
            for pending in described.raw_description.pending_activities
            if pending.activity_type.name == kind
            and pending.attempt == attempt
            and pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        ]
        return bool(found)

    await wait_until(
        begun,
        what=f"attempt {attempt} of {kind} of {spec.workflow_id} is in flight",
        deadline_seconds=DEADLINE_SECONDS,
    )
    return pid_of(found[0].last_worker_identity)


async def ends(bench: Bench, spec: VideoSpec, deadline_seconds: float) -> Workflow:
    """Wait until a workflow has ended; its history."""
    await wait_until(
        lambda: bench.lab.has_ended(spec.workflow_id),
        what=f"{spec.workflow_id} ends",
        deadline_seconds=deadline_seconds,
    )
    return await bench.workflow(spec)


async def paid(bench: Bench, spec: VideoSpec, step: str) -> Sequence[PaidCall]:
    """The requests for a step, by the workers' payment journal."""

    def read() -> Sequence[PaidCall]:
        url = bench.lab.payment_journal_url
        with closing(PaymentJournal.open(url, grace_seconds=JOURNAL_GRACE_SECONDS)) as payments:
            return payments.calls(spec.workflow_id, step)

    return await asyncio.to_thread(read)


async def all_gone(pids: Sequence[int], deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until none of these processes lives."""
    await wait_until(
        lambda: not any(is_there(pid) for pid in pids),
        what=f"{pids} are gone",
        deadline_seconds=deadline_seconds,
    )


def is_there(pid: int) -> bool:
    """Whether a process lives; one that nobody has reaped yet does not."""
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def pid_of(identity: str) -> int:
    """The process id in a worker's name."""
    return int(identity.partition("@")[0])


def only(workflow: Workflow, kind: str) -> Activity:
    """The one activity of a kind."""
    (found,) = (activity for activity in workflow.activities if activity.kind == kind)
    return found


def was_failed_over(activity: Activity) -> bool:
    """Whether a supervisor ended the attempt before the last, and said why."""
    failure = activity.last_failure
    return failure is not None and failure.application_failure_info.type == WORKER_LOST
