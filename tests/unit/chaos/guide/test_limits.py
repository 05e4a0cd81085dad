"""What the two headings about limits measure, by evidence made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory

from chaos.evidence.bills import Charge
from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry, Event
from chaos.evidence.samples import WORKER_CPU, WORKER_MEMORY, SampleFile
from chaos.guide import downstream_load, rate_limits
from chaos.guide.phases import Phases, latency, peak_per_second, span_seconds, usage
from chaos.guide.rate_limits import work_was_slower
from chaos.guide.services import nothing_is_done_twice
from chaos.invariants.figures import Figure, keeps_its_bounds
from chaos.invariants.verdict import Verdict
from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import FOLDER, RECORD, Called
from tests.unit.chaos.made_history import Made, at, evidence_of, spec_of

OWNER = {"workflow_id": "order-1", "run_id": "run-1", "during": ("charge_card",)}


def order(number: int, begin: float, end: float, *, attempt: int = 1) -> Workflow:
    made = Made(f"order-{number}", f"run-{number}")
    made.events[0].event_time.FromDatetime(at(begin))
    scheduled = made.scheduled("charge_card", begin)
    attributes = made.events[scheduled - 1].activity_task_scheduled_event_attributes
    attributes.retry_policy.initial_interval.FromSeconds(3)
    attributes.retry_policy.maximum_attempts = 5
    return made.done(scheduled, attempt=attempt, seconds=end).ended(seconds=end).workflow()


def call(seconds: float, method: str = "PollActivityTaskQueue", **fields: Any) -> Called:
    return Called(at=at(seconds), method=method, **fields)


def charge(seconds: float, decision: str = "", **fields: Any) -> Called:
    crossing = Crossing(boundary=Boundary.parse("call POST /charges leaving"), **OWNER)
    return call(seconds, "POST /charges", crossings=(crossing,), decision=decision, **fields)


def evidence_with(
    folder: Path, target: str, kind: str, *orders: Workflow, calls: list[Called]
) -> Evidence:
    """The limit is on from 10 to 60."""
    (folder / FOLDER).mkdir()
    service = target.partition(">")[2]
    line = "worker-1" if service == "server" else f"worker-1-to-{service}"
    content = b"".join(RECORD.dump_json(each) + b"\n" for each in calls)
    (folder / FOLDER / f"{line}.jsonl").write_bytes(content)
    journal = (
        Entry(at=at(9), event=Event.WORKFLOW, workflow_id="order-2"),
        Entry(at=at(10), event=Event.FAULT, kind=kind, target=target),
        Entry(at=at(60), event=Event.HEALED, target=target),
    )
    return replace(
        evidence_of(orders[0]),
        folder=folder,
        journal=journal,
        workflows={each.workflow_id: each for each in orders},
        specs=[spec_of(each) for each in orders],
    )


def values(figures: Any) -> dict[str, float]:
    return {figure.name: figure.value for figure in figures}


def bound_of(figures: Sequence[Figure], name: str) -> Figure:
    (found,) = (figure for figure in figures if figure.name == name)
    return found


LIMITED = order(2, 11, 31, attempt=2)


def test_the_most_within_a_second_is_counted_wherever_it_begins() -> None:
    calls = [call(seconds) for seconds in (0.0, 0.9, 1.1, 1.8, 5.0)]
    assert peak_per_second(calls) == 3
    assert peak_per_second([]) == 0


def test_workflows_are_told_apart_by_when_they_were_started(tmp_path: Path) -> None:
    first, later = order(1, 0, 4), LIMITED
    evidence = evidence_with(tmp_path, "workers>server", "rate_limit", first, later, calls=[])
    phases = Phases.of(evidence)
    assert phases.undisturbed == [first]
    assert [each.workflows for each in phases.limited] == [[later]]
    assert (latency([first]), span_seconds([first, later])) == (4, 31)


def limited(folder: Path, later: Workflow = LIMITED) -> Evidence:
    """12 calls in 4 s undisturbed, so that one in a second is let pass."""
    before = [call(0, "StartWorkflowExecution"), *(call(n / 3) for n in range(1, 11))]
    after = call(4, "RespondWorkflowTaskCompleted")
    refused = [
        call(12, status="RESOURCE_EXHAUSTED", decision="limit"),
        call(13, "StartWorkflowExecution", status="RESOURCE_EXHAUSTED", decision="limit"),
    ]
    calls = [*before, after, call(8, "ListWorkflowExecutions"), *refused]
    return evidence_with(folder, "workers>server", "rate_limit", order(1, 0, 4), later, calls=calls)


def test_a_rate_limit_is_told_by_who_was_refused_and_how_late_it_was(tmp_path: Path) -> None:
    found = rate_limits.figures(limited(tmp_path))
    told = values(found)
    assert told["calls, undisturbed"] == 3
    assert told["calls that the limit lets pass"] == 1
    assert (told["refused polls"], told["refused starts"], told["refused reports"]) == (1, 1, 0)
    assert told["workflow latency, undisturbed"] == 4
    assert told["workflow latency, limit of server"] == 20
    assert told["longest start, by the client"] == 2
    # 4 s undisturbed, 12 calls twice, a pause before and after, and what the lost attempt cost.
    assert bound_of(found, "all workflows, under the limit").bound == 4 + 24 + 24 + 45 + 3
    assert work_was_slower.examine(limited(_new(tmp_path))).verdict is Verdict.PASSED


def test_work_that_takes_longer_than_the_rate_explains_is_late(tmp_path: Path) -> None:
    evidence = limited(tmp_path, order(2, 11, 58))
    assert keeps_its_bounds(rate_limits.figures).examine(evidence).verdict is Verdict.PASSED
    evidence = limited(_new(tmp_path), order(2, 11, 64))
    assert keeps_its_bounds(rate_limits.figures).examine(evidence).verdict is Verdict.FAILED


def test_a_limit_that_slows_nothing_down_is_unknown(tmp_path: Path) -> None:
    finding = work_was_slower.examine(limited(tmp_path, order(2, 11, 14)))
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == ("workflows took 3.00 s under the limit and 4.00 s undisturbed",)


def test_a_case_without_both_phases_has_no_figures(tmp_path: Path) -> None:
    evidence = replace(limited(tmp_path), workflows={"order-1": order(1, 0, 4)})
    assert rate_limits.figures(evidence) == ()
    assert downstream_load.figures(evidence) == ()
    assert work_was_slower.examine(evidence).verdict is Verdict.UNKNOWN


def test_what_the_workers_took_is_told_for_each_phase(tmp_path: Path) -> None:
    evidence = limited(tmp_path)
    file = SampleFile(tmp_path)
    for seconds, cpu in ((0, 1.0), (4, 3.0), (11, 3.0), (31, 5.0)):
        for pid in ("1", "2"):
            labels = {"worker": "worker-1", "pid": pid}
            file.add(WORKER_CPU, cpu, labels, at=at(seconds))
            file.add(WORKER_MEMORY, 50 * 1024 * 1024, labels, at=at(seconds))
    file.close()
    told = values(usage(evidence, Phases.of(evidence)))
    assert told == {
        "processors that the workers took, undisturbed": 1.0,
        "memory of the workers, undisturbed": 100,
        "processors that the workers took, limit of server": 0.2,
        "memory of the workers, limit of server": 100,
    }


def overloaded(folder: Path, later: Workflow = LIMITED, decision: str = "limit") -> Evidence:
    """Six requests at once undisturbed, so that two are let pass."""
    before = [charge(1 + n / 10) for n in range(6)]
    status = "429" if decision == "limit" else "200"
    calls = [*before, charge(12, decision, status=status, forwarded_at=at(14))]
    return evidence_with(folder, "workers>payments", "overload", order(1, 0, 4), later, calls=calls)


def test_an_overload_is_told_by_what_was_refused_and_tried_again(tmp_path: Path) -> None:
    found = downstream_load.figures(overloaded(tmp_path))
    told = values(found)
    assert told["payments: the most undisturbed"] == 6
    assert told["payments: what it takes"] == 2
    assert told["payments: refused"] == 1
    assert told["payments: activities that tried again"] == 1
    assert told["payments: most attempts of one"] == 2
    assert told["payments: longest backoff of one"] == 3
    assert told["payments: activities that failed for good"] == 0
    # Three times as long as undisturbed, 3 s of backoff, and six requests at two a second.
    assert bound_of(found, "payments: until all were done").bound == 3 * 4 + 3 + 3


def test_a_queue_is_told_by_the_longest_wait(tmp_path: Path) -> None:
    told = values(downstream_load.figures(overloaded(tmp_path, decision="queued")))
    assert told["payments: longest wait"] == 2
    assert "payments: refused" not in told


@pytest.mark.parametrize(
    ("attempts", "waves"), [([], 3), ([0], 3), ([10], 3), ([3], 2), ([2], 2), ([1], 2), ([5, 3], 2)]
)
def test_a_limit_leaves_attempts_enough(attempts: list[int], waves: int) -> None:
    made = Made()
    for number in attempts:
        event = made.events[made.scheduled("charge_card") - 1]
        policy = event.activity_task_scheduled_event_attributes.retry_policy
        policy.maximum_attempts = number
    assert downstream_load._waves(WorkflowHistory("order-1", made.events)) == waves


def done(seconds: float) -> Called:
    """A request that the service has carried out."""
    return charge(seconds, forwarded_at=at(seconds), body_sha256="b", target_sha256="t")


def test_where_there_are_bills_they_say_what_was_done_twice(tmp_path: Path) -> None:
    evidence = evidence_with(
        tmp_path, "workers>payments", "overload", LIMITED, calls=[done(12), done(14)]
    )
    charges = (Charge(item="charges", key="order-2"),)
    paid = replace(evidence, specs=[spec_of(LIMITED, charges=charges)])
    assert nothing_is_done_twice.examine(paid).verdict is Verdict.PASSED


def _new(folder: Path) -> Path:
    found = folder / "another"
    found.mkdir()
    return found
