"""A worker that knows only localhost:7233 is tested as it is."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import sys

import pytest

from chaos.environment.stack import NotHereError
from chaos.environment.target import Target
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab
from chaos.invariants.proofs import killed_while_open
from chaos.invariants.verdict import Verdict
from chaos.process.child import ChildError
from chaos.process.ports import Port, PortTakenError
from tests.integration.guests.conftest import GUESTS, GuestRun, StackOf

PORT = 7233
BANK = Target(
    worker=(sys.executable, "run_worker.py"),
    task_queue="TRANSFER_MONEY_TASK_QUEUE",
    cwd=GUESTS / "money_transfer",
    port=PORT,
)
TRANSFER = WorkflowSpec(
    workflow_id="transfer-1",
    workflow_type="MoneyTransfer",
    arguments=({"source": "85-150", "target": "43-812", "amount": 250, "reference": "12345"},),
    attempts={"deposit": 2},
)

pytestmark = pytest.mark.xdist_group("port 7233")


@pytest.fixture(autouse=True)
def free_port() -> None:
    """Another run, or a developer's own server, may have it."""
    try:
        Port(number=PORT).release()
    except PortTakenError as error:
        pytest.skip(str(error))


async def _kill_in_mid_deposit(lab: Lab) -> None:
    worker = await lab.worker()
    await lab.start(TRANSFER)
    await lab.until_in_flight("transfer-1", "deposit")
    await lab.signal(worker.child, signal.SIGKILL)
    await lab.worker()


async def test_two_cases_at_once_have_the_port_one_after_the_other(guest_run: GuestRun) -> None:
    proofs = [killed_while_open(["worker-1"], "transfer-1", "deposit")]

    results = await asyncio.gather(
        *(
            guest_run.judged(BANK, TRANSFER, _kill_in_mid_deposit, name=name, proofs=proofs)
            for name in ("one", "two")
        )
    )

    for result in results:
        assert result.verdict is Verdict.PASSED, result.reason
        (workflow,) = result.workflows
        assert workflow.status == "completed"


async def test_a_taken_port_is_one_sentence_that_says_whose_it_is(stack_of: StackOf) -> None:
    async with stack_of(BANK, below="first"):
        with pytest.raises(ChildError) as second:
            async with stack_of(BANK, below="second"):
                pass

    assert str(second.value) == (
        "the target's workers connect only to localhost:7233, and another chaos run uses port "
        "7233: end it, or wait until it has ended, and run again."
    )
    async with stack_of(BANK, below="third") as stack:
        assert stack.temporal.address == "127.0.0.1:7233"


async def test_a_server_of_the_users_own_at_the_port_is_named(stack_of: StackOf) -> None:
    async with await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", PORT):
        with pytest.raises(ChildError, match=r"and \w+[\d.]* \(pid \d+\) uses port 7233: end it"):
            async with stack_of(BANK):
                pass


async def test_a_fixed_namespace_is_there_from_the_start(stack_of: StackOf) -> None:
    target = dataclasses.replace(BANK, port=None, namespace="bank")

    async with stack_of(target) as stack:
        assert stack.client.namespace == "bank"
        assert stack.temporal.worker_environment["TEMPORAL_NAMESPACE"] == "bank"
        assert stack.temporal.address != f"127.0.0.1:{PORT}"


async def test_on_the_wire_a_line_has_the_port_and_the_server_another(stack_of: StackOf) -> None:
    async with stack_of(BANK, wire=True) as stack:
        assert stack.temporal.address != f"127.0.0.1:{PORT}"
        await stack.start_worker()
        await stack.start_worker()
        (line,) = stack.wire.lines.values()
        assert line.port.number == PORT
        polled = {line.owner(p.peer, w.pids) for p in line.polled() for w in stack.workers}
        assert polled - {None} == {worker.child.pid for worker in stack.workers}


async def test_who_knows_one_address_is_on_the_wire_only_where_the_server_leaves_it(
    stack_of: StackOf,
) -> None:
    async with stack_of(BANK) as stack:
        with pytest.raises(NotHereError, match=r"that port: stack=StackSpec\(wire=True\)"):
            await stack.start_worker(wire=True)


async def test_no_link_leads_a_worker_elsewhere_that_knows_one_address(stack_of: StackOf) -> None:
    async with stack_of(BANK) as stack:
        with pytest.raises(NotHereError, match="connect only to localhost:7233"):
            await stack.start_worker(links=("server",))
