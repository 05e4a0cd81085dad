"""An order whose worker is on the wire, and what is done to its calls at their boundaries."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from chaos import AtBoundary, Lab, Polls, Service, Target, Timings, WorkflowSpec, hit_at
from chaos.environment.supervisor import Supervisor
from chaos.evidence.journal import Event
from chaos.experiment.results import CaseResult
from chaos.invariants import Invariant
from chaos.invariants.verdict import Verdict
from chaos.process.waiting import DeadlineExceededError
from chaos.wire.journal import Decided, Opened, read_wire
from tests.integration.guests.conftest import GuestRun, StackOf

ORDERS = Path(__file__).parents[3] / "examples" / "orders"
CHARGED = "activity charge_card completed"
ASKED = "call POST /charges answered"


def _double(name: str) -> Service:
    return Service(
        name=name,
        argv=(sys.executable, "-m", "orders.doubles", "{port}", f"{{evidence}}/{name}.jsonl"),
        variable=f"{name.upper()}_URL",
        settings={"ANSWER_SECONDS": "0.1"},
    )


SHOP = Target(
    worker=(sys.executable, "-m", "orders.worker"),
    task_queue="orders",
    cwd=ORDERS,
    services=(_double("payments"), _double("carrier")),
    timings=Timings(recovery_seconds=25),
)


NEXT_TOO = {"ship_parcel": (1, 2)}
"""While a reply is held the server goes on, and the same worker may get what comes next."""


def _order(**attempts: int | tuple[int, int]) -> WorkflowSpec:
    return WorkflowSpec(
        workflow_id="order-1",
        workflow_type="Order",
        arguments=({"order_id": "order-1", "amount_cents": 4990, "address": "Chaos Lane 1"},),
        attempts=attempts,
    )


async def _judged(
    run: GuestRun,
    spec: WorkflowSpec,
    experiment: Callable[[Lab], Awaitable[None]],
    *proofs: Invariant,
    target: Target = SHOP,
) -> CaseResult:
    result = await run.judged(target, spec, experiment, name="wire", proofs=proofs)
    assert result.verdict is Verdict.PASSED, result.reason
    return result


def _booked(run: GuestRun) -> Sequence[str]:
    books = run.evidence.folder / "payments.jsonl"
    return [json.loads(line)["key"] for line in books.read_text().splitlines()]


async def test_a_worker_that_dies_when_the_server_knows_costs_no_second_attempt(
    guest_run: GuestRun,
) -> None:
    order = _order(**NEXT_TOO)

    async def experiment(lab: Lab) -> None:
        await lab.worker(wire=True)
        charged = await lab.at(CHARGED, workflow_id="order-1")
        await lab.start(order)
        await (await charged.reached()).kill()
        await lab.worker(wire=True)

    await _judged(guest_run, order, experiment, hit_at(CHARGED, workflow_id="order-1"))

    (fault,) = [e for e in guest_run.evidence.journal if e.event is Event.FAULT]
    assert (fault.kind, fault.target, fault.boundary) == ("kill", "worker-1", f"{CHARGED} 1")
    assert sorted(read_wire(guest_run.evidence.folder)) == [
        *("worker-1", "worker-1>carrier", "worker-1>payments"),
        *("worker-2", "worker-2>carrier", "worker-2>payments"),
    ]


async def test_a_report_that_never_arrives_is_sent_again(guest_run: GuestRun) -> None:
    order, reported = _order(), "activity charge_card completing"

    async def experiment(lab: Lab) -> None:
        await lab.worker(wire=True)
        point = await lab.at(reported)
        await lab.start(order)
        await (await point.reached()).drop()

    await _judged(guest_run, order, experiment, hit_at(reported, "drop"))

    (fault,) = [e for e in guest_run.evidence.journal if e.event is Event.FAULT]
    assert fault.target == "worker-1>server"


@pytest.mark.parametrize("action", ["fail:RESOURCE_EXHAUSTED", "delay:0.5", "silence"])
async def test_what_may_become_of_a_call_a_search_can_hold_as_data(
    guest_run: GuestRun, action: str
) -> None:
    # Of who hears nothing the heartbeat may be missed before it asks again.
    order, place = _order(charge_card=(1, 2)), "activity charge_card completing"

    async def experiment(lab: Lab) -> None:
        await lab.worker(wire=True)
        await lab.start(order)
        fault = AtBoundary(boundary=place, action=action, worker="worker-1")
        async with lab.during(AtBoundary.model_validate_json(fault.model_dump_json())):
            await lab.until_ended("order-1")

    await _judged(guest_run, order, experiment, hit_at(place, action))


async def test_a_service_that_has_answered_a_dead_worker_is_asked_again(
    guest_run: GuestRun,
) -> None:
    order = _order(charge_card=2)

    async def experiment(lab: Lab) -> None:
        worker = await lab.worker(wire=True)
        answered = await lab.at(ASKED, worker=worker)
        await lab.start(order)
        hit = await answered.reached()
        assert hit.passage.crossing.during == ("charge_card",)
        await hit.kill()
        await lab.worker(wire=True)

    await _judged(guest_run, order, experiment, hit_at(ASKED))

    assert _booked(guest_run) == ["charge-order-1"]


async def test_what_is_held_stands_still_and_goes_on_when_the_experiment_is_over(
    guest_run: GuestRun,
) -> None:
    order = _order()

    async def experiment(lab: Lab) -> None:
        await lab.worker(wire=True)
        given = await lab.at("activity ship_parcel assigned")
        await lab.start(order)
        await given.reached()
        assert not await lab.has_ended("order-1")

    await _judged(guest_run, order, experiment)

    records = read_wire(guest_run.evidence.folder)["worker-1"]
    assert [r.decision for r in records if isinstance(r, Decided)] == ["resume"]


async def test_of_kept_workers_the_one_that_made_the_call_dies_and_is_replaced(
    guest_run: GuestRun,
) -> None:
    order = _order(**NEXT_TOO)
    kept: list[Supervisor] = []

    async def experiment(lab: Lab) -> None:
        kept.append(await lab.supervisor(2, wire=True))
        await lab.start(order)
        async with lab.during(AtBoundary(boundary=CHARGED, action="kill")):
            await kept[0].until_complete(lab.client)

    await _judged(guest_run, order, experiment, hit_at(CHARGED))

    evidence = guest_run.evidence
    (fault,) = [e for e in evidence.journal if e.event is Event.FAULT]
    charged = next(a for a in evidence.workflows["order-1"].activities if a.kind == "charge_card")
    assert charged.worker.startswith(f"{fault.pid}@")
    assert evidence.first_entry(Event.READY, after=fault.at, target=fault.target)


SUPERVISOR = """
import subprocess, sys, time
def start():
    return subprocess.Popen([sys.executable, "-m", "orders.worker"], start_new_session=True)
workers = [start() for _ in range(int(sys.argv[sys.argv.index("--workers") + 1]))]
while True:
    workers = [each if each.poll() is None else start() for each in workers]
    time.sleep(0.1)
"""


async def test_of_workers_that_share_a_line_the_one_that_made_the_call_dies(
    guest_run: GuestRun,
) -> None:
    supervised = dataclasses.replace(SHOP, supervisor=(sys.executable, "-c", SUPERVISOR))
    order = _order(**NEXT_TOO)

    async def experiment(lab: Lab) -> None:
        supervisor = await lab.supervisor(2, wire=True)
        charged = await lab.at(CHARGED)
        await lab.start(order)
        await (await charged.reached()).kill()
        await supervisor.until_complete(lab.client)

    await _judged(guest_run, order, experiment, hit_at(CHARGED), target=supervised)

    evidence = guest_run.evidence
    (fault,) = [e for e in evidence.journal if e.event is Event.FAULT]
    charge = next(a for a in evidence.workflows["order-1"].activities if a.kind == "charge_card")
    assert fault.target == "fleet-1-worker"
    assert charge.worker.startswith(f"{fault.pid}@")


async def test_behind_a_line_there_may_be_a_link_that_goes_bad(stack_of: StackOf) -> None:
    async with stack_of(SHOP) as stack:
        await stack.start_worker(links=("server", "payments"), wire=True)
        records = read_wire(stack.evidence_folder)
        links = stack.links

    for line, link in (("worker-1", "worker-1>server"), ("worker-1>payments",) * 2):
        (opened,) = [r for r in records[line] if isinstance(r, Opened)]
        assert opened.upstream == links[link].address


async def test_a_worker_that_polls_elsewhere_is_not_ready_and_it_is_said_what_polled(
    stack_of: StackOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaos.environment.worker.READY_DEADLINE_SECONDS", 15.0)
    waiting = dataclasses.replace(SHOP, ready=Polls(queues=("parcels",)))

    async with stack_of(waiting) as stack:
        with pytest.raises(DeadlineExceededError) as error:
            await stack.start_worker(wire=True)

    said = str(error.value)
    assert "It must poll orders and parcels for workflow or activity tasks;" in said
    assert re.search(r"\d+@\S+ \(activity tasks of orders\) counts", said)


async def test_a_worker_sleeps_at_a_boundary_and_goes_on(guest_run: GuestRun) -> None:
    order = _order()
    given = "activity ship_parcel delivered"

    async def experiment(lab: Lab) -> None:
        await lab.worker(wire=True)
        point = await lab.at(given)
        await lab.start(order)
        hit = await point.reached()
        hit.pause()
        await hit.resume_worker()

    await _judged(guest_run, order, experiment, hit_at(given, "pause"))


async def test_a_boundary_that_nobody_comes_to_is_told_with_those_that_there_were(
    guest_run: GuestRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = _order()
    monkeypatch.setattr("chaos.experiment.lab.STEP_DEADLINE_SECONDS", 5.0)

    async def experiment(lab: Lab) -> None:
        await lab.worker(wire=True)
        never = await lab.at("activity charge_card failing", workflow_id="order-1")
        await lab.start(order)
        with pytest.raises(DeadlineExceededError) as error:
            await never.reached()
        assert "the boundary activity charge_card failing 1 of order-1 is reached" in str(error)
        assert "'activity charge_card completed 1'" in str(error.value)

    await _judged(guest_run, order, experiment)


async def test_a_worker_on_the_wire_may_work_in_another_namespace(guest_run: GuestRun) -> None:
    order = _order()

    async def experiment(lab: Lab) -> None:
        await lab.worker(wire=True, namespace="lane-1")
        description = await lab.stack.temporal.connect()
        config = description.config()
        config["namespace"] = "lane-1"
        client = type(description)(**config)
        handle = await client.start_workflow(
            "Order",
            order.arguments[0],
            id="order-of-the-lane",
            task_queue=lab.stack.own_queue("orders"),
            execution_timeout=timedelta(seconds=30),
        )
        assert (await handle.result())["charge_id"] == "charges-1"
        await lab.worker()
        await lab.start(order)

    await _judged(guest_run, order, experiment)
