"""The faults that `scenarios.py` leaves out: one order for each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.shop import CHARGES, CHECKS, SHOP, order, shop, until_booked

from chaos import (
    Case,
    Invariant,
    KillWorker,
    Lab,
    OutOfMemory,
    PauseWorker,
    Scenario,
    ServerPaused,
    ServiceDown,
    Target,
    WorkflowSpec,
    killed_while_open,
    ran_out_of_memory,
    was_down,
    was_paused,
)

PAUSE_SECONDS = 3.0
"""A fault that lasts: longer than an answer, and shorter than a missing heartbeat."""

MORE_BYTES = 16 * 2**20
LARGE = shop(PADDING_BYTES=str(64 * 2**20), ANSWER_SECONDS="0.5")
"""The answers do not fit into what the worker may still take."""

KILLED = order("order-worker-replaced", attempts={"charge_card": 2})
SLEPT = order("order-slept")
STOOD_STILL = order("order-stood-still")
AWAY = order("order-away", attempts={"charge_card": 2})
SWELLED = order("order-swelled", attempts={"charge_card": 2})


async def kill_of_a_kept_worker(lab: Lab) -> None:
    """SIGKILL of the only worker; the harness, which keeps it, starts it again."""
    await lab.supervisor(1)
    await _charging(lab, KILLED)
    async with lab.during(KillWorker(worker="worker-1")):
        await lab.until_ended(KILLED.workflow_id)


async def sleeping_worker(lab: Lab) -> None:
    """SIGSTOP for a while; it goes on as if nothing had been."""
    await lab.worker()
    await _charging(lab, SLEPT)
    async with lab.during(PauseWorker(worker="worker-1")):
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
    kept = await lab.supervisor(1)
    await _charging(lab, SWELLED)
    killed = list(kept.pids)
    async with lab.during(OutOfMemory(worker="worker-1", more_bytes=MORE_BYTES)):
        await kept.until_gone(killed)


async def _charging(lab: Lab, spec: WorkflowSpec) -> None:
    await lab.start(spec)
    await until_booked(lab, CHARGES, spec.workflow_id)


def _case(
    experiment: Callable[[Lab], Awaitable[None]],
    spec: WorkflowSpec,
    proof: Invariant,
    target: Target = SHOP,
) -> Case:
    return Case(
        name=experiment.__name__,
        target=target,
        experiment=experiment,
        load=lambda _: (spec,),
        proofs=(proof,),
        invariants=CHECKS,
    )


SCENARIOS = (
    Scenario(
        name="every_fault",
        title="Every Other Fault",
        cases=(
            _case(
                kill_of_a_kept_worker,
                KILLED,
                killed_while_open(("worker-1",), KILLED.workflow_id, "charge_card"),
            ),
            _case(sleeping_worker, SLEPT, was_paused("worker-1", PAUSE_SECONDS)),
            _case(sleeping_server, STOOD_STILL, was_paused("temporal-server", PAUSE_SECONDS)),
            _case(payments_die, AWAY, was_down("payments", AWAY.workflow_id)),
            _case(out_of_memory, SWELLED, ran_out_of_memory("worker-1"), LARGE),
        ),
    ),
)
