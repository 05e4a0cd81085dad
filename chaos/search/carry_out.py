"""Carry out a schedule: the load, the faults at their times, healing, and the end of the load."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from temporalio.client import WorkflowExecutionStatus
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from chaos.evidence.journal import Event
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab
from chaos.faults import AtBoundary, BadNetwork, PauseWorker
from chaos.process.waiting import DeadlineExceededError, wait_until
from chaos.search.draw import ONE_AT_A_TIME
from chaos.search.schedule import Planned, PlannedStart, Schedule, load_of, spec_of

START_DEADLINE_SECONDS = 60.0
CONVERGE_DEADLINE_SECONDS = 240.0


def experiment_of(schedule: Schedule) -> Callable[[Lab], Awaitable[None]]:
    """The experiment of a schedule's case."""
    # A fault remembers what it did, and candidates of a search share theirs.
    schedule = schedule.model_copy(deep=True)

    async def experiment(lab: Lab) -> None:
        conditions = lab.stack.target.drawn
        if conditions.prepare:
            await conditions.prepare(lab)
        supervisor = await lab.supervisor(
            schedule.workers, settings=conditions.settings, links=_links(schedule)
        )
        begin = asyncio.get_running_loop().time()
        targets: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        async with asyncio.TaskGroup() as group:
            over = asyncio.Event()
            # Faults first: one may wait for the first task of what starts at the same time, which
            # takes longer to come than the wire to know of it.
            for planned in schedule.faults:
                if isinstance(planned.fault, AtBoundary):
                    group.create_task(_inject_there(lab, planned, planned.fault, begin, over))
                else:
                    group.create_task(_inject(lab, planned, begin, targets[_alone(planned)]))
            starts = [group.create_task(_start(lab, start, begin)) for start in schedule.starts]
            if schedule.is_on_wire:
                group.create_task(_tell_over(lab, starts, over))
        lab.note("all faults are healed")
        await supervisor.until_complete(lab.client)
        await _resubmit(lab, schedule)

    return experiment


def _links(schedule: Schedule) -> tuple[str, ...]:
    """The ends of the links that get toxics; the others need no proxy."""
    faults = [planned.fault for planned in schedule.faults]
    return tuple(sorted({f.link.partition(">")[2] for f in faults if isinstance(f, BadNetwork)}))


async def _at(seconds: float, begin: float) -> None:
    """Wait for a time of the schedule."""
    await asyncio.sleep(max(0.0, begin + seconds - asyncio.get_running_loop().time()))


async def _start(lab: Lab, start: PlannedStart, begin: float) -> None:
    """Start a workflow at its time, or as soon as the server accepts it."""
    await _at(start.at_seconds, begin)
    spec = spec_of(start, lab.stack.target)

    async def taken() -> bool:
        try:
            await lab.start(spec)
        except RPCError:
            return False
        except WorkflowAlreadyStartedError as error:  # it was taken, and the answer was lost
            lab.started.setdefault(error.workflow_id, []).append(error.run_id or "")
        return True

    await wait_until(
        taken,
        what=f"{start.workflow_id} is started",
        deadline_seconds=START_DEADLINE_SECONDS,
        interval_seconds=0.2,
    )


async def _inject(lab: Lab, planned: Planned, begin: float, turn: asyncio.Lock) -> None:
    """A server that takes long to come back must be back before its next fault."""
    await _at(planned.at_seconds, begin)
    async with turn, lab.during(planned.fault):
        await _at(planned.ends_at_seconds, begin)


async def _inject_there(
    lab: Lab, planned: Planned, fault: AtBoundary, begin: float, over: asyncio.Event
) -> None:
    """It lasts from when its call has come. If none came, the proof reports it."""
    await _at(planned.at_seconds, begin)
    waiting = asyncio.create_task(lab.begin(fault))
    ending = asyncio.create_task(over.wait())
    try:
        await asyncio.wait((waiting, ending), return_when=asyncio.FIRST_COMPLETED)
        if waiting.done() or fault.has_hit:
            await waiting
            await asyncio.sleep(planned.lasting_seconds)  # the fault lasts so long
    except DeadlineExceededError as error:
        lab.note(str(error))
    finally:
        waiting.cancel()
        ending.cancel()
        await lab.end(fault)


async def _tell_over(lab: Lab, starts: Sequence[asyncio.Task[None]], over: asyncio.Event) -> None:
    """When all workflows have ended, no call can come."""
    await asyncio.wait(starts)
    with suppress(DeadlineExceededError):
        await lab.converge(CONVERGE_DEADLINE_SECONDS)
    over.set()


def _alone(planned: Planned) -> str:
    """Faults with the same key exclude each other: of a server, a link, a paused worker."""
    fault = planned.fault
    one_at_a_time = fault.family in ONE_AT_A_TIME or isinstance(fault, PauseWorker)
    return fault.target if one_at_a_time else fault.model_dump_json()


async def _resubmit(lab: Lab, schedule: Schedule) -> None:
    """Start failed workflows again, under their ids, as often as the target's operators would.
    Whether each failure was right is for an invariant of the target to judge.
    """
    for _ in range(lab.stack.target.resubmissions):
        await lab.converge(CONVERGE_DEADLINE_SECONDS)
        failed = [
            spec for spec in load_of(schedule, lab.stack.target) if await _has_failed(lab, spec)
        ]
        for spec in failed:
            lab.journal.add(
                Event.STAGE, f"{spec.workflow_id} failed: it is started again", target="operator"
            )
            await lab.start(spec)
        if not failed:
            return


async def _has_failed(lab: Lab, spec: WorkflowSpec) -> bool:
    try:
        described = await lab.handle(spec.workflow_id).describe(rpc_timeout=timedelta(seconds=5))
    except RPCError:
        return False
    return described.status is WorkflowExecutionStatus.FAILED
