"""Overload what activities call: a service that takes a third of what is sent in a second."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from chaos.environment.target import Target
from chaos.environment.temporal import StackSpec
from chaos.evidence.bills import Mode
from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.samples import BACKLOG, over_time
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import ServiceOverloaded
from chaos.guide.figures import backlog_drains, depths
from chaos.guide.heading import Heading
from chaos.guide.load import invariants_of, start_all
from chaos.guide.phases import (
    Limited,
    Phases,
    begin,
    calls_of,
    latencies,
    load_of,
    peak_per_second,
    span_seconds,
    usage,
)
from chaos.guide.services import no_service, nothing_is_done_twice
from chaos.invariants.figures import SECONDS, Figure
from chaos.invariants.proofs.limits import (
    attempts_of,
    no_retry_storm,
    overloaded,
    pauses_seconds,
    services_were_overloaded,
)
from chaos.invariants.recovery.faults import is_over_by
from chaos.process.waiting import DeadlineExceededError
from chaos.wire.journal import QUEUED, REFUSED, Called, read_wire, service_of

_WAVES = 3
"""Who is refused asks again, all at about the same time: with a limit of a third of the most that
came in a second, a third attempt gets through. Where a retry policy has no third, fewer are
refused.
"""

_LEAST_PEAK = 2
"""Requests in a second: a service that has never had so many is not overloaded by this load."""

_DEADLINE_SECONDS = 240.0

_ANSWERS = {"429": 429, "503": 503, "queue": 0}

_SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
_FAILED = EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED


def _scenario(target: Target) -> Scenario:
    cases = tuple(_case(target, name, status) for name, status in _ANSWERS.items())
    return Scenario(name="", title="", cases=cases)


def _case(target: Target, name: str, answer: int) -> Case:
    async def experiment(lab: Lab) -> None:
        await begin(lab)
        undisturbed = load_of(target, lab.options, 0)
        await start_all(lab, undisturbed)
        await lab.converge(lab.step_deadline_seconds)
        limits = await _limits_of(lab, undisturbed[0])
        for phase, (service, most) in enumerate(limits.items(), start=1):
            fault = ServiceOverloaded(service=service, per_second=most, answer=answer)
            async with lab.during(fault):
                await start_all(lab, load_of(target, lab.options, phase))
                with suppress(DeadlineExceededError):
                    await lab.converge(_DEADLINE_SECONDS)

    services = [service for service in target.services if service.is_on_wire]
    return Case(
        name=name,
        target=target,
        experiment=experiment,
        load=lambda options: [
            spec for phase in range(1 + len(services)) for spec in load_of(target, options, phase)
        ],
        proofs=(services_were_overloaded,),
        invariants=(
            *invariants_of(target),
            nothing_is_done_twice,
            no_retry_storm,
            backlog_drains,
        ),
        figures=figures,
        sampled=True,
        stack=StackSpec(shares_server=True, wire=True),
        modes=frozenset({Mode.MOCKED}),
        about_seconds=40,
    )


async def _limits_of(lab: Lab, spec: WorkflowSpec) -> Mapping[str, float]:
    """How many requests a second each service is to take, by what passed so far, and by the retry
    policies of one workflow that has ended.
    """
    history = await lab.handle(spec.workflow_id).fetch_history()
    return _limits(await asyncio.to_thread(_requests, lab.stack.evidence_folder), _waves(history))


def _limits(asked: Mapping[str, Sequence[Called]], waves: int) -> Mapping[str, float]:
    peaks = {name: peak_per_second(calls) for name, calls in asked.items()}
    return {
        name: float(math.ceil(peak / waves)) for name, peak in peaks.items() if peak >= _LEAST_PEAK
    }


def _waves(history: WorkflowHistory) -> int:
    """How often an activity may have to ask, one attempt less than it has, but at least twice."""
    attempts = [
        event.activity_task_scheduled_event_attributes.retry_policy.maximum_attempts
        for event in history.events
        if event.event_type == _SCHEDULED
    ]
    return min([_WAVES, *(max(2, most - 1) for most in attempts if most)])


def _requests(folder: Path, until: datetime | None = None) -> Mapping[str, Sequence[Called]]:
    """The requests to each service, by the wire's record of a case, until the first limit came."""
    wire = read_wire(folder)
    names = sorted({service_of(line) for line in wire} - {""})
    return {
        name: [call for call in calls_of(wire, name) if until is None or call.at < until]
        for name in names
    }


def figures(evidence: Evidence) -> Sequence[Figure]:
    """What was refused, how activities tried again, and how much later all was done."""
    phases = Phases.of(evidence)
    if not phases.can_be_compared:
        return ()
    asked = _requests(evidence.folder, phases.limited[0].fault.at)
    limits = _limits(asked, _waves(_first(phases)))
    found = list(latencies(phases))
    for each in phases.limited:
        service = service_of(each.fault.target or "")
        if service in limits:
            most = peak_per_second(asked[service])
            found += _of_service(evidence, each, most, limits[service])
            found += _of_work(phases, each, len(asked[service]) / limits[service])
            found += _of_backlog(evidence, each)
    return [*found, *depths(evidence), *usage(evidence, phases)]


def _first(phases: Phases) -> WorkflowHistory:
    """The workflow whose retry policies were looked at: the load's first."""
    return min(phases.undisturbed, key=lambda each: len(each.workflow_id)).runs[-1]


def _of_service(evidence: Evidence, limited: Limited, most: int, limit: float) -> Iterator[Figure]:
    service = service_of(limited.fault.target or "")
    over = is_over_by(evidence, limited.fault)
    calls = overloaded(read_wire(evidence.folder), service)
    met = [call for call in calls if limited.fault.at <= call.at <= over]
    refused = [call for call in met if call.decision == REFUSED]
    waits = [
        (call.forwarded_at - call.at).total_seconds()
        for call in met
        if call.decision == QUEUED and call.forwarded_at
    ]
    yield Figure(name=f"{service}: the most undisturbed", value=most, unit="requests/s")
    yield Figure(name=f"{service}: what it takes", value=limit, unit="requests/s")
    if waits:
        yield Figure(name=f"{service}: longest wait", value=max(waits), unit=SECONDS)
        return
    peak = peak_per_second(refused)
    yield Figure(name=f"{service}: refused", value=len(refused), unit="requests")
    yield Figure(name=f"{service}: the most refused", value=peak, unit="requests/s")


def _of_work(phases: Phases, limited: Limited, queue_seconds: float) -> Iterator[Figure]:
    service = service_of(limited.fault.target or "")
    activities = [each for workflow in limited.workflows for each in workflow.activities]
    again = [each for each in activities if attempts_of(each) > 1]
    most, longest = map(attempts_of, activities), map(pauses_seconds, again)
    failed = sum(map(_failed, limited.workflows))
    yield Figure(name=f"{service}: activities that tried again", value=len(again))
    yield Figure(name=f"{service}: activities that failed for good", value=failed)
    yield Figure(name=f"{service}: most attempts of one", value=max(most, default=0))
    backoff = max(longest, default=0.0)
    yield Figure(name=f"{service}: longest backoff of one", value=backoff, unit=SECONDS)
    yield Figure(
        name=f"{service}: until all were done",
        value=span_seconds(limited.workflows),
        unit=SECONDS,
        bound=_bound(phases, limited) + queue_seconds,
    )


def _of_backlog(evidence: Evidence, limited: Limited) -> Iterator[Figure]:
    """How long after the limit came tasks still waited, by the last sample with a backlog."""
    begun, over = limited.fault.at, is_over_by(evidence, limited.fault)
    waiting = [
        at for at, depth in over_time(evidence.samples, BACKLOG) if depth and begun <= at <= over
    ]
    service = service_of(limited.fault.target or "")
    drained = (max(waiting) - begun).total_seconds() if waiting else 0.0
    yield Figure(name=f"{service}: backlog was drained after", value=drained, unit=SECONDS)


def _failed(workflow: Workflow) -> int:
    """How many of its activities ended in a failure: one that is not retried, or the last retry."""
    return sum(event.event_type == _FAILED for run in workflow.runs for event in run.events)


def _bound(phases: Phases, limited: Limited) -> float:
    """How long all may take, beside the time that all requests need at the limit: twice as long as
    undisturbed, once more for each attempt that followed another, and the pauses of the retry
    policies before these.
    """
    again = [sum(attempts_of(a) - 1 for a in w.activities) for w in limited.workflows]
    pauses = [sum(pauses_seconds(a) for a in w.activities) for w in limited.workflows]
    return (2 + max(again)) * span_seconds(phases.undisturbed) + max(pauses)


HEADING = Heading(
    name="downstream_load",
    title="Validate downstream load capacity",
    watches="refused requests, attempts and backoff, backlog, drain time",
    make=_scenario,
    why_not=no_service,
)
