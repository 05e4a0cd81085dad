"""The shop whose workers are there already, as pods: nothing is started here, and commands break
it. A test puts this beside `tests/shop.py` of `examples/orders`.

`KUBECTL` is the command, as JSON; `SHOP_BOOKS` the folder with the books of its doubles.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from tests.shop import CHARGES, CHECKS, SHOP, bills, entries_of, order

from chaos import (
    Bill,
    Case,
    CommandFault,
    Lab,
    Scenario,
    Target,
    Timings,
    WorkflowSpec,
    command_hit,
    wait_until,
)

KUBECTL: Sequence[str] = json.loads(os.environ["KUBECTL"])
BOOKS = Path(os.environ["SHOP_BOOKS"])
MARK = BOOKS / "in-force"
NAME = "delete_pod"


def _bills(folder: Path) -> Iterator[Bill]:
    """The books are those of a shop that is there already."""
    del folder
    return bills(BOOKS)


def _scenarios() -> Sequence[Scenario]:
    return SCENARIOS


PODS = Target(
    worker=(),
    task_queue="orders",
    # 15 s until a lost heartbeat is noticed, 3 s of backoff, and what a command takes.
    timings=Timings(recovery_seconds=25),
    prices_usd=SHOP.prices_usd,
    bills=_bills,
    specs={"order": order},
    invariants=SHOP.invariants,
    scenarios=_scenarios,
)


def _pods() -> dict[str, str]:
    """The name of each, by the identity of its worker."""
    listed = subprocess.run([*KUBECTL, "pods"], capture_output=True, text=True, check=True)
    lines = (line.split() for line in listed.stdout.splitlines())
    return {f"{pid}@{os.uname().nodename}": name for name, pid in lines}


def _delete(identity: str) -> CommandFault:
    pod = _pods()[identity]
    return CommandFault(
        name=NAME,
        inject=(*KUBECTL, "delete", pod),
        proof=(*KUBECTL, "gone", pod),
        workers=(identity,),
    )


LOST = order("order-pod-lost", attempts={"charge_card": 2})
SPARED = order("order-pod-idle")
BROKEN_OFF = order("order-broken-off")


async def _charging(lab: Lab, order_id: str) -> str:
    """Wait until the money is taken, and the worker waits to hear so; that worker's identity."""
    identity = await lab.until_in_flight(order_id, "charge_card")
    await wait_until(
        lambda: any(entry["order_id"] == order_id for entry in entries_of(BOOKS / CHARGES)),
        what=f"{order_id} is charged",
        deadline_seconds=lab.step_deadline_seconds,
    )
    return identity


async def pod_at_work(lab: Lab) -> None:
    """The pod that charges is deleted when the money is taken."""
    await lab.start(LOST)
    identity = await _charging(lab, LOST.workflow_id)
    async with lab.during(_delete(identity)):
        await lab.until_failed(LOST.workflow_id, "charge_card", attempts=1)


async def pod_at_rest(lab: Lab) -> None:
    """A pod that has nothing of this order is deleted."""
    await lab.start(SPARED)
    used = {await _charging(lab, SPARED.workflow_id)}
    async for event in lab.handle(SPARED.workflow_id).fetch_history_events():
        used.add(event.workflow_task_started_event_attributes.identity)
    idle = next(identity for identity in _pods() if identity not in used)
    async with lab.during(_delete(idle)):
        await lab.until_ended(SPARED.workflow_id)


async def never_ends(lab: Lab) -> None:
    """Somebody breaks the run off while its fault is in force."""
    await lab.start(BROKEN_OFF)
    fault = CommandFault(name=NAME, inject=("touch", str(MARK)), heal=("rm", str(MARK)))
    async with lab.during(fault):
        await asyncio.Event().wait()


def _scenario(experiment: Callable[[Lab], Awaitable[None]], spec: WorkflowSpec) -> Scenario:
    case = Case(
        name="only",
        target=PODS,
        experiment=experiment,
        load=lambda _: (spec,),
        proofs=(command_hit(NAME),),
        invariants=CHECKS,
    )
    return Scenario(name=experiment.__name__, title=experiment.__name__, cases=(case,))


SCENARIOS = (
    _scenario(pod_at_work, LOST),
    _scenario(pod_at_rest, SPARED),
    _scenario(never_ends, BROKEN_OFF),
)
