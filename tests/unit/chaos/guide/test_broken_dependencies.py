"""Each service of a target is broken in each way, and what its report shows is on record."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chaos.environment.target import Service, Target
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.scenario import SURVIVAL
from chaos.guide.broken_dependencies import HEADING
from chaos.guide.services import nothing_is_done_twice
from chaos.invariants.verdict import Verdict
from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import FOLDER, RECORD, Called
from tests.unit.chaos.made_history import Made, at, evidence_of

PAYMENTS = Service(name="payments", argv=("payments",), variable="PAYMENTS_URL", may_die=True)
LEDGER = Service(name="ledger", argv=("ledger",), variable="LEDGER_URL")
DATABASE = Service(name="database", argv=("db",), variable="DB", url="postgres://{address}/it")


def _spec(workflow_id: str) -> WorkflowSpec:
    return WorkflowSpec(workflow_id=workflow_id, workflow_type="Thing")


SHOP = Target(
    worker=(sys.executable,),
    task_queue="things",
    services=(PAYMENTS, LEDGER, DATABASE),
    specs={"thing": _spec},
)


def test_each_service_over_http_is_broken_in_each_way_alone() -> None:
    assert HEADING.make
    assert [case.name for case in HEADING.make(SHOP).cases] == [
        "payments_errors",
        "payments_slow",
        "payments_read_only",
        "payments_paused",
        "payments_down",
        "ledger_errors",
        "ledger_slow",
        "ledger_read_only",
        "ledger_paused",  # its records do not survive a kill
    ]


def test_a_target_without_a_service_over_http_is_told_so() -> None:
    missing = HEADING.why_not(replace(SHOP, services=(DATABASE,)))

    assert missing
    assert "Target.services" in missing
    assert HEADING.why_not(SHOP) is None


def test_a_target_without_invariants_of_its_own_is_held_to_those_of_anybody() -> None:
    assert HEADING.make
    for case in HEADING.make(SHOP).cases:
        assert {*SURVIVAL, nothing_is_done_twice} <= set(case.invariants)


def _call(begin: float, end: float, key: str = "", **fields: object) -> Called:
    crossing = Crossing(
        boundary=Boundary.parse("call POST /charges leaving"),
        workflow_id="order-1",
        run_id="run-1",
        attempt=1 if begin < 10 else 2,
        during=("charge_card",),
    )
    return Called.model_validate(
        {
            "at": at(begin),
            "ended_at": at(end),
            "method": "POST /charges",
            "crossings": (crossing,),
            "forwarded_at": at(begin),
            "body_sha256": "b" * 64,
            "target_sha256": "a" * 64,
            "idempotency_key": key,
            **fields,
        }
    )


def _told(place: str, seconds: float, attempt: int) -> Called:
    crossing = Crossing(boundary=Boundary.parse(place), workflow_id="order-1", attempt=attempt)
    return Called(at=at(seconds), delivered_at=at(seconds), method="x", crossings=(crossing,))


def _evidence(folder: Path, calls: Sequence[Called], server: Sequence[Called] = ()) -> Evidence:
    made = Made()
    number = made.scheduled("charge_card", 1, heartbeat=15)
    made.done(number, attempt=2, seconds=20).ended(seconds=21)
    (folder / FOLDER).mkdir()
    for name, records in (("worker-1-to-payments", calls), ("worker-1", server)):
        lines = b"".join(RECORD.dump_json(record) + b"\n" for record in records)
        (folder / FOLDER / f"{name}.jsonl").write_bytes(lines)
    journal = (
        Entry(at=at(2), event=Event.FAULT, kind="pause", target="payments"),
        Entry(at=at(13), event=Event.HEALED, target="payments"),
    )
    return replace(evidence_of(made.workflow()), folder=folder, journal=journal)


def test_its_figures_are_those_of_the_calls_and_attempts_that_met_it(tmp_path: Path) -> None:
    server = [
        _told("activity charge_card assigned 1", 2, 1),
        _told("heartbeat charge_card completing 1", 3, 1),
        _told("heartbeat charge_card completing 2", 9.5, 1),
        _told("activity charge_card failing 1", 12, 1),
        _told("activity charge_card assigned 1", 15.25, 2),
        _told("activity charge_card completing 1", 20, 2),
    ]
    evidence = _evidence(tmp_path, [_call(2, 12)], server)
    assert HEADING.make
    paused = next(c for c in HEADING.make(SHOP).cases if c.name == "payments_paused")

    assert [str(figure) for figure in paused.figures(evidence)] == [
        "calls of charge_card that met it: 1 calls",
        "longest unanswered call of charge_card (start-to-close 45 s): 10 s",
        "most attempts of charge_card (of any number): 2",
        "retries for each charge_card affected: 1",
        "longest wait before a retry of charge_card: 3.25 s",
        "longest gap between heartbeats of charge_card (timeout 15 s): 6.5 s",
    ]


def test_a_lost_attempts_last_heartbeat_is_no_gap_of_the_next_activity(tmp_path: Path) -> None:
    server = [
        _told("activity charge_card assigned 1", 2, 1),
        _told("heartbeat charge_card completing 1", 3, 1),  # it dies with its worker
        _told("activity charge_card assigned 1", 18, 2),
        _told("activity charge_card completing 1", 20, 2),
        _told("activity charge_card assigned 2", 300, 1),
        _told("heartbeat charge_card completing 2", 304, 1),
        _told("activity charge_card completing 2", 305, 1),
    ]
    evidence = _evidence(tmp_path, [_call(2, 12)], server)
    assert HEADING.make
    paused = next(c for c in HEADING.make(SHOP).cases if c.name == "payments_paused")

    found = {figure.name: figure.value for figure in paused.figures(evidence)}

    assert found["longest gap between heartbeats of charge_card (timeout 15 s)"] == 4


def test_a_service_that_cannot_tell_that_it_was_asked_again_is_seen(tmp_path: Path) -> None:
    answered = {"replied_at": at(16), "delivered_at": at(16), "status": "200"}
    forgetful = [_call(2, 12, "key-1"), _call(15, 16, "key-2", **answered)]

    finding = nothing_is_done_twice.examine(_evidence(tmp_path, forgetful))

    assert finding.verdict is Verdict.FAILED
    assert finding.problems == (
        "payments was asked 2 times for the same POST /charges by charge_card, and cannot tell",
    )


def test_the_same_key_again_is_no_harm(tmp_path: Path) -> None:
    answered = {"replied_at": at(16), "delivered_at": at(16), "status": "200"}
    careful = [_call(2, 12, "key-1"), _call(15, 16, "key-1", **answered)]

    assert nothing_is_done_twice.examine(_evidence(tmp_path, careful)).problems == ()
