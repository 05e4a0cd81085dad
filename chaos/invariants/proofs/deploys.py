"""Proof that a deploy met open workflows, by which version did each of their workflow tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from chaos.environment.versions import VersionName, Versions
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.invariants import Invariant, proof
from chaos.invariants.builds import NOT_DETERMINISTIC, Builds, failures_under, is_pinned


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
