"""What a fault found an activity at, on histories made by hand, and on recorded ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry, Event
from chaos.experiment.coverage import (
    BETWEEN,
    Combination,
    Coverage,
    Hit,
    Phase,
    case_coverage,
    run_coverage,
    target_kind,
)
from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import FOLDER, Called, Decided, Reached
from tests.chaos.video.evidence import VideoEvidence
from tests.unit.chaos.made_history import Made, at, evidence_of

SERVER = "temporal-server"
WORKER = "7@host"


def _order(attempt: int = 1, started: float = 2, closed: float = 6) -> Made:
    """An order whose card is charged from 1 s on."""
    made = Made()
    number = made.scheduled("charge_card", 1)
    event = made.add("ACTIVITY_TASK_STARTED", started)
    attributes = event.activity_task_started_event_attributes
    attributes.scheduled_event_id, attributes.attempt = number, attempt
    attributes.identity = WORKER
    if attempt > 1:
        attributes.last_failure.message = "refused"
        policy = made.events[number - 1].activity_task_scheduled_event_attributes.retry_policy
        policy.initial_interval.FromSeconds(2)
        policy.backoff_coefficient = 1
    done = made.add("ACTIVITY_TASK_COMPLETED", closed)
    done.activity_task_completed_event_attributes.scheduled_event_id = number
    return made


def _journal(
    begin: float, end: float, kind: str = "kill", target: str = SERVER, **more: object
) -> Sequence[Entry]:
    fault = Entry(at=at(begin), event=Event.FAULT, kind=kind, target=target)
    return [
        Entry(at=at(0), event=Event.READY, target="worker-1", pid=7),
        fault.model_copy(update=more),
        Entry(at=at(end + 0.01), event=Event.HEALED, target=target),
        Entry(at=at(60), event=Event.ENDING),
    ]


def _phases(workflow: Workflow, journal: Sequence[Entry], **more: object) -> list[tuple[str, str]]:
    evidence = replace(evidence_of(workflow), journal=journal, **more)  # type: ignore[arg-type]  # fields by name
    return [(hit.activity, hit.phase) for hit in case_coverage(evidence).hits]


@pytest.mark.parametrize(
    ("begin", "end", "phase"),
    [
        (1.2, 1.5, Phase.SCHEDULED),
        (1.2, 3, Phase.RUNNING),
        (3, 3.5, Phase.RUNNING),
        (0.5, 1.5, Phase.SCHEDULED),
        (0.5, 10, Phase.RUNNING),
    ],
    ids=["waits", "waits, then runs", "runs", "comes meanwhile", "all in it"],
)
def test_a_first_attempt_waits_or_runs(begin: float, end: float, phase: Phase) -> None:
    assert _phases(_order().ended().workflow(), _journal(begin, end)) == [("charge_card", phase)]


@pytest.mark.parametrize(
    ("begin", "attempt", "phase"),
    [
        (1.5, 2, Phase.RUNNING),
        (3.5, 2, Phase.BACKOFF),
        (5.5, 2, Phase.RUNNING),
        (1.5, 3, Phase.EARLIER),
        (3.5, 3, Phase.BACKOFF),
    ],
    ids=["first attempt", "backoff", "second", "one of two before", "the last backoff"],
)
def test_of_attempts_before_the_last_the_backoff_is_known(
    begin: float, attempt: int, phase: Phase
) -> None:
    workflow = _order(attempt, started=5, closed=9).ended().workflow()

    assert _phases(workflow, _journal(begin, begin)) == [("charge_card", phase)]


def test_an_activity_that_was_over_or_not_there_yet_was_not_hit() -> None:
    workflow = _order().ended(seconds=20).workflow()

    assert _phases(workflow, _journal(7, 8)) == []
    assert _phases(workflow, _journal(0.2, 0.5)) == []


def test_a_fault_that_met_no_work_has_hit_nothing() -> None:
    assert _phases(_order().ended(seconds=8).workflow(), _journal(30, 31)) == []


def _task(made: Made, scheduled: float, started: float, done: float) -> None:
    number = made.add("WORKFLOW_TASK_SCHEDULED", scheduled).event_id
    began = made.add("WORKFLOW_TASK_STARTED", started)
    began.workflow_task_started_event_attributes.scheduled_event_id = number
    began.workflow_task_started_event_attributes.identity = WORKER
    over = made.add("WORKFLOW_TASK_COMPLETED", done).workflow_task_completed_event_attributes
    over.scheduled_event_id, over.started_event_id = number, began.event_id


def test_without_an_open_activity_a_workflow_task_was_hit() -> None:
    made = _order()
    _task(made, 7, 8, 9)
    workflow = made.ended(seconds=30).workflow()

    assert _phases(workflow, _journal(8.2, 8.5)) == [(BETWEEN, Phase.BETWEEN)]
    assert _phases(workflow, _journal(15, 16)) == [], "it waits for a timer"


def _killed(pid: int, seconds: float) -> Sequence[Entry]:
    return [
        Entry(at=at(0), event=Event.READY, target="worker-1", pid=7),
        Entry(at=at(0), event=Event.READY, target="worker-2", pid=8),
        Entry(at=at(seconds), event=Event.FAULT, kind="kill", target="worker-1", pid=pid),
        Entry(at=at(seconds), event=Event.SIGNALED, target="worker-1", pid=pid, signal="SIGKILL"),
        Entry(at=at(seconds), event=Event.EXITED, target="worker-1", pid=pid, exit_code=-9),
    ]


def test_of_a_killed_worker_only_what_it_had_was_hit() -> None:
    workflow = _order(closed=9).ended().workflow()

    assert _phases(workflow, _killed(7, 3)) == [("charge_card", Phase.RUNNING)]
    assert _phases(workflow, _killed(8, 3)) == [], "another worker had it"


def _wire(folder: Path, *records: Called | Reached | Decided) -> None:
    (folder / FOLDER).mkdir()
    lines = [record.model_dump_json() for record in records]
    (folder / FOLDER / "worker-1.jsonl").write_text("\n".join([*lines, ""]))


def test_a_report_on_its_way_is_seen_on_the_wire(tmp_path: Path) -> None:
    crossing = Crossing(
        boundary=Boundary.parse("activity charge_card completing"), workflow_id="order-1"
    )
    called = Called(at=at(4), method="RespondActivityTaskCompleted", crossings=(crossing,))
    _wire(tmp_path, called.model_copy(update={"delivered_at": at(6)}))
    workflow = _order().ended().workflow()

    for begin, phase in ((5, Phase.COMPLETING), (3, Phase.RUNNING)):
        journal = _journal(begin, begin + 0.5)
        assert _phases(workflow, journal, folder=tmp_path) == [("charge_card", phase)]


@pytest.mark.parametrize(
    ("place", "hit"),
    [
        ("activity charge_card assigned", ("charge_card", Phase.SCHEDULED)),
        ("activity charge_card delivered", ("charge_card", Phase.RUNNING)),
        ("activity charge_card completed", ("charge_card", Phase.COMPLETING)),
        ("heartbeat charge_card completing", ("charge_card", Phase.RUNNING)),
        ("workflow_task Order completing", (BETWEEN, Phase.BETWEEN)),
        ("call POST /charges answered", ("charge_card", Phase.RUNNING)),
    ],
)
def test_at_a_boundary_the_wire_knows_what_was_hit(
    place: str, hit: tuple[str, Phase], tmp_path: Path
) -> None:
    boundary = Boundary.parse(place)
    crossing = Crossing(boundary=boundary, workflow_id="order-1", during=("charge_card 2",))
    _wire(
        tmp_path,
        Reached(at=at(3), breakpoint=1, passage=4, crossing=crossing),
        Decided(at=at(3), passage=4, decision="drop"),
    )
    journal = _journal(3, 3, "drop", "worker-1>server", boundary=str(boundary), passage=4)

    assert _phases(_order().ended().workflow(), journal, folder=tmp_path) == [hit]


def test_a_recorded_run_tells_what_its_kills_hit(worker_crash: VideoEvidence) -> None:
    coverage = case_coverage(worker_crash)

    assert [(h.fault, h.at, h.activity, h.phase, h.times) for h in coverage.hits] == [
        ("kill", "worker", "await_video", "running", 1),
        ("kill", "worker", "generate_character", "running", 1),
    ]
    assert "download_video" in coverage.activities


def test_an_undisturbed_case_has_activities_and_no_hits(concurrency: Evidence) -> None:
    coverage = case_coverage(concurrency)

    assert coverage.hits == ()
    assert coverage.activities


def test_cases_are_summed_and_what_none_has_hit_is_named() -> None:
    hit = Hit(fault="kill", at="worker", activity="charge", phase=Phase.RUNNING, times=2)
    cases = [
        Coverage(activities=("charge",), hits=(hit,)),
        Coverage(activities=("charge", "ship"), hits=(hit.model_copy(update={"times": 1}),)),
    ]

    found = run_coverage(cases, [("kill", "worker-1"), ("kill", "worker-2"), ("down", SERVER)])

    assert found.activities == ("charge", "ship")
    assert found.hits == (hit.model_copy(update={"times": 3}),)
    assert found.never == (
        Combination(fault="down", at=SERVER, activity="charge"),
        Combination(fault="down", at=SERVER, activity="ship"),
        Combination(fault="kill", at="worker", activity="ship"),
    )


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("worker-3", "worker"),
        ("fleet-1-worker", "worker"),
        ("worker-3>server", "link to server"),
        ("fleet-1>api", "link to api"),
        ("payments", "payments"),
    ],
)
def test_targets_are_told_by_their_kind(target: str, kind: str) -> None:
    assert target_kind(target) == kind
