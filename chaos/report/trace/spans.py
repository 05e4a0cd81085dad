"""What a trace is made of: from a case's evidence to spans with real times, nothing written.

Workflows with their activities, each with its attempts; processes with what they lived through; and
the faults. Names and attributes of workflows and activities are those of the SDKs' own tracing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chaos.evidence.case import Evidence
from chaos.evidence.history import Status, Workflow
from chaos.evidence.journal import Event
from chaos.evidence.text import plain
from chaos.report.html.attempts import Attempt, Deaths, Outcome, Step, failed_in, steps
from chaos.report.html.logs import Line
from chaos.report.html.page import redacted
from chaos.report.html.timeline import timeline
from chaos.report.html.values import Clock, Timeline
from chaos.report.html.values import Span as Drawn

HARNESS = "temporal-chaos"
WORKFLOWS = "workflows"
"""Names of two processes: the harness, which has the faults, and where workflows are shown."""

Value = str | int | float | bool


@dataclass(frozen=True)
class Span:
    """Something that lasted. `process` is where it is shown, `track` what it shares a line with,
    `key` its own in the case, `parent` that of what it is a part of, and `root` that of what all
    of its trace belongs to. `is_error` is None where it is neither good nor bad.
    """

    key: str
    root: str
    parent: str
    name: str
    process: str
    track: str
    start: datetime
    end: datetime
    attributes: Mapping[str, Value] = field(default_factory=dict)
    is_error: bool | None = None
    message: str = ""


@dataclass(frozen=True)
class Instant:
    """Something that happened at a time, by the journal."""

    at: datetime
    name: str
    kind: str


@dataclass(frozen=True)
class Source:
    """A case whose spans are made one workflow at a time."""

    evidence: Evidence
    lines: Sequence[Line]
    timeline: Timeline
    clock: Clock

    @classmethod
    def of(
        cls, evidence: Evidence, lines: Sequence[Line], recovered_s: Mapping[datetime, float]
    ) -> Source:
        """Raises ValueError where the journal tells nothing."""
        found = timeline(evidence, lines, recovered_s)
        return cls(evidence, lines, found, Clock.of(evidence))

    def harness(self) -> Iterator[Span]:
        """The case as a whole, its faults, and the lives of its processes."""
        case = Span(
            key="case",
            root="case",
            parent="",
            name="case",
            process=HARNESS,
            track="case",
            start=self.clock.begin,
            end=max(self.clock.begin, self.clock.end),
        )
        yield case
        for number, fault in enumerate(self.timeline.faults):
            yield self._drawn(fault, f"fault {number}", HARNESS, f"fault {number + 1}", fault.label)
        for row in self.timeline.processes:
            for number, life in enumerate(span for strand in row.strands for span in strand):
                track = "stopped" if life.kind == "asleep" else "process"
                name = f"{row.name}: {life.kind}"
                yield self._drawn(life, f"{row.name} {number}", row.name, track, name)

    def _drawn(self, span: Drawn, key: str, process: str, track: str, name: str) -> Span:
        start = self.clock.begin + timedelta(seconds=span.start)
        return Span(
            key=f"case/{key}",
            root="case",
            parent="case",
            name=shown(name),
            process=shown(process),
            track=track,
            start=start,
            end=start + timedelta(seconds=max(0.0, span.end - span.start)),
            attributes={"chaos.kind": span.kind, "chaos.detail": shown(span.detail)},
        )

    def workflows(self) -> Iterator[Sequence[Span]]:
        """The spans of each workflow, its own first; those of a child belong to its parent's."""
        failed, deaths = failed_in(self.lines), Deaths.of(self.evidence)
        names, parents = self._names(), self._parents()
        for workflow in self.evidence.all_workflows:
            own = self._workflow(workflow, parents)
            found = [own]
            last = max(self.clock.end, own.end)
            for number, step in enumerate(steps(workflow, failed, deaths, last)):
                found += _activity(own, step, number, names)
            yield found

    def _parents(self) -> Mapping[str, str]:
        """The keys of children with those of the workflows that started them."""
        own = [(self.evidence.real_id(w.workflow_id), w) for w in self.evidence.workflows.values()]
        children = [(child.workflow_id, child) for child in self.evidence.children]
        runs = {
            (real_id, run.run_id): _key_of(workflow)
            for real_id, workflow in (*own, *children)
            for run in workflow.runs
        }
        return {
            _key_of(workflow): runs[workflow.parent]
            for workflow in self.evidence.all_workflows
            if workflow.parent in runs and workflow.parent is not None
        }

    def _names(self) -> dict[str, str]:
        """The name of the worker that had each process id."""
        return {
            str(entry.pid): str(entry.target)
            for entry in self.evidence.journal
            if entry.event in {Event.STARTED, Event.READY} and entry.pid
        } | {
            identity: str(entry.target)
            for entry in self.evidence.journal
            for identity in entry.identities
        }

    def _workflow(self, workflow: Workflow, parents: Mapping[str, str]) -> Span:
        key, start = _key_of(workflow), workflow.started_at
        good = {Status.COMPLETED: False, Status.RUNNING: None, Status.CONTINUED_AS_NEW: None}
        return Span(
            key=key,
            root=_root(key, parents),
            parent=parents.get(key, ""),
            name=shown(f"RunWorkflow:{workflow.kind}"),
            process=WORKFLOWS,
            track=shown(workflow.workflow_id),
            start=start,
            end=max(start, workflow.closed_at or self.clock.end),
            attributes={
                "temporalWorkflowID": shown(workflow.workflow_id),
                "temporalRunID": workflow.runs[-1].run_id,
                "chaos.status": str(workflow.status),
            },
            is_error=good.get(workflow.status, True),
            message=shown(workflow.failure_told),
        )

    def instants(self) -> Iterator[Instant]:
        """The journal in words."""
        for each in self.timeline.happenings:
            at = self.clock.begin + timedelta(seconds=each.at)
            yield Instant(at, shown(each.text), each.kind)


def _key_of(workflow: Workflow) -> str:
    return f"workflow {workflow.runs[0].run_id} {workflow.workflow_id}"


def _activity(own: Span, step: Step, number: int, names: Mapping[str, str]) -> Iterator[Span]:
    """From when it was scheduled until it was closed, and each of its attempts as a part of it."""
    activity = step.activity
    key = f"{own.key}/{number}"
    attributes: dict[str, Value] = {
        "temporalWorkflowID": own.attributes["temporalWorkflowID"],
        "temporalActivityID": shown(activity.activity_id),
    }
    track = f"{own.track}: {shown(activity.kind)} {shown(activity.activity_id)}"
    last = step.attempts[-1].outcome if step.attempts else Outcome.OPEN
    yield Span(
        key=key,
        root=own.root,
        parent=own.key,
        name=shown(f"StartActivity:{activity.kind}"),
        process=WORKFLOWS,
        track=track,
        start=activity.scheduled_at,
        end=max(activity.scheduled_at, step.closed_at),
        attributes={**attributes, "chaos.attempts": activity.attempt},
        is_error=_is_error(last),
    )
    for attempt in step.attempts:
        worker = _worker_of(activity.worker, names) if attempt is step.attempts[-1] else ""
        yield Span(
            key=f"{key}/{attempt.number}",
            root=own.root,
            parent=key,
            name=shown(f"RunActivity:{activity.kind}"),
            process=shown(worker) or WORKFLOWS,
            track=track,
            start=attempt.began_at,
            end=max(attempt.began_at, attempt.ended_at),
            attributes={**attributes, **_about(attempt)},
            is_error=_is_error(attempt.outcome),
            message=shown(attempt.why),
        )


def _about(attempt: Attempt) -> dict[str, Value]:
    return {
        "chaos.attempt": attempt.number,
        "chaos.outcome": str(attempt.outcome),
        "chaos.times_are_exact": attempt.exact,
        "chaos.attempts_together": attempt.count,
    }


def _is_error(outcome: Outcome) -> bool | None:
    return None if outcome is Outcome.OPEN else outcome is not Outcome.DONE


def _worker_of(identity: str, names: Mapping[str, str]) -> str:
    """The worker that polled under an identity, by the journal or by the SDKs' `pid@host`."""
    return names.get(identity) or names.get(identity.partition("@")[0], "")


def _root(key: str, parents: Mapping[str, str]) -> str:
    """The key of the workflow that began it all."""
    seen = set[str]()
    while key in parents and key not in seen:
        seen.add(key)
        key = parents[key]
    return key


def shown(text: str) -> str:
    """One line without what looks like a secret."""
    return redacted(plain(text))
