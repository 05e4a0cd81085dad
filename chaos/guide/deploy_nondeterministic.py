"""Deploy a version that does not replay what is open, see that, and recover from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionDescription

from chaos.environment.target import Target
from chaos.evidence.bills import Mode
from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow, time_of
from chaos.evidence.journal import Event
from chaos.evidence.samples import BACKLOG, over_time
from chaos.experiment.lab import Lab
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import StopWorker
from chaos.guide.deploy_change import OWN_SERVERS
from chaos.guide.deploys import (
    OPEN,
    Traffic,
    invariants_of,
    no_versions,
    pinned_to,
    stops,
    versions_of,
    worker_of,
)
from chaos.guide.gap import Gap, queueing_seconds
from chaos.guide.heading import Heading
from chaos.guide.load import load, prepared
from chaos.invariants.builds import failures_under
from chaos.invariants.deploys import fails_as_planned, no_version_is_removed_early, pinned_stay
from chaos.invariants.figures import SECONDS, Figure
from chaos.invariants.proofs.deploys import ran_under, stayed_on, was_not_deterministic
from chaos.invariants.recovery.faults import last_moment
from chaos.invariants.survival import no_workflow_task_fails

_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
REPLAYS = "histories_replay"
"""The name of the invariant `replays_with`: nothing need replay what the broken code did."""


def _why_not(target: Target) -> str | None:
    if missing := no_versions(target):
        return missing
    if versions_of(target).broken is None:
        return "the target names no build to roll back: name a broken one in Target.versions"
    return None


def _scenario(target: Target) -> Scenario:
    versions = versions_of(target)
    common = [
        each
        for each in invariants_of(target, without=(no_workflow_task_fails,))
        if each.name != REPLAYS
    ]
    back = Case(
        name="rolled_back",
        target=target,
        experiment=_rolled_back(target),
        load=lambda _: load(target, 2 * OPEN),
        proofs=(was_not_deterministic(versions),),
        invariants=(*common, fails_as_planned(versions)),
        modes=frozenset({Mode.MOCKED}),
        topologies=OWN_SERVERS,
        all_faults_hit=False,
        figures=_figures(target),
        sampled=True,
        about_seconds=60.0,
    )
    pinned = Case(
        name="pinned",
        target=target,
        experiment=_pinned(target),
        load=lambda _: load(target, 2 * OPEN),
        proofs=(stayed_on(versions, "old"), ran_under(versions, "broken")),
        invariants=(
            *common,
            no_workflow_task_fails,
            pinned_stay(versions),
            no_version_is_removed_early(versions),
        ),
        modes=frozenset({Mode.MOCKED}),
        topologies=OWN_SERVERS,
        all_faults_hit=False,
        about_seconds=40.0,
    )
    return Scenario(name="", title="", cases=(back, pinned) if versions.deployment else (back,))


def _rolled_back(target: Target) -> Callable[[Lab], Awaitable[None]]:
    """The old worker is stopped and a broken one takes its place, until each open workflow has
    failed at it or ended; then the old one comes back, and what was stuck goes on.

    What goes on under the broken version is left to end there: the old one could not replay that.
    """

    async def experiment(lab: Lab) -> None:
        await prepared(lab)
        grace_seconds = versions_of(target).grace_seconds
        old = await worker_of(lab, "old")
        traffic = Traffic(lab, target)
        await traffic.first()
        async with traffic.flowing():
            await traffic.until_at(old)
        async with lab.during(StopWorker(worker=old.child.name, grace_seconds=grace_seconds)):
            lab.note("the broken version is deployed")
        broken = await worker_of(lab, "broken")
        stuck = await traffic.until_each(_has_failed, "each open workflow fails, or has ended")
        lab.note(f"{len(stuck)} workflow(s) are stuck: the old version comes back")
        async with lab.during(StopWorker(worker=broken.child.name, grace_seconds=grace_seconds)):
            await worker_of(lab, "old")
        for _ in range(OPEN):
            await traffic.start()

    return experiment


async def _has_failed(described: WorkflowExecutionDescription) -> bool:
    """Whether its workflow task has failed once or more: it is tried again and again."""
    raw = described.raw_description
    return raw.HasField("pending_workflow_task") and raw.pending_workflow_task.attempt > 1


def _pinned(target: Target) -> Callable[[Lab], Awaitable[None]]:
    """The same mistake under Worker Versioning: what is pinned to the old version never meets the
    broken one, and what starts on that has no other history.
    """

    async def experiment(lab: Lab) -> None:
        await prepared(lab)
        await worker_of(lab, "old", versioned=True)
        await lab.set_current("old")
        traffic = Traffic(lab, target)
        await traffic.first()
        traffic.how = pinned_to(versions_of(target), "old")
        await worker_of(lab, "broken", versioned=True)
        async with traffic.flowing():
            await lab.set_current("broken")
        traffic.how = None
        for _ in range(OPEN):
            await traffic.start()

    return experiment


def _figures(target: Target) -> Callable[[Evidence], Sequence[Figure]]:
    """Why workflow tasks failed, how many workflows were stuck, and how long until they went on."""

    def figures(evidence: Evidence) -> Sequence[Figure]:
        failed = failures_under(evidence, versions_of(target), "broken")
        causes = Counter(each.cause for _, each in failed)
        stuck = {workflow.workflow_id: workflow for workflow, _ in failed}
        waited = [value for _, value in over_time(evidence.samples, BACKLOG)]
        return (
            *(Figure(name=f"{cause} when broken", value=n) for cause, n in causes.items()),
            Figure(name="workflows stuck", value=len(stuck)),
            *([Figure(name="deepest backlog", value=max(waited), unit="tasks")] if waited else ()),
            *drain_time(evidence, tuple(stuck.values())),
            *stops(evidence),
        )

    return figures


def drain_time(evidence: Evidence, stuck: Sequence[Workflow]) -> Iterator[Figure]:
    """From when the old version was ready again until the last task of a stuck workflow was
    answered; where one never was, to the end. A backlog does not show it: the server counts such a
    task as started, for the broken worker never answers it after its first attempt.

    The bound: that attempt's timeout, and the queueing. The timeout is at most the one on record
    for the attempt that was answered, because the server makes it longer with each attempt.
    """
    back_at = _back_at(evidence)
    left = [each for each in stuck if back_at and not (each.closed_at and each.closed_at < back_at)]
    if back_at is None or not left:
        return
    waits = [_until_answered(each, back_at, last_moment(evidence)) for each in left]
    queueing = queueing_seconds(evidence, Gap(back_at, back_at, workers=1))
    yield Figure(
        name="drain time",
        value=round(max((until - back_at).total_seconds() for until, _ in waits), 3),
        unit=SECONDS,
        bound=round(max(timeout for _, timeout in waits) + queueing, 3),
    )


def _until_answered(workflow: Workflow, since: datetime, end: datetime) -> tuple[datetime, float]:
    """When the first task after a time was answered, and the timeout that it had, in seconds."""
    for run in workflow.runs:
        events = {event.event_id: event for event in run.events}
        for event in run.events:
            if event.event_type == _COMPLETED and time_of(event) > since:
                number = event.workflow_task_completed_event_attributes.scheduled_event_id
                due = events[number].workflow_task_scheduled_event_attributes
                return time_of(event), due.start_to_close_timeout.ToTimedelta().total_seconds()
    return workflow.closed_at or end, workflow.task_seconds


def _back_at(evidence: Evidence) -> datetime | None:
    """When the old version was there again."""
    broken = [e.at for e in evidence.journal if e.event is Event.READY and e.version == "broken"]
    old = [e.at for e in evidence.journal if e.event is Event.READY and e.version == "old"]
    return next((at for at in old if broken and at > broken[0]), None)


HEADING = Heading(
    name="deploy_nondeterministic",
    title="Deploy a version that causes NDEs, then recover",
    watches="failed workflow tasks and why, workflows stuck, backlog and drain time",
    make=_scenario,
    why_not=_why_not,
)
