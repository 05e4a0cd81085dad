"""By records made by hand: the wire's of calls to a service, the harness's of its faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants.proofs import service_was_hit
from chaos.invariants.proofs.service import calls_that_met_faults
from chaos.invariants.verdict import Verdict
from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import FOLDER, RECORD, Called
from tests.unit.chaos.made_history import Made, at, evidence_of


def _call(begin: float, end: float, **fields: Any) -> Called:
    """One of `charge_card` of order-1."""
    crossing = Crossing(
        boundary=Boundary.parse("call POST /charges leaving"),
        workflow_id=fields.pop("workflow_id", "order-1"),
        during=fields.pop("during", ("charge_card",)),
    )
    return Called(
        at=at(begin), ended_at=at(end), method="POST /charges", crossings=(crossing,), **fields
    )


def _evidence(folder: Path, kind: str, *calls: Called, activity: str = "charge_card") -> Evidence:
    """Of an order whose activity is open from second 1 to 20, and a fault from 5 to 10."""
    made = Made()
    number = made.scheduled(activity, 1)
    made.done(number, attempt=2, seconds=20).ended(seconds=21)
    (folder / FOLDER).mkdir()
    lines = b"".join(RECORD.dump_json(call) + b"\n" for call in calls)
    (folder / FOLDER / "worker-1-to-payments.jsonl").write_bytes(lines)
    journal = (
        Entry(at=at(5), event=Event.FAULT, kind=kind, target="payments"),
        Entry(at=at(10), event=Event.HEALED, target="payments"),
    )
    return replace(evidence_of(made.workflow()), folder=folder, journal=journal)


ERRORS = {"broken_by": "errors at payments", "status": "503"}
ANSWERED = {"forwarded_at": at(6), "replied_at": at(7), "delivered_at": at(7), "status": "200"}


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        ("errors", _call(6, 6, **ERRORS)),
        ("errors", _call(6, 6, during=("charge_card 2", "ship_parcel"), **ERRORS)),
        ("errors", _call(6, 6, workflow_id="", **ERRORS)),
        ("slow", _call(6, 12, **{**ANSWERED, "broken_by": "slow at payments"})),
        ("read_only", _call(9, 9, broken_by="read_only at payments", status="503")),
        ("pause", _call(6, 9)),
        ("pause", _call(4, 12, forwarded_at=at(4), replied_at=at(11))),
        ("kill", _call(4, 5.1, forwarded_at=at(4))),
    ],
)
def test_a_call_of_an_open_activity_proves_it(tmp_path: Path, kind: str, call: Called) -> None:
    evidence = _evidence(tmp_path, kind, call)

    assert service_was_hit("payments", kind).examine(evidence).problems == ()
    (met,) = calls_that_met_faults(evidence, "payments")
    assert (met.call, met.activity.kind) == (call, "charge_card")


@pytest.mark.parametrize(
    ("kind", "calls"),
    [
        ("errors", []),
        ("errors", [_call(6, 7, **ANSWERED)]),  # not of the share
        ("errors", [_call(2, 2, **ERRORS)]),  # of an earlier fault
        ("errors", [_call(12, 12, **ERRORS)]),
        ("slow", [_call(6, 6, **ERRORS)]),
        ("errors", [_call(6, 6, during=(), **ERRORS)]),  # nobody's
        ("errors", [_call(6, 6, during=("ship_parcel",), **ERRORS)]),
        ("errors", [_call(6, 6, workflow_id="order-2", **ERRORS)]),
        ("pause", [_call(6, 7, **ANSWERED)]),
        ("pause", [_call(2, 3, forwarded_at=at(2))]),
        ("kill", [_call(11, 12, forwarded_at=at(11))]),
    ],
)
def test_what_met_no_call_is_unknown(tmp_path: Path, kind: str, calls: Sequence[Called]) -> None:
    finding = service_was_hit("payments", kind).examine(_evidence(tmp_path, kind, *calls))

    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == (f"{kind} at payments: no call of an open activity met it",)


def test_a_fault_that_was_not_there_is_unknown(tmp_path: Path) -> None:
    evidence = _evidence(tmp_path, "errors", _call(6, 6, **ERRORS))

    finding = service_was_hit("carrier", "errors").examine(evidence)

    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == ("carrier had no fault errors",)


def test_an_activity_that_was_over_is_not_the_one(tmp_path: Path) -> None:
    made = Made()
    made.done(made.scheduled("charge_card", 1), seconds=4).ended(seconds=21)
    evidence = _evidence(tmp_path, "errors", _call(6, 6, **ERRORS))
    evidence = replace(evidence, workflows={"order-1": made.workflow()})

    assert service_was_hit("payments", "errors").examine(evidence).verdict is Verdict.UNKNOWN
