"""Carry a schedule out: the load, the faults at their times, all healed; then to the end."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio.client import WorkflowExecutionStatus
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from chaos.environment.proxy import API, SERVER
from chaos.evidence.journal import Event
from chaos.experiment.lab import Lab
from chaos.faults import BadApi, KillWorker
from chaos.process.waiting import wait_until
from chaos.search.load import asked_by
from chaos.search.schedule import Order, Planned, Schedule
from tests.chaos.video.fake_api.settings import LatencyChange

START_DEADLINE_SECONDS = 60.0
CONVERGE_DEADLINE_SECONDS = 240.0
RESUBMISSIONS = 2
"""How often an operator would start an operation again whose three attempts met three faults."""

LATENCIES = LatencyChange(image_seconds=0.5, video_seconds=4.0)
"""Long enough that a fleet of three has work in hand all the time."""

SETTINGS = {"AMBIGUOUS_RESENDS": "9"}
"""Nobody is there to decide, and a call may be cut off several times by chance."""


def experiment_of(schedule: Schedule) -> Callable[[Lab], Awaitable[None]]:
    """What a case of the schedule does."""
    # A fault remembers what it did, and candidates of a search share theirs.
    schedule = schedule.model_copy(deep=True)

    async def experiment(lab: Lab) -> None:
        await lab.api.set_latencies(LATENCIES)
        fleet = await lab.supervisor(schedule.workers, settings=SETTINGS, links=(SERVER, API))
        begin = asyncio.get_running_loop().time()
        targets: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        async with asyncio.TaskGroup() as group:
            for order in schedule.orders:
                group.create_task(_start(lab, order, begin))
            for planned in schedule.faults:
                group.create_task(_strike(lab, planned, begin, targets[_alone(planned)]))
        lab.note("all faults are healed")
        await fleet.until_complete(lab.client)
        await _resubmit(lab, schedule)

    return experiment


async def _at(seconds: float, begin: float) -> None:
    """Wait for a time of the schedule: that is what a schedule is."""
    await asyncio.sleep(max(0.0, begin + seconds - asyncio.get_running_loop().time()))


async def _start(lab: Lab, order: Order, begin: float) -> None:
    """Start a workflow at its time, or as soon as the server is there to take it."""
    await _at(order.at_seconds, begin)

    async def taken() -> bool:
        try:
            await lab.start(asked_by(order))
        except RPCError:
            return False
        except WorkflowAlreadyStartedError as error:  # it was taken, and the answer was lost
            lab.started.setdefault(error.workflow_id, []).append(error.run_id or "")
        return True

    await wait_until(
        taken,
        what=f"{order.workflow_id} is started",
        deadline_seconds=START_DEADLINE_SECONDS,
        interval_seconds=0.2,
    )


async def _strike(lab: Lab, planned: Planned, begin: float, turn: asyncio.Lock) -> None:
    """A server that takes long to come back must be back before it is struck again."""
    await _at(planned.at_seconds, begin)
    async with turn, lab.during(planned.fault):
        await _at(planned.ends_at_seconds, begin)


def _alone(planned: Planned) -> str:
    """What no two faults may be at: a server, a link, or a single answer of the API."""
    fault = planned.fault
    return fault.model_dump_json() if isinstance(fault, BadApi | KillWorker) else fault.target


async def _resubmit(lab: Lab, schedule: Schedule) -> None:
    """Start again, under their ids, the operations that have used up their attempts.

    That is what the README tells an operator to do. `restarts_are_explained` judges whether each
    had to be.
    """
    for _ in range(RESUBMISSIONS):
        await lab.converge(CONVERGE_DEADLINE_SECONDS)
        failed = [order for order in schedule.orders if await _has_failed(lab, order)]
        for order in failed:
            lab.journal.add(
                Event.STAGE, f"{order.workflow_id} failed: it is started again", target="operator"
            )
            await lab.start(asked_by(order))
        if not failed:
            return


async def _has_failed(lab: Lab, order: Order) -> bool:
    try:
        described = await lab.handle(order.workflow_id).describe(rpc_timeout=timedelta(seconds=5))
    except RPCError:
        return False
    return described.status is WorkflowExecutionStatus.FAILED
