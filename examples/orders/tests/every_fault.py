"""The faults that `scenarios.py` leaves out: one order for each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from tests.shop import CHARGES, CHECKS, SHOP, order, shop, until_booked

from chaos import (
    BadPackets,
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
    packets_were_hit,
    ran_out_of_memory,
    was_down,
    was_paused,
    why_no_packets,
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
TO_SERVER = "worker-1>server"
BAD_LINE = tuple(order(f"order-on-a-bad-line-{number}") for number in range(1, 5))
CUT_OFF = order("order-cut-off")
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


async def bad_line(lab: Lab) -> None:
    """Below TCP, the line to the server loses, damages and reorders packets of four orders."""
    await lab.worker(packets=True)
    bad = BadPackets(link=TO_SERVER, lose=0.15, corrupt=0.1, reorder=0.1, seed=7)
    async with lab.during(bad):
        for each in BAD_LINE:
            await lab.start(each)
        for each in BAD_LINE:
            await lab.until_ended(each.workflow_id)


async def partition(lab: Lab) -> None:
    """No packet passes between the worker and the server while an order is charged."""
    await lab.worker(packets=True)
    await _charging(lab, CUT_OFF)
    async with lab.during(BadPackets(link=TO_SERVER, lose=1.0)):
        await asyncio.sleep(PAUSE_SECONDS)  # the fault lasts so long


async def _charging(lab: Lab, spec: WorkflowSpec) -> None:
    await lab.start(spec)
    await until_booked(lab, CHARGES, spec.workflow_id)


def _case(
    experiment: Callable[[Lab], Awaitable[None]],
    spec: WorkflowSpec,
    proof: Invariant,
    target: Target = SHOP,
    others: Sequence[WorkflowSpec] = (),
) -> Case:
    return Case(
        name=experiment.__name__,
        target=target,
        experiment=experiment,
        load=lambda _: (spec, *others),
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
            *(
                replace(case, needs=why_no_packets)
                for case in (
                    _case(bad_line, BAD_LINE[0], packets_were_hit(TO_SERVER), others=BAD_LINE[1:]),
                    _case(partition, CUT_OFF, packets_were_hit(TO_SERVER)),
                )
            ),
        ),
    ),
)
