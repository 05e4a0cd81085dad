"""Which version did each workflow task, by history and journal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from temporalio.api.enums.v1 import EventType, VersioningBehavior
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from chaos.environment.versions import VersionName, Versions
from chaos.evidence.case import Evidence
from chaos.evidence.history import FailedTask, Workflow, time_of
from chaos.evidence.journal import Entry, Event
from chaos.evidence.tasks import answered

NOT_DETERMINISTIC = "NonDeterministicError"
"""The cause by which every SDK reports a history that its workflow's code does not replay."""

_FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
_PINNED = VersioningBehavior.VERSIONING_BEHAVIOR_PINNED


@dataclass(frozen=True)
class TaskDone:
    """A workflow task that a worker has completed: when it began, and which version did it; None
    where that is not known.
    """

    begun_at: datetime
    version: str | None
    is_versioned: bool = False


@dataclass(frozen=True)
class Builds:
    """Which version each worker of a case was: by the build id that the server has on record, else
    by the identity under which the journal has it.
    """

    versions: Versions
    identities: Mapping[str, str | None]

    @classmethod
    def of(cls, evidence: Evidence, versions: Versions) -> Builds:
        """As the journal has them. An identity that two versions had is none's."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for entry in ready(evidence):
            for identity in entry.identities or (f"{entry.pid}@",):
                found[identity].add(str(entry.version))
        known = {name: of.pop() if len(of) == 1 else None for name, of in found.items()}
        return cls(versions, known)

    def tasks(self, run: WorkflowHistory) -> Sequence[TaskDone]:
        """The completed workflow tasks of a run, in order."""
        found = []
        for task in answered(run):
            build_id = build_of(task.done, self.versions.deployment)
            identity = task.done.workflow_task_completed_event_attributes.identity
            version = self._of_build(build_id) if build_id else self.of_identity(identity)
            found.append(TaskDone(task.started_at, version, bool(build_id)))
        return found

    def path(self, workflow: Workflow) -> Sequence[str | None]:
        """The versions that worked on it, one after the other."""
        tasks = [task for run in workflow.runs for task in self.tasks(run)]
        return [version for version, _ in groupby(tasks, key=lambda task: task.version)]

    def of_identity(self, identity: str) -> str | None:
        """That of a worker; None where it is not known."""
        return self.identities.get(identity, self.identities.get(f"{identity.partition('@')[0]}@"))

    def _of_build(self, build_id: str) -> str | None:
        all_ = self.versions.all.items()
        return next((name for name, each in all_ if each.build_id == build_id), None)


def ready(evidence: Evidence) -> list[Entry]:
    """The workers of a version that were ready, by the journal."""
    return [e for e in evidence.journal if e.event is Event.READY and e.version]


def build_of(event: HistoryEvent, deployment: str) -> str:
    """The build id of the target's own worker deployment; empty where it is of none."""
    done = event.workflow_task_completed_event_attributes.deployment_version
    return str(done.build_id) if deployment and done.deployment_name == deployment else ""


def failures_under(
    evidence: Evidence, versions: Versions, version: VersionName
) -> Sequence[tuple[Workflow, FailedTask]]:
    """The workflow tasks that failed at workers of a version."""
    builds = Builds.of(evidence, versions)
    return [
        (workflow, failed)
        for workflow in evidence.all_workflows
        for event, failed in _failed(workflow)
        if builds.of_identity(event.workflow_task_failed_event_attributes.identity) == version
    ]


def _failed(workflow: Workflow) -> Iterator[tuple[HistoryEvent, FailedTask]]:
    known = {failed.at: failed for failed in workflow.failed_tasks}
    for event in workflow.events:
        if event.event_type == _FAILED and time_of(event) in known:
            yield event, known[time_of(event)]


def is_pinned(run: WorkflowHistory) -> bool:
    """Whether a run stays on its version, as it was started, else as its code declares."""
    override = run.events[0].workflow_execution_started_event_attributes.versioning_override
    if override.HasField("pinned") or override.behavior == _PINNED:
        return True
    if override.auto_upgrade:
        return False
    return any(
        task.done.workflow_task_completed_event_attributes.versioning_behavior == _PINNED
        for task in answered(run)[-1:]
    )
