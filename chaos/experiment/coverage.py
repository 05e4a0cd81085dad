"""Which fault hit which activity in which phase, by the evidence: what a run has really tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Workflow
from chaos.evidence.journal import Entry, Event
from chaos.evidence.text import writable
from chaos.invariants.recovery import met_work
from chaos.invariants.recovery.faults import (
    Component,
    component_of,
    is_over_by,
    is_worker,
    may_concern,
    queues,
)
from chaos.invariants.recovery.in_flight import (
    any_task_was_open,
    had_task_in_flight,
    was_held,
    was_lost,
)
from chaos.invariants.recovery.retries import Retry, starts
from chaos.invariants.recovery.victims import Victim, is_of_a_link, victim_of
from chaos.wire.boundary import Boundary, Kind, Stage
from chaos.wire.journal import Called, Reached, read_wire

BETWEEN = ""
"""In the place of an activity: a workflow had none open, and was at a workflow task."""

_REPORTING = frozenset({Stage.COMPLETING, Stage.COMPLETED, Stage.FAILING, Stage.FAILED})


class Phase(StrEnum):
    """What an activity was at when a fault hit. `EARLIER`: at an attempt before its last two or the
    wait after it, of which the history keeps no times. `BETWEEN`: no activity was open, a workflow
    task was.
    """

    SCHEDULED = "scheduled"
    RUNNING = "running"
    COMPLETING = "completing"
    BACKOFF = "backoff"
    EARLIER = "earlier"
    BETWEEN = "between"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Combination(_Part):
    """A kind of fault, of a kind of target (`at`), and a type of activity; `activity` is empty for
    the workflow task between activities.
    """

    fault: str
    at: str
    activity: str


class Hit(Combination):
    """How many such activities had it in this phase."""

    phase: Phase
    times: Annotated[int, Field(ge=1)]


class Coverage(_Part):
    """Of a case, or of a whole run: what was hit, among which types of activities; of a run also
    the combinations of its own faults and activities that were `never` hit.
    """

    activities: tuple[str, ...] = ()
    hits: tuple[Hit, ...] = ()
    never: tuple[Combination, ...] = ()


def target_kind(target: str) -> str:
    """A kind of target: `worker`, `link to server`, or the name of what is hit."""
    client, _, end = target.partition(">")
    if end:
        return f"link to {end}"
    return "worker" if is_worker(client) else client


def case_coverage(evidence: Evidence) -> Coverage:
    """That of one case: only faults count that met work."""
    faults = [entry for entry in evidence.journal if entry.event is Event.FAULT]
    kinds = {each.kind for workflow in evidence.all_workflows for each in workflow.activities}
    counts: Counter[Hit] = Counter()
    if faults:
        looking = _Looking.at(evidence)
        for fault in faults:
            if met_work(evidence, fault):
                counts.update(
                    Hit(
                        fault=writable(fault.kind or ""),
                        at=writable(target_kind(fault.target or "")),
                        activity=writable(activity),
                        phase=phase,
                        times=1,
                    )
                    for activity, phase in looking.hit_by(fault)
                )
    return Coverage(activities=tuple(sorted(map(writable, kinds))), hits=_summed(counts))


def run_coverage(cases: Iterable[Coverage], faults: Iterable[tuple[str, str]]) -> Coverage:
    """That of all cases, whose faults are these, each with its target."""
    found = list(cases)
    counts: Counter[Hit] = Counter()
    for each in found:
        for hit in each.hits:
            counts[hit.model_copy(update={"times": 1})] += hit.times
    activities = sorted({activity for each in found for activity in each.activities})
    seen = {(hit.fault, hit.at, hit.activity) for hit in counts}
    rows = sorted({(kind, target_kind(target)) for kind, target in faults})
    never = (
        Combination(fault=fault, at=at, activity=activity)
        for fault, at in rows
        for activity in activities
        if (fault, at, activity) not in seen
    )
    return Coverage(activities=tuple(activities), hits=_summed(counts), never=tuple(never))


def _summed(counts: Mapping[Hit, int]) -> tuple[Hit, ...]:
    hits = (hit.model_copy(update={"times": times}) for hit, times in counts.items())
    return tuple(
        sorted(hits, key=lambda h: (h.fault, h.at, h.activity, list(Phase).index(h.phase)))
    )


@dataclass(frozen=True)
class _Report:
    """A worker's report of an attempt, from when it left until the worker knew that it had come."""

    workflow_id: str
    activity: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class _Looking:
    """The evidence of a case, and what is asked of it for each fault."""

    evidence: Evidence
    retries: Mapping[int, Retry]
    reports: Sequence[_Report]
    reached: Mapping[int, Reached]

    @classmethod
    def at(cls, evidence: Evidence) -> _Looking:
        records = [each for line in read_wire(evidence.folder).values() for each in line]
        return cls(
            evidence,
            {id(each.activity): each for each in starts(evidence) if isinstance(each, Retry)},
            [report for each in records if isinstance(each, Called) for report in _reports(each)],
            {each.passage: each for each in records if isinstance(each, Reached)},
        )

    def hit_by(self, fault: Entry) -> Iterator[tuple[str, Phase]]:
        """Each activity, and each workflow without one, that a fault found, with its phase."""
        exact = list(self._at_boundary(fault))
        yield from exact
        if fault.passage is not None and component_of(fault) is not Component.WORKER:
            return  # it hit that call alone
        known = queues(self.evidence)
        named = {activity for activity, _ in exact}
        for workflow in self.evidence.all_workflows:
            if may_concern(known, fault, workflow):
                for activity, phase in self._of_workflow(fault, workflow):
                    if not (workflow.workflow_id == fault.workflow_id and activity in named):
                        yield activity, phase

    def _at_boundary(self, fault: Entry) -> Iterator[tuple[str, Phase]]:
        """By the wire, where it held the call that was hit."""
        if fault.boundary is None:
            return
        boundary = Boundary.parse(fault.boundary)
        if boundary.kind is Kind.ACTIVITY:
            if boundary.stage is Stage.ASSIGNED:
                yield boundary.subject, Phase.SCHEDULED
            else:
                is_report = boundary.stage in _REPORTING
                yield boundary.subject, Phase.COMPLETING if is_report else Phase.RUNNING
        elif boundary.kind is Kind.HEARTBEAT:
            yield boundary.subject, Phase.RUNNING
        elif boundary.kind is Kind.CALL:
            reached = self.reached.get(fault.passage or 0)
            for name in reached.crossing.during if reached else ():
                yield name.partition(" ")[0], Phase.RUNNING
        else:
            yield BETWEEN, Phase.BETWEEN

    def _of_workflow(self, fault: Entry, workflow: Workflow) -> Iterator[tuple[str, Phase]]:
        """What a workflow had open while a fault lasted, as far as that can have felt it."""
        component = component_of(fault)
        is_of_one = component is Component.WORKER or is_of_a_link(fault)
        victim = victim_of(self.evidence, fault) if is_of_one else None
        end = victim.end if victim else is_over_by(self.evidence, fault)
        open_now = [each for each in workflow.activities if _was_open(each, fault.at, end)]
        for activity in open_now:
            phase = self._phase(workflow, activity, max(fault.at, activity.scheduled_at), end)
            if victim is None or _is_of(victim, activity, phase):
                yield activity.kind, phase
        if open_now:
            return
        runs = [run.events for run in workflow.runs]
        if victim:
            had_task = any(had_task_in_flight(victim, events) for events in runs)
        else:
            had_task = any(any_task_was_open(events, fault.at, end) for events in runs)
        if had_task:
            yield BETWEEN, Phase.BETWEEN

    def _phase(
        self, workflow: Workflow, activity: Activity, start: datetime, end: datetime
    ) -> Phase:
        """That of an activity which was open at `start`; `running` as well where its last attempt
        began before the fault's end.
        """
        real_id = self.evidence.real_id(workflow.workflow_id)
        if any(
            (report.workflow_id, report.activity) == (real_id, activity.kind)
            and report.start <= max(start, end)
            and report.end >= start
            for report in self.reports
        ):
            return Phase.COMPLETING
        if activity.started_at is None:
            return _phase_of_open(activity)
        retry = self.retries.get(id(activity))
        backoff = timedelta(seconds=retry.backoff_seconds if retry else 0.0)
        if activity.started_at - backoff <= start < activity.started_at:
            return Phase.BACKOFF
        if end >= activity.started_at or activity.attempt == 2:
            return Phase.RUNNING
        return Phase.EARLIER if activity.attempt > 2 else Phase.SCHEDULED


def _reports(call: Called) -> Iterator[_Report]:
    end = call.delivered_at or call.ended_at or call.replied_at or call.forwarded_at or call.at
    for crossing in call.crossings:
        boundary = crossing.boundary
        if boundary.kind is Kind.ACTIVITY and boundary.stage in _REPORTING:
            yield _Report(crossing.workflow_id, boundary.subject, call.at, end)


def _was_open(activity: Activity, start: datetime, end: datetime) -> bool:
    over = activity.closed_at or activity.left_at
    return activity.scheduled_at <= end and (over is None or over > start)


def _is_of(victim: Victim, activity: Activity, phase: Phase) -> bool:
    """Whether an attempt that some worker had was the victim's; before that it is nobody's."""
    if phase in {Phase.SCHEDULED, Phase.BACKOFF}:
        return True
    return was_held(victim, activity) or was_lost(victim, activity)


def _phase_of_open(activity: Activity) -> Phase:
    """Of one whose last attempt is in no event, by the server's description at the end."""
    pending = activity.pending
    if pending is None or (pending.started_at is None and pending.attempt <= 1):
        return Phase.SCHEDULED
    if pending.attempt > 1:
        return Phase.EARLIER
    return Phase.RUNNING
