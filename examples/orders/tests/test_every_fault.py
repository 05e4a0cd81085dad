"""The faults that the other file leaves out: one order for each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from tests.shop import CHARGES, CHECKS, SHOP, order, shop, until_booked

from chaos.kit import (
    Case,
    Event,
    Evidence,
    Invariant,
    KillWorker,
    Lab,
    OutOfMemory,
    PauseWorker,
    Scenario,
    ServerPaused,
    ServiceDown,
    SleepWorker,
    StackSpec,
    WorkflowSpec,
    killed_while_open,
    proof,
    ran_out_of_memory,
    was_down,
    was_paused,
)

PAUSE_SECONDS = 3.0
"""A fault that lasts: longer than an answer, and shorter than a missing heartbeat."""

MORE_BYTES = 16 * 2**20
LARGE = shop(PADDING_BYTES=str(64 * 2**20), ANSWER_SECONDS="0.5")
"""The answers do not fit into what the worker may still take."""

KILLED = order("order-fleet-killed", attempts={"charge_card": 2})
PAUSED = order("order-fleet-paused", attempts={"charge_card": 2})
SLEPT = order("order-slept")
STOOD_STILL = order("order-stood-still")
AWAY = order("order-away", attempts={"charge_card": 2})
SWELLED = order("order-swelled", attempts={"charge_card": 2})


@proof("a_sleeper_was_replaced")
def a_sleeper_was_replaced(evidence: Evidence) -> Iterator[str]:
    """A proof of one's own: the fleet says of the worker that was stopped that it is lost."""
    stop = evidence.first_entry(Event.SIGNALED, target="fleet-1-worker", signal="SIGSTOP")
    log = (evidence.folder / "logs" / "fleet-1.log").read_text()
    if stop is None or f"(pid {stop.pid}) is lost" not in log:
        yield "the fleet did not miss the worker that was stopped"


async def kill_of_a_fleet(lab: Lab) -> None:
    """SIGKILL of a fleet's only worker; the fleet starts another."""
    await lab.supervisor(1)
    await _charging(lab, KILLED)
    async with lab.during(KillWorker(place=0)):
        await lab.until_ended(KILLED.workflow_id)


async def pause_of_a_fleet(lab: Lab) -> None:
    """SIGSTOP: the fleet kills what sleeps, and replaces it."""
    await lab.supervisor(1)
    await _charging(lab, PAUSED)
    async with lab.during(PauseWorker(place=0)):
        await lab.until_ended(PAUSED.workflow_id)


async def sleeping_worker(lab: Lab) -> None:
    """SIGSTOP for a while; it goes on as if nothing had been."""
    await lab.worker()
    await _charging(lab, SLEPT)
    async with lab.during(SleepWorker(worker=1)):
        await asyncio.sleep(PAUSE_SECONDS)  # the fault lasts so long


async def sleeping_server(lab: Lab) -> None:
    """The Temporal server does not answer for a while; connections stand."""
    await lab.worker()
    await _charging(lab, STOOD_STILL)
    async with lab.during(ServerPaused()):
        await asyncio.sleep(PAUSE_SECONDS)  # the fault lasts so long


async def payments_die(lab: Lab) -> None:
    """The payment provider dies when it has taken the money, and comes back with its books."""
    await lab.worker()
    await _charging(lab, AWAY)
    async with lab.during(ServiceDown(service="payments")):
        await lab.until_failed(AWAY.workflow_id, "charge_card", attempts=1)


async def out_of_memory(lab: Lab) -> None:
    """The answer does not fit into the worker's memory, and the OOM killer ends it."""
    fleet = await lab.supervisor(1)
    await _charging(lab, SWELLED)
    struck = list(fleet.pids)
    async with lab.during(OutOfMemory(place=0, more_bytes=MORE_BYTES)):
        await fleet.until_gone(struck)


async def _charging(lab: Lab, asked: WorkflowSpec) -> None:
    await lab.start(asked)
    await until_booked(lab, CHARGES, asked.workflow_id)


def _case(
    experiment: Callable[[Lab], Awaitable[None]],
    asked: WorkflowSpec,
    proof: Invariant,
    stack: StackSpec = SHOP,
) -> Case:
    return Case(
        name=experiment.__name__,
        experiment=experiment,
        load=lambda _: (asked,),
        proofs=(proof,),
        invariants=CHECKS,
        stack=stack,
    )


def _taken_over(asked: WorkflowSpec) -> Invariant:
    return killed_while_open(("fleet-1-worker",), asked.workflow_id, "charge_card")


SCENARIOS = (
    Scenario(
        number=4,
        name="every_fault",
        title="Every Other Fault",
        cases=(
            _case(kill_of_a_fleet, KILLED, _taken_over(KILLED)),
            _case(pause_of_a_fleet, PAUSED, a_sleeper_was_replaced),
            _case(sleeping_worker, SLEPT, was_paused("worker-1", PAUSE_SECONDS)),
            _case(sleeping_server, STOOD_STILL, was_paused("temporal-server", PAUSE_SECONDS)),
            _case(payments_die, AWAY, was_down("payments", AWAY.workflow_id)),
            _case(out_of_memory, SWELLED, ran_out_of_memory("fleet-1-worker"), LARGE),
        ),
    ),
)


@pytest.mark.chaos
def test_orders_survive(scenario: Scenario, survives: Callable[[Scenario], None]) -> None:
    """The cases run side by side."""
    survives(scenario)
