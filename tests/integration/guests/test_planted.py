"""Each planted fault does no harm where nothing is broken, and one kill brings it to light."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from chaos.environment.target import EVIDENCE, PORT, Service, Target
from chaos.evidence.case import Evidence
from chaos.evidence.history import Status
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab
from chaos.invariants.proofs import killed_while_open
from chaos.invariants.verdict import Verdict
from chaos.process.waiting import wait_until
from tests.integration.guests.conftest import GUESTS, GuestRun

CHARGES = "charges.jsonl"
DOUBLES = Path(__file__).parents[3] / "examples" / "orders" / "orders" / "doubles.py"
ORDER = WorkflowSpec(
    workflow_id="order-1",
    workflow_type="Order",
    arguments=({"order_id": "order-1", "amount_cents": 4990, "address": "Chaos Lane 1"},),
)
DISCOUNT_CENTS = 500

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(180)]


def _is_stuck(evidence: Evidence) -> bool:
    return evidence.workflows["order-1"].status is Status.RUNNING


def _cannot_be_replayed(evidence: Evidence) -> bool:
    failing = evidence.workflows["order-1"].failing
    return failing is not None and "ondeterminis" in str(failing)


def _costs_more(evidence: Evidence) -> bool:
    return evidence.workflows["order-1"].result(int) == 4990


def _is_charged_twice(evidence: Evidence) -> bool:
    return _charges(evidence.folder) == 2


def _charges(folder: Path) -> int:
    books = folder / CHARGES
    return len(books.read_text().splitlines()) if books.exists() else 0


def _target(program: str) -> Target:
    return Target(
        worker=(sys.executable, program),
        task_queue="planted",
        cwd=GUESTS / "planted",
        services=(
            Service(
                name="payments",
                argv=(sys.executable, str(DOUBLES), PORT, f"{EVIDENCE}/{CHARGES}"),
                variable="PAYMENTS_URL",
            ),
        ),
    )


async def _undisturbed(lab: Lab) -> None:
    await lab.worker()
    await lab.start(ORDER)
    await lab.until_ended(ORDER.workflow_id)


async def _killed(activity: str, is_charged: bool, lab: Lab) -> None:
    worker = await lab.worker()
    await lab.start(ORDER)
    await lab.until_in_flight(ORDER.workflow_id, activity)
    await wait_until(
        lambda: not is_charged or _charges(lab.stack.evidence_folder) == 1,
        what="the card is charged",
        deadline_seconds=lab.step_deadline_seconds,
    )
    await lab.signal(worker.child, signal.SIGKILL)
    await lab.worker()


@pytest.mark.parametrize(
    ("program", "activity", "is_seen"),
    [
        ("no_key.py", "charge_card", _is_charged_twice),
        ("set_order.py", "ship_parcel", _cannot_be_replayed),
        ("no_heartbeat.py", "ship_parcel", _is_stuck),
        ("deaf.py", "ship_parcel", _is_stuck),
        ("in_memory.py", "charge_card", _costs_more),
    ],
)
async def test_it_shows_after_a_kill_only(
    program: str, activity: str, is_seen: Callable[[Evidence], bool], guest_run: GuestRun
) -> None:
    proofs = (killed_while_open(["worker-1"], ORDER.workflow_id, activity),)

    sound = await guest_run.judged(_target(program), ORDER, _undisturbed, name="undisturbed")
    assert sound.verdict is Verdict.PASSED, sound.reason
    assert not is_seen(guest_run.evidence)

    experiment = partial(_killed, activity, program == "no_key.py")
    broken = await guest_run.judged(_target(program), ORDER, experiment, proofs=proofs)
    assert broken.verdict is not Verdict.PASSED
    assert is_seen(guest_run.evidence), broken.reason
