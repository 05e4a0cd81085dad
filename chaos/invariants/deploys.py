"""What must hold of a deploy: which version did each workflow task, by history and journal."""

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
from chaos.evidence.history import FailedTask, Status, Workflow, time_of
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, Late, invariant, proof
from chaos.invariants.replaying import SLOW

NOT_DETERMINISTIC = "NonDeterministicError"
"""The cause by which every SDK reports a history that its workflow's code does not replay."""

_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
_STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
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
        for entry in _ready(evidence):
            for identity in entry.identities or (f"{entry.pid}@",):
                found[identity].add(str(entry.version))
        known = {name: of.pop() if len(of) == 1 else None for name, of in found.items()}
        return cls(versions, known)

    def tasks(self, run: WorkflowHistory) -> Sequence[TaskDone]:
        """The completed workflow tasks of a run, in order."""
        started = {e.event_id: e for e in run.events if e.event_type == _STARTED}
        found = []
        for event in run.events:
            if event.event_type == _COMPLETED:
                done = event.workflow_task_completed_event_attributes
                begun = started.get(done.started_event_id, event)
                build_id = _build_of(event, self.versions.deployment)
                found.append(
                    TaskDone(
                        time_of(begun),
                        self._of_build(build_id) if build_id else self.of_identity(done.identity),
                        bool(build_id),
                    )
                )
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


def _ready(evidence: Evidence) -> list[Entry]:
    return [e for e in evidence.journal if e.event is Event.READY and e.version]


def _build_of(event: HistoryEvent, deployment: str) -> str:
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


def went_on(versions: Versions, first: VersionName, then: VersionName) -> Invariant:
    """Proof: a workflow that one version had worked on was open at the deploy, and another version
    worked on it afterwards.
    """

    @proof(f"went_on[{first} to {then}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        builds = Builds.of(evidence, versions)
        paths = [builds.path(each) for each in evidence.workflows.values()]
        if not any(a == first and b == then for path in paths for a, b in _pairs(path)):
            yield (
                f"no workflow was seen to begin under the version {first} and to go on under "
                f"{then}, so the deploy met none: give it longer workflows, or more of them"
            )

    return judge


def _pairs(path: Sequence[str | None]) -> Iterator[tuple[str | None, str | None]]:
    for number, first in enumerate(path):
        for then in path[number + 1 :]:
            yield first, then


def ran_under(versions: Versions, *names: VersionName) -> Invariant:
    """Proof: of each of these versions some workflow began and ended under it alone, after the last
    change of the routing.
    """

    @proof(f"ran_under[{', '.join(names)}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        builds, since = Builds.of(evidence, versions), _routed_at(evidence)
        began = [
            builds.path(each)
            for each in evidence.workflows.values()
            if since is None or each.started_at >= since
        ]
        for name in names:
            if [name] not in began:
                yield f"no workflow that started after the deploy ran under the version {name}"

    return judge


def _routed_at(evidence: Evidence) -> datetime | None:
    """When all task queues knew the last change of the routing."""
    return max(
        (entry.at for entry in evidence.journal if entry.event is Event.HEALED and entry.version),
        default=None,
    )


def stayed_on(versions: Versions, name: VersionName) -> Invariant:
    """Proof: a workflow that was pinned to this version was open when the routing changed, and this
    version worked on it afterwards.
    """

    @proof(f"stayed_on[{name}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        builds, since = Builds.of(evidence, versions), _routed_at(evidence)
        if since is None:
            yield "the routing was not changed"
        elif not any(
            workflow.started_at < since
            and any(t.version == name and t.begun_at > since for t in builds.tasks(run))
            for workflow in evidence.workflows.values()
            for run in workflow.runs
            if is_pinned(run)
        ):
            yield f"no pinned workflow was open under the version {name} when the routing changed"

    return judge


def is_pinned(run: WorkflowHistory) -> bool:
    """Whether a run stays on its version, as it was started, else as its code declares."""
    override = run.events[0].workflow_execution_started_event_attributes.versioning_override
    if override.HasField("pinned") or override.behavior == _PINNED:
        return True
    if override.auto_upgrade:
        return False
    last = [e for e in run.events if e.event_type == _COMPLETED][-1:]
    return any(
        each.workflow_task_completed_event_attributes.versioning_behavior == _PINNED
        for each in last
    )


def pinned_stay(versions: Versions) -> Invariant:
    """Invariant: one version alone works on each run of a pinned workflow."""

    @invariant
    def pinned_stay(evidence: Evidence) -> Iterator[str]:
        builds = Builds.of(evidence, versions)
        for workflow in evidence.all_workflows:
            for run in workflow.runs:
                names = dict.fromkeys(t.version for t in builds.tasks(run) if t.is_versioned)
                if is_pinned(run) and len(names) > 1:
                    path = " and then by ".join(str(name) for name in names)
                    yield f"{workflow.workflow_id} is pinned, and was worked on by {path}"

    return pinned_stay


def upgrading_move(versions: Versions) -> Invariant:
    """Invariant: a workflow that is not pinned has no task under a version which no workflow gets
    any more, from when all task queues know that.
    """

    @invariant
    def upgrading_move(evidence: Evidence) -> Iterator[str]:
        builds = Builds.of(evidence, versions)
        current = [e for e in evidence.journal if e.kind == "set_current"]
        if not current:
            return
        name = current[-1].version
        ramps = [e for e in evidence.journal if e.kind == "set_ramping" and e.at > current[-1].at]
        names = {name, *(each.version for each in ramps)}
        known = evidence.first_entry(Event.HEALED, after=current[-1].at, target=current[-1].target)
        for workflow in evidence.all_workflows if known else ():
            for run in workflow.runs:
                stale = [t for t in builds.tasks(run) if known and t.begun_at > known.at]
                stale = [t for t in stale if t.is_versioned and t.version not in names]
                if stale and not is_pinned(run):
                    yield Late(
                        f"{workflow.workflow_id} had a task under the version {stale[0].version} "
                        f"when {name} was current"
                    )

    return upgrading_move


def no_version_is_removed_early(versions: Versions) -> Invariant:
    """Invariant: no workflow is left open on a version that has no workers any more."""

    @invariant
    def no_version_is_removed_early(evidence: Evidence) -> Iterator[str]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for spec, workflow in evidence.specified_workflows():
            build_id = _pinned_to(workflow, versions.deployment)
            left = workflow.status is Status.RUNNING and spec.status is not Status.RUNNING
            if left and build_id:
                found[build_id].append(workflow.workflow_id)
        for build_id, ids in found.items():
            name = next((n for n, v in versions.all.items() if v.build_id == build_id), build_id)
            if not _has_workers(evidence, name):
                many = f"{len(ids)} workflows are" if len(ids) > 1 else f"{ids[0]} is"
                yield (
                    f"{many} pinned to version {build_id} of {versions.deployment}, which has no "
                    "workers: keep them until the version is drained, or move the workflows"
                )

    return no_version_is_removed_early


def _pinned_to(workflow: Workflow, deployment: str) -> str:
    """The build id that its newest run is pinned to; empty where it is not pinned."""
    run = workflow.runs[-1]
    if not is_pinned(run):
        return ""
    started = run.events[0].workflow_execution_started_event_attributes
    asked = started.versioning_override.pinned.version.build_id
    done = [e for e in run.events if e.event_type == _COMPLETED][-1:]
    return str(asked) or next((_build_of(each, deployment) for each in done), "")


def _has_workers(evidence: Evidence, version: str) -> bool:
    """Whether a worker of that version was left when the harness began to stop the stack."""
    ending = evidence.first_entry(Event.ENDING)
    for ready in _ready(evidence):
        gone = evidence.first_entry(Event.EXITED, after=ready.at, pid=ready.pid)
        is_left = gone is None or (ending is not None and gone.at > ending.at)
        if ready.version == version and is_left:
            return True
    return False


def was_not_deterministic(versions: Versions) -> Invariant:
    """Proof: the broken version met a history that it does not replay, and a workflow that it could
    not go on with went on under the old one.
    """

    @proof("was_not_deterministic")
    def judge(evidence: Evidence) -> Iterator[str]:
        seen = [
            (workflow, failed)
            for workflow, failed in failures_under(evidence, versions, "broken")
            if failed.cause == NOT_DETERMINISTIC
        ]
        if not seen:
            yield (
                "the broken version replayed all that it met: no open workflow was past its "
                "change, or it is deterministic"
            )
            return
        builds = Builds.of(evidence, versions)
        for workflow, failed in seen:
            tasks = [task for run in workflow.runs for task in builds.tasks(run)]
            if any(task.version == "old" and task.begun_at > failed.at for task in tasks):
                return
        yield "no workflow went on under the old version after it had failed under the broken one"

    return judge


def fails_as_planned(versions: Versions) -> Invariant:
    """Invariant: a workflow task fails at the broken version only, because that does not replay."""

    @invariant
    def fails_as_planned(evidence: Evidence) -> Iterator[str]:
        planned = {
            (workflow.workflow_id, failed.at)
            for workflow, failed in failures_under(evidence, versions, "broken")
            if failed.cause == NOT_DETERMINISTIC
        }
        for workflow in evidence.all_workflows:
            for failed in workflow.failed_tasks:
                if (workflow.workflow_id, failed.at) not in planned:
                    told = f"{workflow.workflow_id}: workflow task failed: {failed}"
                    yield Late(told) if SLOW in told else told

    return fails_as_planned
