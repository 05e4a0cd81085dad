"""Bring a worker to each boundary around money, break it there, and see what it costs."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import psutil

from chaos.environment.worker import WorkerProcess
from chaos.evidence.histories import save_histories
from chaos.evidence.history import Status
from chaos.evidence.journal import Event
from chaos.evidence.spec import save_specs
from chaos.process.child import Child
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.evidence import VideoEvidence, save_paid_calls
from tests.chaos.video.fake_api.bills import Answered
from tests.chaos.video.fake_api.breakpoints import BreakAt, BreakpointSpec
from tests.chaos.video.fake_api.control import Breakpoint
from tests.chaos.video.fake_api.rules import When
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec
from tests.chaos.video.target import VIDEO
from tests.integration.money.boundaries import AT_THE_PROVIDER, Boundary, Point
from tests.integration.workflows.bench import Bench
from workflows.models import CHARACTER
from workflows.payments.calls import State

REACH_DEADLINE_SECONDS = 60.0
CONVERGE_DEADLINE_SECONDS = 150.0

Treatment = Callable[[VideoLab, "Reached"], Awaitable[None]]


@dataclass
class Reached:
    """A worker at its point, and the breakpoint that delays the reply of the provider."""

    point: Point
    worker: WorkerProcess
    halt: Breakpoint | None


@dataclass
class StackLimits:
    """How much runs at once. A worker that starts takes a whole core, one that waits takes none."""

    workflows: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(40))
    starts: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(3))


@dataclass(frozen=True)
class Row:
    """What came of one point."""

    point: Point
    status: Status
    billed_usd: Decimal
    ideal_usd: Decimal
    in_doubt: int

    @property
    def ratio(self) -> Decimal:
        """Billed ÷ ideal."""
        return self.billed_usd / self.ideal_usd


def spec_of(point: Point) -> VideoSpec:
    """The workflow of a point, and what may happen to it there."""
    plan = (
        specs.series(point.workflow_id, point.videos)
        if point.videos
        else specs.single(point.workflow_id)
    )
    doubtful = (prompt(plan, point.step),) if point.in_window else ()
    return plan.model_copy(update={"may_be_charged_twice": doubtful})


def prompt(plan: VideoSpec, step: str) -> str:
    """What the provider is asked for in a step."""
    return next(prompt for prompt, of in plan.steps.items() if of == step)


@dataclass(frozen=True)
class Sweep:
    """What is done to a worker at its point, what becomes of it later, and who takes over."""

    break_it: Treatment
    heal: Treatment
    successor_argv: Sequence[str] | None = None
    limits: StackLimits = field(default_factory=StackLimits)

    async def run(self, bench: Bench, points: Sequence[Point]) -> VideoEvidence:
        """Every point on one server, each with a workflow, a queue and two workers of its own."""
        lab = bench.lab
        async with asyncio.TaskGroup() as group:
            for point in points:
                group.create_task(self._run(lab, point))
        ids = [plan.workflow_id for plan in lab.specs]
        await save_specs(bench.folder, lab.specs, VIDEO.data_converter)
        save_paid_calls(lab.payment_journal_url, bench.folder, ids)
        await save_histories(lab.client, bench.folder, ids)
        return VideoEvidence.load(bench.folder, VIDEO.reading)

    async def _run(self, lab: VideoLab, point: Point) -> None:
        """Bring a workflow to its point, break its worker, and wait until another has ended it."""
        async with self.limits.workflows:
            reached = await _reach(lab, point, self.limits)
            await self.break_it(lab, reached)
            async with self.limits.starts:
                successor = await lab.worker(task_queue=point.workflow_id, argv=self.successor_argv)
            await wait_until(
                lambda: lab.has_ended(point.workflow_id),
                what=f"{point.workflow_id} ends",
                deadline_seconds=CONVERGE_DEADLINE_SECONDS,
                interval_seconds=0.2,
            )
            await successor.child.kill()
            await self.heal(lab, reached)


async def kill(lab: VideoLab, reached: Reached) -> None:
    """SIGKILL at the point."""
    await lab.signal(reached.worker.child, signal.SIGKILL)
    if reached.halt:
        await reached.halt.resume()


async def leave_dead(lab: VideoLab, reached: Reached) -> None:
    """A killed worker needs no healing."""


async def freeze(lab: VideoLab, reached: Reached) -> None:
    """SIGSTOP at the point, where it has not stopped by itself."""
    child = reached.worker.child
    lab.journal.add(Event.FAULT, kind="pause", target=child.name, pid=child.pid)
    child.pause()
    await wait_until(lambda: is_stopped(child), what="it sleeps", deadline_seconds=10)
    if reached.halt:
        await reached.halt.resume()


async def thaw(lab: VideoLab, reached: Reached) -> None:
    """SIGCONT when all is over; then let the worker finish what it has in flight, and stop."""
    child = reached.worker.child
    lab.healed(child.name)
    child.resume()
    await child.terminate()


def rows(evidence: VideoEvidence, points: Sequence[Point]) -> Sequence[Row]:
    """The table, from the saved evidence alone."""
    plans = {plan.workflow_id: plan for plan in evidence.specs}
    return [_row(evidence, point, plans[point.workflow_id]) for point in points]


def table(found: Sequence[Row]) -> str:
    """Markdown."""
    lines = [
        "| workflow | step | boundary | billed ÷ ideal | ended | in doubt |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {'series of 3' if row.point.videos else 'single'} | {row.point.step} "
        f"| {row.point.boundary} | {row.ratio:.2f} | {row.status} | {row.in_doubt} |"
        for row in found
    ]
    return "\n".join(lines) + "\n"


def publish(text: str, name: str) -> None:
    """Leave a table where the runs' reports are."""
    folder = Path(__file__).parents[3] / "reports"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def _row(evidence: VideoEvidence, point: Point, plan: VideoSpec) -> Row:
    bills = [bill for bill in evidence.billed if bill.prompt in plan.prompts]
    calls = evidence.calls_for(plan, prompt(plan, point.step))
    workflow = evidence.workflows.get(plan.workflow_id)
    return Row(
        point=point,
        status=workflow.status if workflow else Status.LOST,
        billed_usd=sum((bill.amount_usd for bill in bills), Decimal(0)),
        ideal_usd=evidence.cost_usd(plan),
        in_doubt=sum(call.state in {State.IN_DOUBT, State.LATE} for call in calls),
    )


async def _reach(lab: VideoLab, point: Point, limits: StackLimits) -> Reached:
    plan = spec_of(point)
    argv = (
        *(sys.executable, "-m", "tests.integration.money.stopping"),
        *(point.boundary, point.step),
    )
    halt = await _set_breakpoint(lab, point, plan)
    async with limits.starts:
        worker = await lab.worker(task_queue=point.workflow_id, argv=argv)
    await lab.start(plan, task_queue=point.workflow_id)
    if halt is None:
        await wait_until(
            lambda: is_stopped(worker.child),
            what=f"{point.workflow_id} is reached",
            deadline_seconds=REACH_DEADLINE_SECONDS,
        )
        assert f"stopped at {point.boundary} of {point.step}" in worker.child.log.read_text()
        return Reached(point, worker, None)
    request = await halt.reached(REACH_DEADLINE_SECONDS)
    if point.boundary is Boundary.REPLY_SENT:
        await _let_the_reply_go(lab, worker.child, halt, request.request_id)
    return Reached(point, worker, halt)


async def _set_breakpoint(lab: VideoLab, point: Point, plan: VideoSpec) -> Breakpoint | None:
    if point.boundary not in AT_THE_PROVIDER:
        return None
    before = point.boundary is Boundary.REQUEST_RECEIVED
    return await lab.api.set_breakpoint(
        BreakpointSpec(
            call=BreakAt.IMAGE if point.step == CHARACTER else BreakAt.VIDEO_START,
            when=When.BEFORE_BILLING if before else When.AFTER_BILLING,
            match=prompt(plan, point.step),
        )
    )


async def _let_the_reply_go(
    lab: VideoLab, child: Child, halt: Breakpoint, request_id: str | None
) -> None:
    """The reply leaves the provider, and a client that is asleep does not take it."""
    child.pause()
    await wait_until(lambda: is_stopped(child), what="it sleeps", deadline_seconds=10)
    await halt.resume()

    async def answered() -> bool:
        everything = await lab.api.records()
        return any(
            isinstance(record, Answered)
            and record.request_id == request_id
            and record.client_connected
            for record in everything
        )

    await wait_until(answered, what="the reply has left", deadline_seconds=10)


def is_stopped(child: Child) -> bool:
    """Whether a process sleeps by SIGSTOP. Raises ChildError where it has ended."""
    child.require_alive()
    return psutil.Process(child.pid).status() == psutil.STATUS_STOPPED
