"""From a disturbed run's folder to its cell. Pure, so it can be repeated from the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from chaos.environment.target import Target
from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Workflow
from chaos.invariants.recovery import handover_seconds
from chaos.search.crash.hits import hit_of, proven, recovery_seconds, was_hit
from chaos.search.crash.points import Disturbance
from chaos.search.probe.baseline import Baseline
from chaos.search.probe.classify import Disturbed, classify
from chaos.search.probe.observed import observe
from chaos.search.probe.record import Cell, Fate, Finding
from chaos.search.probe.timeline import timeline
from chaos.wire.boundary import Boundary, Kind, Stage
from chaos.wire.journal import Polled, WireRecords, read_wire

_IN_HAND = {Stage.ASSIGNED, Stage.DELIVERED, Stage.COMPLETING, Stage.FAILING}


@dataclass(frozen=True)
class Judged:
    """A cell, and what it rests on."""

    cell: Cell
    evidence: Evidence


@dataclass(frozen=True)
class Judge:
    """What all runs of a probe are judged by."""

    target: Target
    baseline: Baseline
    patience_seconds: float

    def cell(
        self, folder: Path, planned: Disturbance, *, attempt: int, began_at: datetime
    ) -> Judged:
        """The cell of the run whose evidence is in a folder."""
        evidence = self.target.load_evidence(folder)
        wire = read_wire(folder)
        hit = hit_of(evidence, planned.point)
        hit_at = hit.at if hit else began_at
        observed = observe(evidence, wire)
        run = Disturbed(
            evidence=evidence,
            observed=observed,
            hit_at=hit_at,
            patience_seconds=self.patience_seconds,
            not_hit=self._not_hit(evidence, planned),
        )
        workflow = run.workflow
        boundaries = planned.point.boundaries
        bound = bound_seconds(evidence, wire, workflow, boundaries, hit_at) if workflow else None
        cell = Cell(
            **_place(planned),
            workflow_id=observed.workflow_id,
            folder=folder.name,
            findings=tuple(classify(run, self.baseline)),
            tries=attempt,
            seconds=observed.seconds,
            recovered_seconds=recovery_seconds(wire, hit) if hit else None,
            bound_seconds=bound,
            timeline=tuple(timeline(evidence, workflow, wire, hit_at)),
        )
        return Judged(cell, evidence)

    def _not_hit(self, evidence: Evidence, planned: Disturbance) -> str:
        problems = was_hit(planned).examine(evidence).problems
        if problems:
            return f"not provably hit: {problems[0]}"
        if not evidence.workflows or proven(evidence, planned):
            return ""
        return "not provably hit: the server's history does not show it"


def broken(folder: Path, planned: Disturbance, *, attempt: int, why: str) -> Cell:
    """The cell of a run that could not be carried out."""
    return Cell(
        **_place(planned),
        workflow_id=folder.name,
        folder=folder.name,
        findings=(Finding(fate=Fate.UNKNOWN, text=f"it could not be tried: {why}"),),
        tries=attempt,
    )


def _place(planned: Disturbance) -> dict[str, object]:
    first, *others = planned.point.boundaries
    return {
        "boundary": first,
        "also": tuple(others),
        "service": planned.point.service,
        "is_own": planned.point.is_own,
        "action": str(planned.action),
    }


def bound_seconds(
    evidence: Evidence,
    wire: WireRecords,
    workflow: Workflow,
    boundaries: Sequence[Boundary],
    hit_at: datetime,
) -> float | None:
    """When all is due again that a call was at, such as a workflow task that was reported and the
    activity that came with the reply, or a new worker polls, and a handover; None where the history
    does not tell what was.
    """
    found = [_due_seconds(workflow, boundary) for boundary in boundaries]
    due = max((seconds for seconds in found if seconds is not None), default=None)
    if due is None:
        return None
    polls = [r.at for line in wire.values() for r in line if isinstance(r, Polled)]
    started_at = min((at for at in polls if at > hit_at), default=hit_at)
    started = (started_at - hit_at).total_seconds()
    return round(max(due, started) + handover_seconds(evidence), 3)


def _due_seconds(workflow: Workflow, boundary: Boundary) -> float | None:
    if boundary.kind is Kind.ACTIVITY and boundary.stage in _IN_HAND:
        same = [each for each in workflow.activities if each.kind == boundary.subject]
        if boundary.ordinal > len(same):
            return None
        activity = same[boundary.ordinal - 1]
        return _limit_seconds(activity) + activity.retry_policy.initial_interval.ToSeconds()
    if boundary.kind in {Kind.ACTIVITY, Kind.WORKFLOW_TASK}:
        return workflow.task_seconds
    return None


def _limit_seconds(activity: Activity) -> float:
    """How long the server believes that a dead worker's attempt is running."""
    if activity.has_heartbeats:
        return activity.heartbeat_seconds
    return activity.start_to_close_seconds or activity.schedule_to_close_seconds
