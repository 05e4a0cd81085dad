"""What the evidence of one run shows, as far as it is compared with other runs."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType

from chaos.evidence.case import Evidence
from chaos.evidence.history import FailedTask, Status, Workflow
from chaos.invariants.hanging import hanging
from chaos.search.crash.points import own_crossings
from chaos.wire.boundary import Crossing, Kind, Stage, numbered
from chaos.wire.journal import Called, WireRecords
from chaos.wire.repeats import Repeat, may_be_done, only_reads, repeats, service_calls

_JSON = {b"json/plain", b"json/protobuf"}

_GOT = {Stage.ASSIGNED, Stage.DELIVERED}
_REPORTS = {Stage.COMPLETING, Stage.COMPLETED, Stage.FAILING, Stage.FAILED}

_LOCAL = {"core_local_activity", "LocalActivity"}
"""The markers by which a worker reports a local activity: those of SDKs on Core, and the others."""

_GIVEN_UP = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: "activity_task_failed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: "activity_task_timed_out_event_attributes",
}


@dataclass(frozen=True)
class Observed:
    """One run. `outcome` is its result or its failure, without what is of this run only; `runs` is
    how often a worker was given each activity, by its name and, but for the first, its number; of a
    local one, how often it was reported. `given_up` is how many activities of a type failed or
    timed out for good. `repeats` is what services were asked for again, `times` how often they were
    asked for anything that changes something, by the service and the method; `calling` are
    activities that asked for such. One that is open `waits_for` something.
    """

    workflow_id: str
    status: Status
    outcome: Any
    has_result: bool
    seconds: float
    runs: Mapping[str, int]
    given_up: Mapping[str, int]
    repeats: Sequence[Repeat]
    times: Mapping[str, int]
    calling: frozenset[str]
    failed_tasks: Sequence[FailedTask]
    waits_for: str = ""


def observe(evidence: Evidence, wire: WireRecords) -> Observed:
    """The one workflow that a folder is about."""
    (spec,) = evidence.newest_specs
    workflow = evidence.workflows.get(spec.workflow_id)
    real_id = evidence.real_id(spec.workflow_id)
    crossings = tuple(own_crossings(wire, real_id))
    calls = tuple(service_calls(wire))
    return Observed(
        workflow_id=spec.workflow_id,
        status=workflow.status if workflow else Status.LOST,
        outcome=_outcome(workflow, real_id) if workflow else None,
        has_result=bool(workflow and _result(workflow)),
        seconds=_seconds(workflow),
        runs=_runs(crossings) or (_attempts(workflow) if workflow else {}),
        given_up=Counter(name for each in evidence.all_workflows for name in _given_up(each)),
        repeats=repeats(wire),
        times=Counter(
            f"{service} {call.method}"
            for service, call in calls
            if may_be_done(call) and not only_reads(call)
        ),
        calling=frozenset(
            name
            for _, call in calls
            if not only_reads(call)
            for crossing in call.crossings
            for name in crossing.during
        ),
        failed_tasks=workflow.failed_tasks if workflow else (),
        waits_for=hanging(evidence, workflow) if workflow else "",
    )


def _result(workflow: Workflow) -> Sequence[Payload]:
    return workflow.last_event.workflow_execution_completed_event_attributes.result.payloads


def _outcome(workflow: Workflow, real_id: str) -> Any:
    names = [
        (real_id, "{id}"),
        (workflow.workflow_id, "{id}"),
        *((run.run_id, "{run}") for run in workflow.runs),
    ]
    if workflow.status is Status.COMPLETED:
        return content_of(_result(workflow), names)
    return anonymous(workflow.failure_told, names)


def _seconds(workflow: Workflow | None) -> float:
    if workflow is None or workflow.closed_at is None:
        return 0.0
    return (workflow.closed_at - workflow.started_at).total_seconds()


def _runs(crossings: Iterable[tuple[Called, Crossing]]) -> Mapping[str, int]:
    """By the wire: of each activity the attempts that a worker was given, or reported on. A local
    one is run again before it is reported again.
    """
    found: dict[str, set[int | datetime]] = defaultdict(set)
    for called, crossing in crossings:
        boundary = crossing.boundary
        if boundary.kind is Kind.MARKER and boundary.subject in _LOCAL:
            found[numbered("a local activity", boundary.ordinal)].add(called.at)
        elif boundary.kind is Kind.ACTIVITY and (
            boundary.stage in _REPORTS or (boundary.stage in _GOT and _has_come(called))
        ):
            found[numbered(boundary.subject, boundary.ordinal)].add(crossing.attempt)
    return {name: len(attempts) for name, attempts in found.items()}


def _has_come(called: Called) -> bool:
    """Whether the worker has the reply: it may have been told of a lost connection instead."""
    return called.delivered_at is not None and called.status == "OK"


def _given_up(workflow: Workflow) -> Iterator[str]:
    """The types of the activities that failed or timed out, and will not be tried again."""
    kinds = {}
    for run in workflow.runs:
        for event in run.events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                scheduled = event.activity_task_scheduled_event_attributes
                kinds[event.event_id] = scheduled.activity_type.name
            elif attributes := _GIVEN_UP.get(event.event_type):
                yield kinds[getattr(event, attributes).scheduled_event_id]


def _attempts(workflow: Workflow) -> Mapping[str, int]:
    """By the history, without a wire: each attempt was given to a worker."""
    ordinals: Counter[str] = Counter()
    found = {}
    for activity in workflow.activities:
        ordinals[activity.kind] += 1
        pending = activity.pending.attempt if activity.pending else 0
        name = numbered(activity.kind, ordinals[activity.kind])
        found[name] = max(activity.attempt, pending)
    return found


def content_of(payloads: Sequence[Payload], names: Sequence[tuple[str, str]]) -> Any:
    """Payloads as values that can be compared; what cannot be read, such as what is encrypted, by
    its hash. Of `names` each text stands in for another that is of one run only, such as its id.
    """
    found = [_content(payload, names) for payload in payloads]
    return found[0] if len(found) == 1 else found


def _content(payload: Payload, names: Sequence[tuple[str, str]]) -> Any:
    if payload.metadata.get("encoding") in _JSON:
        try:
            return json.loads(anonymous(payload.data.decode(), names))
        except ValueError:
            pass  # as unreadable as any other
    return hashlib.sha256(payload.SerializeToString(deterministic=True)).hexdigest()


def anonymous(text: str, names: Sequence[tuple[str, str]]) -> str:
    """A text without the parts that belong to one run only."""
    for name, stands_in in names:
        text = text.replace(name, stands_in) if name else text
    return text
