"""What must hold of a deploy: which workflows each version may work on, and which it must."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from chaos.environment.versions import Versions
from chaos.evidence.case import Evidence
from chaos.evidence.history import Status, Workflow
from chaos.evidence.journal import Event
from chaos.evidence.tasks import answered
from chaos.invariants import Invariant, Late, invariant
from chaos.invariants.builds import (
    NOT_DETERMINISTIC,
    Builds,
    build_of,
    failures_under,
    is_pinned,
    ready,
)
from chaos.invariants.replaying import SLOW


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
    last = answered(run)[-1:]
    return str(asked) or next((build_of(task.done, deployment) for task in last), "")


def _has_workers(evidence: Evidence, version: str) -> bool:
    """Whether a worker of that version was left when the harness began to stop the stack."""
    ending = evidence.first_entry(Event.ENDING)
    for worker in ready(evidence):
        gone = evidence.first_entry(Event.EXITED, after=worker.at, pid=worker.pid)
        is_left = gone is None or (ending is not None and gone.at > ending.at)
        if worker.version == version and is_left:
            return True
    return False


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
