"""A guest's cases whose faults hit nothing, or whose recovery was not as promised: none may pass.

Copied beside the example's own tests and run by `test_false_passes.py`. `tests/data/false_passes/`
has a run of it on a version that let all four pass.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import pytest
from tests.shop import CHARGES, CHECKS, SHOP, order, shop, until_booked

from chaos import (
    Case,
    Event,
    Evidence,
    Invariant,
    Lab,
    PauseWorker,
    Scenario,
    ServerDown,
    Target,
    Timings,
    WorkflowSpec,
    killed_while_open,
    proof,
    was_paused,
)

KILLED = order("idle-killed")
ENDED = order("ended-first")
PAUSED = order("paused-idle")
LATE = order("promised-too-much", attempts={"charge_card": 2})

ANSWER_SECONDS = 8
SINCE_HEARTBEAT_SECONDS = 5
"""The SDK sends a heartbeat, and holds the next back for 0.8 of the timeout, which is 15 s here."""


@proof("server_died")
def server_died(evidence: Evidence) -> Iterator[str]:
    """A proof that does not ask whether anything was in flight."""
    if not evidence.first_entry(Event.EXITED, target="temporal-server"):
        yield "the server did not die"


async def kill_of_an_idle_worker(lab: Lab) -> None:
    """There is no workflow yet."""
    idle = await lab.worker()
    await lab.signal(idle.child, signal.SIGKILL)
    await lab.worker()
    await lab.start(KILLED)


async def server_dies_when_all_is_done(lab: Lab) -> None:
    """The only workflow has ended."""
    await lab.worker()
    await lab.start(ENDED)
    await lab.until_ended(ENDED.workflow_id)
    async with lab.during(ServerDown()):
        lab.note("the server is down")


async def pause_of_an_idle_worker(lab: Lab) -> None:
    """It is awake again when there is something to do."""
    await lab.worker()
    async with lab.during(PauseWorker(worker="worker-1")):
        await asyncio.sleep(1)  # the fault lasts so long
    await lab.start(PAUSED)


async def worker_dies_charging(lab: Lab) -> None:
    """The last heartbeat is some seconds old: the retry comes sooner than a whole timeout later."""
    first = await lab.worker()
    await lab.start(LATE)
    await until_booked(lab, CHARGES, LATE.workflow_id)
    await asyncio.sleep(SINCE_HEARTBEAT_SECONDS)  # the age of a heartbeat
    await lab.signal(first.child, signal.SIGKILL)
    await lab.worker()


def _promising(seconds: float) -> Target:
    slow = shop(ANSWER_SECONDS=str(ANSWER_SECONDS))
    return replace(slow, timings=Timings(recovery_seconds=seconds))


def _case(
    experiment: Callable[[Lab], Awaitable[None]],
    spec: WorkflowSpec,
    *proofs: Invariant,
    target: Target = SHOP,
) -> Case:
    return Case(
        name=experiment.__name__,
        target=target,
        experiment=experiment,
        load=lambda _: (spec,),
        proofs=proofs,
        invariants=CHECKS,
    )


SCENARIOS = (
    Scenario(
        name="false_passes",
        title="False Passes",
        cases=(
            _case(kill_of_an_idle_worker, KILLED),
            _case(server_dies_when_all_is_done, ENDED, server_died),
            _case(pause_of_an_idle_worker, PAUSED, was_paused("worker-1", 1)),
            _case(
                worker_dies_charging,
                LATE,
                killed_while_open(("worker-1",), LATE.workflow_id, "charge_card"),
                target=_promising(1.0),
            ),
        ),
    ),
)


@pytest.mark.chaos
def test_false_passes(scenario: Scenario, survives: Callable[[Scenario], None]) -> None:
    """Fails."""
    survives(scenario)
