"""Whether an attempt ever came to a worker, by the wire: only there can it be seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from chaos.environment.wire import EVERYBODY
from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Workflow
from chaos.evidence.journal import Event
from chaos.invariants.recovery.faults import is_worker
from chaos.wire.boundary import REPORTS, Kind, Stage
from chaos.wire.journal import Called, WireRecord, WireRecords, read_wire


class Fate(Enum):
    """What became of an attempt that the server has as started, and that nobody reported."""

    NEVER_GIVEN = "the server lost it: on the wire no worker got it"
    NOT_DELIVERED = "the server gave it out, and it did not reach the worker"
    UNREPORTED = "it was delivered, and the worker never reported"
    REPORTED = "the worker reported it, and the server did not take that"


@dataclass(frozen=True)
class Attempt:
    """One of an activity, by the words of the wire."""

    workflow_id: str
    kind: str
    number: int

    def passed(self, records: Sequence[WireRecord]) -> Iterator[tuple[Called, Stage]]:
        """The calls that were about it, and how far it was with each."""
        for record in records:
            if not isinstance(record, Called):
                continue
            for crossing in record.crossings:
                place = crossing.boundary
                if (place.kind, place.subject, crossing.workflow_id, crossing.attempt) == (
                    Kind.ACTIVITY,
                    self.kind,
                    self.workflow_id,
                    self.number,
                ):
                    yield record, place.stage


def fate_of(evidence: Evidence, workflow: Workflow, activity: Activity) -> Fate | None:
    """What became of the attempt before an activity's last one; None where not all workers were on
    the wire, or the wire cannot tell it from those of other activities of its kind.
    """
    lines = read_wire(evidence.folder)
    if activity.attempt < 2 or not _has_all_workers(evidence, lines):
        return None
    records = [record for line in lines.values() for record in line]
    attempt = Attempt(evidence.real_id(workflow.workflow_id), activity.kind, activity.attempt - 1)
    passed = list(attempt.passed(records))
    alike = [
        each
        for each in workflow.activities
        if each.kind == activity.kind and each.attempt >= attempt.number
    ]
    if len(alike) > 1:
        return None
    given = [call for call, stage in passed if stage is Stage.ASSIGNED]
    if not given:
        return Fate.NEVER_GIVEN
    if not any(call.delivered_at and call.status == "OK" for call in given):
        return Fate.NOT_DELIVERED
    told = any(stage in REPORTS for _, stage in passed)
    return Fate.REPORTED if told else Fate.UNREPORTED


def _has_all_workers(evidence: Evidence, lines: WireRecords) -> bool:
    ready = {
        entry.target
        for entry in evidence.journal
        if entry.event is Event.READY and entry.target and is_worker(entry.target)
    }
    return bool(ready) and (EVERYBODY in lines or ready <= set(lines))
