"""Deploy a change that goes on with what the old version has begun: one worker at a time, and by
Worker Versioning.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from chaos.environment.target import Target
from chaos.environment.temporal import Topology
from chaos.environment.worker import WorkerProcess
from chaos.evidence.bills import Mode
from chaos.evidence.case import Evidence
from chaos.experiment.lab import Lab
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import StopWorker
from chaos.guide.deploys import (
    OPEN,
    Traffic,
    invariants_of,
    no_versions,
    pinned_to,
    stops,
    upgrading,
    versions_of,
    worker_of,
)
from chaos.guide.heading import Heading
from chaos.guide.load import load, prepared
from chaos.invariants import Invariant
from chaos.invariants.builds import Builds
from chaos.invariants.deploys import no_version_is_removed_early, pinned_stay, upgrading_move
from chaos.invariants.exits import no_unplanned_exit
from chaos.invariants.figures import Figure
from chaos.invariants.proofs.deploys import ran_under, stayed_on, went_on

WORKERS = 2
RAMP_PERCENT = 50.0
RAMPED = 12
"""Workflows that start while a version ramps: that none gets it has a chance of 1 in 4096."""

LEFT_BEHIND_SECONDS = 5.0
"""How long workflows without a worker are waited for, which will not end."""

OWN_SERVERS = frozenset({Topology.DEV, Topology.POSTGRES})
"""Where a worker deployment is this run's alone: elsewhere it may be one in production."""


def _scenario(target: Target) -> Scenario:
    versions = versions_of(target)
    rolled = (went_on(versions, "old", "new"),)
    cases = [
        _case(target, "with_grace", _rolling(target, versions.grace_seconds), rolled),
        _case(target, "without_grace", _rolling(target, 0.0), rolled),
    ]
    if versions.deployment:
        cases += _versioned(target)
    return Scenario(name="", title="", cases=cases)


def _versioned(target: Target) -> Sequence[Case]:
    versions = versions_of(target)
    stay = (stayed_on(versions, "old"), ran_under(versions, "new"))
    back = (stayed_on(versions, "new"), ran_under(versions, "old"))
    return [
        _case(target, "pinned", _pinned(target), stay),
        _case(target, "auto_upgrade", _auto_upgrade(target), (went_on(versions, "old", "new"),)),
        _case(target, "ramp", _ramp(target), (ran_under(versions, "old", "new"),)),
        _case(target, "rollback", _rollback(target), back),
        replace(
            _case(target, "removed_early", _removed_early(target), (ran_under(versions, "old"),)),
            must_fail=no_version_is_removed_early(versions),
            converge_deadline_seconds=LEFT_BEHIND_SECONDS,
            about_seconds=20.0,
        ),
    ]


def _case(
    target: Target,
    name: str,
    experiment: Callable[[Lab], Awaitable[None]],
    proofs: Sequence[Invariant],
) -> Case:
    versions = versions_of(target)
    own = (
        no_version_is_removed_early(versions),
        pinned_stay(versions),
        upgrading_move(versions),
    )
    return Case(
        name=name,
        target=target,
        experiment=experiment,
        load=lambda _: load(target, 2 * OPEN),
        proofs=proofs,
        invariants=(
            *invariants_of(target, without=(no_unplanned_exit,)),
            no_unplanned_exit,
            *(own if versions.deployment else ()),
        ),
        modes=frozenset({Mode.MOCKED}),
        topologies=OWN_SERVERS,
        all_faults_hit=False,
        figures=_figures(target),
        about_seconds=40.0,
    )


def _rolling(target: Target, grace_seconds: float) -> Callable[[Lab], Awaitable[None]]:
    """One worker after the other: a new one starts, and an old one is stopped while it works."""

    async def experiment(lab: Lab) -> None:
        await prepared(lab)
        old = [await worker_of(lab, "old") for _ in range(WORKERS)]
        traffic = Traffic(lab, target)
        await traffic.first()
        async with traffic.flowing():
            for worker in old:
                await worker_of(lab, "new")
                await traffic.until_at(worker)
                stop = StopWorker(worker=worker.child.name, grace_seconds=grace_seconds)
                async with lab.during(stop):
                    lab.note(f"{worker.child.name} is replaced")
        await traffic.start()

    return experiment


def _pinned(target: Target) -> Callable[[Lab], Awaitable[None]]:
    """Pinned workflows end on the old version when the new one is current, and their worker is
    stopped when none is left.
    """

    async def experiment(lab: Lab) -> None:
        worker, traffic = await _begun(lab, target)
        await worker_of(lab, "new", versioned=True)
        traffic.how = pinned_to(versions_of(target), "old")
        async with traffic.flowing():
            await lab.set_current("new")
        await _go_on(traffic)
        await lab.converge(lab.step_deadline_seconds)
        lab.note("no workflow is left on the old version: its worker is stopped")
        await worker.child.terminate()

    return experiment


def _auto_upgrade(target: Target) -> Callable[[Lab], Awaitable[None]]:
    """Workflows that upgrade move to the new version when that becomes current."""

    async def experiment(lab: Lab) -> None:
        worker, traffic = await _begun(lab, target)
        await worker_of(lab, "new", versioned=True)
        traffic.how = upgrading()
        async with traffic.flowing():
            await lab.set_current("new")
        await lab.converge(lab.step_deadline_seconds)
        await worker.child.terminate()

    return experiment


def _ramp(target: Target) -> Callable[[Lab], Awaitable[None]]:
    """Half of the workflows that start get the new version, then all."""

    async def experiment(lab: Lab) -> None:
        _, traffic = await _begun(lab, target)
        await worker_of(lab, "new", versioned=True)
        traffic.how = upgrading()
        async with traffic.flowing():
            await lab.set_ramping("new", RAMP_PERCENT)
        for _ in range(RAMPED):
            await traffic.start()
        await lab.converge(lab.step_deadline_seconds)

    return experiment


def _rollback(target: Target) -> Callable[[Lab], Awaitable[None]]:
    """The old version is made current again while workflows are pinned to the new one: these end
    there, and what starts gets the old one.
    """

    async def experiment(lab: Lab) -> None:
        _, traffic = await _begun(lab, target)
        await worker_of(lab, "new", versioned=True)
        await lab.set_current("new")
        traffic.how = pinned_to(versions_of(target), "new")
        async with traffic.flowing():
            await lab.set_current("old")
        await _go_on(traffic)

    return experiment


def _removed_early(target: Target) -> Callable[[Lab], Awaitable[None]]:
    """The control: when the new version is current, the old one's only worker is stopped although
    workflows are pinned to that.
    """

    async def experiment(lab: Lab) -> None:
        versions = versions_of(target)
        worker, traffic = await _begun(lab, target)
        await worker_of(lab, "new", versioned=True)
        await lab.set_current("new")
        traffic.how = pinned_to(versions, "old")
        async with traffic.flowing():
            await traffic.until_at(worker)
            stop = StopWorker(worker=worker.child.name, grace_seconds=versions.grace_seconds)
            async with lab.during(stop):
                lab.note("workflows are left on the old version, which has no worker any more")

    return experiment


async def _begun(lab: Lab, target: Target) -> tuple[WorkerProcess, Traffic]:
    """A worker of the old version, which is current, and a workflow that has ended under it."""
    await prepared(lab)
    worker = await worker_of(lab, "old", versioned=True)
    await lab.set_current("old")
    traffic = Traffic(lab, target)
    await traffic.first()
    return worker, traffic


async def _go_on(traffic: Traffic) -> None:
    """What starts now is routed by the server, as its code declares."""
    traffic.how = None
    for _ in range(OPEN):
        await traffic.start()


def _figures(target: Target) -> Callable[[Evidence], Sequence[Figure]]:
    """How many workflows each version worked on, and how long the workers took to stop."""

    def figures(evidence: Evidence) -> Sequence[Figure]:
        builds = Builds.of(evidence, versions_of(target))
        paths = [builds.path(each) for each in evidence.workflows.values()]
        both = sum(len(set(path)) > 1 for path in paths)
        failed = sum(each.task_failures for each in evidence.all_workflows)
        return (
            Figure(name="workflows", value=len(paths)),
            Figure(name="workflows that changed the version", value=both),
            Figure(name="failed workflow tasks", value=failed),
            *stops(evidence),
        )

    return figures


HEADING = Heading(
    name="deploy_change",
    title="Deploy a Workflow change with versioning",
    watches="workflow task failures, and what each version worked on",
    make=_scenario,
    why_not=no_versions,
)
