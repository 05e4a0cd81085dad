"""What happened around a disturbance, line by line: the wire, the processes, and the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.history import Status, Workflow
from chaos.evidence.journal import Entry, Event
from chaos.search.crash.keep import REPORT_OF
from chaos.search.crash.points import Phase
from chaos.search.probe.record import TimelineEntry
from chaos.wire.boundary import REPORTS, Boundary, Crossing, Kind, Stage
from chaos.wire.journal import Called, Decided, Reached, WireRecord, WireRecords

MOST_LINES = 60
"""Lines of one timeline; the ones nearest to the disturbance are shown."""

_PROCESSES = {Event.STARTED, Event.READY, Event.SIGNALED, Event.EXITED}

_HOW_FAR = {
    Stage.ASSIGNED: "given out",
    Stage.DELIVERED: "with its worker",
    Stage.COMPLETING: "reported done",
    Stage.COMPLETED: "is done",
    Stage.FAILING: "reported failed",
    Stage.FAILED: "has failed",
    Stage.LEAVING: "asked",
    Stage.ANSWERED: "answered",
}


_Told = tuple[datetime, str, str]

_Report = tuple[str, str, Boundary, int]
"""A run of a workflow, what the server has when it has taken the report, and of which attempt."""


def timeline(
    evidence: Evidence,
    workflow: Workflow | None,
    wire: WireRecords,
    hit_at: datetime,
) -> Sequence[TimelineEntry]:
    """In the order of time; `hit_at` is 0."""
    records = [record for line in wire.values() for record in line]
    taken = _taken(records)
    found = [
        *_ends(workflow),
        *(told for entry in evidence.journal for told in _of_process(entry)),
        *(told for record in records for told in _of_wire(record, taken)),
    ]
    moments = [
        TimelineEntry(seconds=round((at - hit_at).total_seconds(), 3), mark=mark, text=text)
        for at, mark, text in found
    ]
    nearest = sorted(moments, key=lambda each: abs(each.seconds))[:MOST_LINES]
    return sorted(nearest, key=lambda each: each.seconds)


def _ends(workflow: Workflow | None) -> Iterator[_Told]:
    if workflow is None:
        return
    yield workflow.started_at, "history", f"{workflow.kind} is started"
    if workflow.status is not Status.RUNNING and workflow.closed_at:
        yield workflow.closed_at, "history", f"{workflow.kind} is {workflow.status}"


def _of_process(entry: Entry) -> Iterator[_Told]:
    if entry.event in _PROCESSES:
        name = entry.target or "a process"
        pid = f" (pid {entry.pid})" if entry.pid else ""
        signal = f" {entry.signal}" if entry.signal else ""
        mark = {Event.SIGNALED: "kill", Event.EXITED: "exit"}.get(entry.event, "start")
        yield entry.at, mark, f"{name}{pid}: {entry.event}{signal}"


def _report(crossing: Crossing, taken: Stage) -> _Report:
    boundary = crossing.boundary.at(taken)
    return crossing.workflow_id, crossing.run_id, boundary, crossing.attempt


def _taken(records: Iterable[WireRecord]) -> Mapping[_Report, datetime]:
    """The reports that the server took, and when each first came in."""
    found: dict[_Report, datetime] = {}
    for record in records:
        if isinstance(record, Called):
            for crossing in record.crossings:
                if (stage := crossing.boundary.stage) in REPORT_OF:
                    report = _report(crossing, stage)
                    found[report] = min(record.at, found.get(report, record.at))
    return found


def _of_wire(record: WireRecord, taken: Mapping[_Report, datetime]) -> Iterator[_Told]:
    if isinstance(record, Reached):
        yield record.at, "hit", f"the boundary is reached: {record.crossing.boundary}"
    elif isinstance(record, Decided):
        yield record.at, "hit", f"decision on that call: {record.decision}"
    elif isinstance(record, Called):
        for crossing in record.crossings:
            at = Phase.of(crossing.boundary.stage).time_of(record)
            yield at, *_of_call(record, crossing, taken)


def _of_call(
    called: Called, crossing: Crossing, taken: Mapping[_Report, datetime]
) -> tuple[str, str]:
    boundary = crossing.boundary
    is_service = boundary.kind is Kind.CALL
    words = f"{boundary.subject}: {_HOW_FAR[boundary.stage]}"
    if not is_service:
        words = f"{boundary.kind.words} {words}"
        words += _answer(called, crossing, taken)
    if crossing.attempt > 1:
        words += f", attempt {crossing.attempt}"
    if boundary.stage is Stage.ANSWERED and called.status:
        words += f" {called.status}"
    if called.decision:
        words += f" ({called.decision})"
    return ("service" if is_service else "wire"), words


def _answer(called: Called, crossing: Crossing, taken: Mapping[_Report, datetime]) -> str:
    """What happened to a report that was refused, or was sent before."""
    stage = crossing.boundary.stage
    refused = called.status if called.status != "OK" else ""
    if stage in REPORT_OF:
        return f", and the worker got {refused}" if refused else ""
    if stage not in REPORTS:
        return ""
    first_at = taken.get(_report(crossing, REPORTS[stage]))
    again = " again" if first_at and called.at > first_at else ""
    if again and refused:
        return f"{again}, and got {refused}: the server knew"
    is_taken = any(each.boundary.stage is REPORTS[stage] for each in called.crossings)
    return f"{again}, and got {refused}" if refused and not is_taken else again
