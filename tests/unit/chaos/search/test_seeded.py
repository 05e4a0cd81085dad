"""The checks of a schedule hold on the evidence of a real one, and see what is broken in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry, Event
from chaos.experiment.judge import judge, reason_of, verdict_of
from chaos.faults import AtBoundary, Family, Fault
from chaos.invariants.verdict import Verdict
from chaos.network.journal import Hit, RecordFile
from chaos.network.toxics import Stream
from chaos.search.schedule import FILE, Planned, read_schedule
from chaos.search.seeded import schedule_was_carried_out, seeded
from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import RECORD, Decided, Reached
from tests.chaos.video.target import VIDEO

FOLDER = Path(__file__).parents[3] / "data" / "evidence" / "seeded" / "seed_4"
SCHEDULE = read_schedule(FOLDER / FILE)


BROKEN_OFF = Planned(
    at_seconds=2,
    lasting_seconds=0,
    fault=AtBoundary(boundary=Boundary.parse("call * answered 2"), action="drop"),
)


@pytest.fixture
def evidence() -> Evidence:
    return VIDEO.load_evidence(FOLDER)


def _problems(evidence: Evidence) -> tuple[str, ...]:
    return tuple(schedule_was_carried_out(SCHEDULE).examine(evidence).problems)


def _without(evidence: Evidence, drop: Callable[[Entry], bool]) -> Evidence:
    return replace(evidence, journal=[entry for entry in evidence.journal if not drop(entry)])


def test_the_kept_evidence_passes(evidence: Evidence) -> None:
    (case,) = seeded([SCHEDULE], VIDEO).cases
    findings = judge(case, evidence)

    assert verdict_of(findings) is Verdict.PASSED, reason_of(findings)


def test_a_fault_that_was_not_injected_leaves_the_verdict_open(evidence: Evidence) -> None:
    first = evidence.first_entry(Event.FAULT)
    finding = schedule_was_carried_out(SCHEDULE).examine(
        _without(evidence, lambda entry: entry is first)
    )

    assert finding.verdict is Verdict.UNKNOWN
    assert "it was not injected at its time" in finding.problems[0]


def test_a_fault_that_came_much_later_was_not_the_planned_one(evidence: Evidence) -> None:
    late = [
        entry.model_copy(update={"at": entry.at + timedelta(minutes=5)})
        if entry.event is Event.FAULT
        else entry
        for entry in evidence.journal
    ]

    assert len(_problems(replace(evidence, journal=late))) >= len(SCHEDULE.faults)


def test_a_fault_that_was_not_healed_is_seen(evidence: Evidence) -> None:
    problems = _problems(_without(evidence, lambda entry: entry.event is Event.HEALED))

    assert all("it was not healed" in problem for problem in problems)
    assert len(problems) == len(SCHEDULE.faults)


def test_a_fault_without_any_load_shows_nothing(evidence: Evidence) -> None:
    problems = _problems(replace(evidence, workflows={}))

    assert problems == tuple(
        f"no workflow was open during any fault of the kind {kind}"
        for kind in sorted({_kind(planned.fault) for planned in SCHEDULE.faults})
    )


def _kind(fault: Fault) -> str:
    """One toxic may stand in for another."""
    is_toxic = fault.family == Family.NETWORK
    return fault.family if is_toxic else f"{fault.family} by {fault.kind}"


def _ended_by(workflow: Workflow, end: datetime) -> Workflow:
    """The same workflow, as if its last event had come at that time."""
    run = workflow.runs[-1]
    *before, last = run.events
    closed = HistoryEvent()
    closed.CopyFrom(last)
    closed.event_time.FromDatetime(end)
    return replace(workflow, runs=(WorkflowHistory(run.workflow_id, [*before, closed]),))


def test_a_fault_between_two_workflows_is_no_doubt_where_others_met_work(
    evidence: Evidence,
) -> None:
    """As if all workflows had ended before the last fault, a toxic as some before it."""
    last = _kind(SCHEDULE.faults[-1].fault)
    assert [_kind(planned.fault) for planned in SCHEDULE.faults].count(last) > 1
    begun = evidence.first_entry(Event.WORKFLOW)
    assert begun
    end = begun.at + timedelta(seconds=SCHEDULE.faults[-1].at_seconds - 0.5)
    ended = {name: _ended_by(each, end) for name, each in evidence.workflows.items()}

    assert _problems(replace(evidence, workflows=ended)) == ()


def test_no_kind_of_fault_stands_in_for_another(evidence: Evidence) -> None:
    """As if all workflows had ended when the server had slept, and before a worker did."""
    first = next(planned for planned in SCHEDULE.faults if planned.fault.family == Family.KILL)
    begun = evidence.first_entry(Event.WORKFLOW)
    assert begun
    end = begun.at + timedelta(seconds=first.at_seconds - 0.5)
    ended = {name: _ended_by(each, end) for name, each in evidence.workflows.items()}

    problems = _problems(replace(evidence, workflows=ended))

    assert "no workflow was open during any fault of the kind kill by pause" in problems
    assert "no workflow was open during any fault of the kind server by pause" not in problems


def test_kills_without_a_signal_are_seen(evidence: Evidence) -> None:
    problems = _problems(_without(evidence, lambda entry: entry.event is Event.SIGNALED))

    assert "no worker got a signal" in problems


def test_toxics_that_met_nobody_are_seen(evidence: Evidence, tmp_path: Path) -> None:
    """Without the proxies' journals nobody knows of any connection."""
    assert "no toxic hit a connection" in _problems(replace(evidence, folder=tmp_path))


def test_toxics_that_met_only_who_came_later_have_met_somebody(
    evidence: Evidence, tmp_path: Path
) -> None:
    """Of clients that connects again for each request nobody may be there at first."""
    (tmp_path / "network").mkdir()
    journal = RecordFile(tmp_path / "network" / "fleet-1-to-api.jsonl", "", pytest.fail)
    journal.add(Hit(name="toxic-1", connection=1, stream=Stream.UPSTREAM))
    journal.close()

    assert "no toxic hit a connection" not in _problems(replace(evidence, folder=tmp_path))


def _dropped(folder: Path, *, found: str, at_seconds: float, decision: str = "drop") -> Evidence:
    """The kept evidence, as if a call had been dropped as well."""
    kept = VIDEO.load_evidence(FOLDER)
    begun = kept.first_entry(Event.WORKFLOW)
    assert begun
    at = begun.at + timedelta(seconds=at_seconds)
    crossing = Crossing(boundary=Boundary.parse(found))
    records = (
        Reached(at=at, breakpoint=1, passage=1, crossing=crossing),
        Decided(at=at, passage=1, decision=decision),
    )
    (folder / "wire").mkdir()
    lines = [RECORD.dump_json(record) + b"\n" for record in records]
    (folder / "wire" / "fleet-1-to-api.jsonl").write_bytes(b"".join(lines))
    fault = Entry(
        at=at, event=Event.FAULT, kind="drop", target="fleet-1>api", boundary=found, passage=1
    )
    return replace(kept, folder=folder, journal=[*kept.journal, fault])


def _of_the_wire(evidence: Evidence) -> Sequence[str]:
    """What there is to say of a schedule with that fault alone."""
    schedule = SCHEDULE.model_copy(update={"faults": (BROKEN_OFF,)})
    return schedule_was_carried_out(schedule).examine(evidence).problems


def test_a_fault_at_a_boundary_hit_a_call_that_came_there(tmp_path: Path) -> None:
    evidence = _dropped(tmp_path, found="call POST /videos answered 7", at_seconds=40)

    assert _of_the_wire(evidence) == ()


@pytest.mark.parametrize(
    ("found", "at_seconds", "decision", "problem"),
    [
        ("call POST /videos leaving 7", 40, "drop", "drop did not reach call * answered 2"),
        ("call POST /videos answered 7", 0.5, "drop", "drop did not reach call * answered 2"),
        ("call POST /videos answered 7", 40, "left", "the decision on the call was 'left'"),
    ],
)
def test_a_fault_at_a_boundary_that_is_not_proven_leaves_the_verdict_open(
    tmp_path: Path, found: str, at_seconds: float, decision: str, problem: str
) -> None:
    evidence = _dropped(tmp_path, found=found, at_seconds=at_seconds, decision=decision)
    (told,) = _of_the_wire(evidence)

    assert problem in told
