"""By journals made by hand: the wire's own, and the harness's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants.proofs import hit_at
from chaos.invariants.recovery import met_work
from chaos.invariants.verdict import Verdict
from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import FOLDER, RECORD, Decided, Reached, WireRecord
from tests.unit.chaos.made_history import at

PLACE = "activity charge_card completed 1"
DELIVERED = "activity charge_card delivered 1"
CALL = "call POST /charges answered"
FOUND = f"{CALL} 7"


def _case(folder: Path, records: Sequence[WireRecord], journal: Sequence[Entry]) -> Evidence:
    (folder / FOLDER).mkdir()
    lines = [RECORD.dump_json(record) + b"\n" for record in records]
    (folder / FOLDER / "worker-1.jsonl").write_bytes(b"".join(lines))
    return Evidence(folder=folder, specs=(), workflows={}, journal=journal)


def _reached(place: str = PLACE, passage: int = 3) -> Reached:
    crossing = Crossing(boundary=Boundary.parse(place), workflow_id="order-1")
    return Reached(at=at(1), breakpoint=1, passage=passage, crossing=crossing)


def _decided(decision: str = "left", passage: int = 3) -> Decided:
    return Decided(at=at(2), passage=passage, decision=decision)


def _fault(kind: str = "kill", place: str = PLACE) -> Entry:
    return Entry(
        at=at(1.5),
        event=Event.FAULT,
        kind=kind,
        target="worker-1",
        pid=7,
        workflow_id="order-1",
        boundary=place,
        passage=3,
    )


KILLED = (
    _fault(),
    Entry(at=at(1.6), event=Event.SIGNALED, target="worker-1", pid=7, signal="SIGKILL"),
    Entry(at=at(1.7), event=Event.EXITED, target="worker-1", pid=7, exit_code=-9),
)


def test_a_kill_is_proven_by_the_wire_and_by_the_end_of_the_process(tmp_path: Path) -> None:
    evidence = _case(tmp_path, [_reached(), _decided()], KILLED)

    assert hit_at(PLACE).examine(evidence).problems == ()
    assert hit_at(PLACE, workflow_id="order-1").examine(evidence).problems == ()
    assert met_work(evidence, KILLED[0])


def test_who_dies_of_what_was_delivered_may_never_report_it(tmp_path: Path) -> None:
    journal = (_fault(place=DELIVERED), *KILLED[1:])

    assert not hit_at(DELIVERED).examine(_case(tmp_path, [_reached(DELIVERED)], journal)).problems


def test_a_call_is_known_whatever_its_number_is_on_its_line(tmp_path: Path) -> None:
    journal = (_fault(place=FOUND), *KILLED[1:])
    evidence = _case(tmp_path, [_reached(FOUND), _decided()], journal)

    assert hit_at(CALL).examine(evidence).problems == ()


def test_a_fault_of_the_report_of_what_was_delivered_needs_that_report(tmp_path: Path) -> None:
    evidence = _case(tmp_path, [_reached(DELIVERED)], (_fault("drop", DELIVERED),))

    assert hit_at(DELIVERED, "drop").examine(evidence).verdict is Verdict.UNKNOWN


def test_whatever_a_fault_was_meant_for_it_may_have_hit_any_of(tmp_path: Path) -> None:
    evidence = _case(tmp_path, [_reached(), _decided()], KILLED)

    assert hit_at("activity * completed 4").examine(evidence).problems == ()
    assert hit_at("activity * completing 4").examine(evidence).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("records", "journal", "problem"),
    [
        ([_reached(), _decided()], (), f"no kill reached {PLACE}"),
        ([_reached(), _decided()], (_fault("drop"),), f"no kill reached {PLACE}"),
        ([], KILLED, "the wire had no call there"),
        ([_reached(passage=4), _decided()], KILLED, "the wire had no call there"),
        ([_reached(DELIVERED), _decided()], KILLED, "the wire had no call there"),
        ([_reached()], KILLED, "the call was not decided before the wire ended"),
        ([_reached(), _decided("resume")], KILLED, "the decision on the call was 'resume'"),
        ([_reached(), _decided()], KILLED[:2], "worker-1 (pid 7) got no signal, or survived it"),
        ([_reached(), _decided()], KILLED[::2], "worker-1 (pid 7) got no signal, or survived it"),
    ],
)
def test_what_is_not_proven_is_unknown(
    tmp_path: Path, records: Sequence[WireRecord], journal: Sequence[Entry], problem: str
) -> None:
    evidence = _case(tmp_path, records, journal)
    finding = hit_at(PLACE).examine(evidence)

    assert finding.verdict is Verdict.UNKNOWN
    assert problem in finding.problems[0]
    assert not any(
        met_work(evidence, e) for e in journal if e.event is Event.FAULT and e.kind == "kill"
    )


def test_one_of_another_workflow_does_not_count(tmp_path: Path) -> None:
    evidence = _case(tmp_path, [_reached(), _decided()], KILLED)

    assert hit_at(PLACE, workflow_id="order-2").examine(evidence).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("kind", "decision", "verdict"),
    [
        ("drop", "drop", Verdict.PASSED),
        ("drop", "resume", Verdict.UNKNOWN),
        ("drop", "left", Verdict.UNKNOWN),
        ("silence", "silence", Verdict.PASSED),
        ("delay", "resume", Verdict.PASSED),
        ("fail", "UNAVAILABLE", Verdict.PASSED),
    ],
)
def test_what_became_of_the_call_is_what_the_fault_is(
    tmp_path: Path, kind: str, decision: str, verdict: Verdict
) -> None:
    evidence = _case(tmp_path, [_reached(), _decided(decision)], (_fault(kind),))

    assert hit_at(PLACE, kind).examine(evidence).verdict is verdict
