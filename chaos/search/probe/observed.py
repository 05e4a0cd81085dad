"""What the evidence of one run shows, as far as it is compared with other runs of the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.api.common.v1 import Payload

from chaos.evidence.case import Evidence
from chaos.evidence.history import FailedTask, Status, Workflow
from chaos.search.probe.differences import anonymous, content_of
from chaos.wire.boundary import Boundary, Crossing, Kind, Stage
from chaos.wire.journal import Called, WireRecord

_GOT = {Stage.ASSIGNED, Stage.DELIVERED}
_REPORTS = {Stage.COMPLETING, Stage.COMPLETED, Stage.FAILING, Stage.FAILED}
_HARMLESS = {"GET", "HEAD", "OPTIONS"}
"""Methods of HTTP that change nothing, by its standard."""


@dataclass(frozen=True)
class Sent:
    """All requests of one kind, such as `POST /charges`. `things` is how many of them a service can
    tell apart by their keys, one without a key always; None where the method changes nothing.
    """

    call: str
    times: int
    things: int | None
    during: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observed:
    """One run. `outcome` is its result or its failure, without what is of this run only; `runs` is
    how often a worker was given each activity, by its name and its ordinal.
    """

    workflow_id: str
    status: Status
    outcome: Any
    has_result: bool
    seconds: float
    runs: Mapping[str, int]
    sent: Sequence[Sent]
    calls_during: frozenset[str]
    failed_tasks: Sequence[FailedTask]
    boundaries: Sequence[Boundary]


def observe(evidence: Evidence, wire: Mapping[str, Sequence[WireRecord]]) -> Observed:
    """The one workflow that a folder is about."""
    (spec,) = evidence.newest_specs
    workflow = evidence.workflows.get(spec.workflow_id)
    real_id = evidence.real_id(spec.workflow_id)
    called = [each for line in wire.values() for each in line if isinstance(each, Called)]
    calls = [each for each in called if _service_call(each)]
    tasks = [each for each in called if not _service_call(each)]
    crossings = [(each, c) for each in tasks for c in each.crossings if c.workflow_id == real_id]
    during = frozenset(name for each in calls for c in each.crossings for name in c.during)
    return Observed(
        workflow_id=spec.workflow_id,
        status=workflow.status if workflow else Status.LOST,
        outcome=_outcome(workflow, real_id) if workflow else None,
        has_result=bool(workflow and _result(workflow)),
        seconds=_seconds(workflow),
        runs=_runs(crossings) or (_attempts(workflow) if workflow else {}),
        sent=tuple(_sent(calls)),
        calls_during=during,
        failed_tasks=workflow.failed_tasks if workflow else (),
        boundaries=tuple(dict.fromkeys(c.boundary for _, c in crossings)),
    )


def _service_call(called: Called) -> bool:
    return any(crossing.boundary.kind is Kind.CALL for crossing in called.crossings)


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
    """By the wire: of each activity the attempts that a worker was given, or reported on."""
    found: dict[str, set[int]] = defaultdict(set)
    for called, crossing in crossings:
        boundary = crossing.boundary
        if boundary.kind is Kind.ACTIVITY and (
            boundary.stage in _REPORTS or (boundary.stage in _GOT and called.delivered_at)
        ):
            found[f"{boundary.subject} {boundary.ordinal}"].add(crossing.attempt)
    return {name: len(attempts) for name, attempts in found.items()}


def _attempts(workflow: Workflow) -> Mapping[str, int]:
    """By the history, where no wire has told: each attempt was given to somebody."""
    ordinals: Counter[str] = Counter()
    found = {}
    for activity in workflow.activities:
        ordinals[activity.kind] += 1
        pending = activity.pending.attempt if activity.pending else 0
        found[f"{activity.kind} {ordinals[activity.kind]}"] = max(activity.attempt, pending)
    return found


def _sent(calls: Iterable[Called]) -> Iterator[Sent]:
    """What reached the services."""
    same: dict[str, list[Called]] = defaultdict(list)
    for each in calls:
        if each.forwarded_at:
            same[each.crossings[0].boundary.subject].append(each)
    for call, found in same.items():
        keys = {each.idempotency_key for each in found if each.idempotency_key}
        without = sum(not each.idempotency_key for each in found)
        during = {name for each in found for c in each.crossings for name in c.during}
        yield Sent(
            call=call,
            times=len(found),
            things=None if call.split(" ")[0] in _HARMLESS else len(keys) + without,
            during=tuple(sorted(during)),
        )
