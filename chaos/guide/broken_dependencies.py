"""Break the services that workflows call, one way at a time, and mend them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from chaos.environment.target import Service, Target
from chaos.environment.temporal import SHARED_SERVER
from chaos.evidence.case import Evidence
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import EndedEarlyError, Lab
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import (
    ServiceDown,
    ServiceErrors,
    ServicePaused,
    ServiceReadOnly,
    ServiceSlow,
)
from chaos.faults.service import OnCalls, OnService
from chaos.guide.attempts import attempt_figures
from chaos.guide.heading import Heading
from chaos.guide.load import (
    described,
    invariants_of,
    load,
    prepared,
    start_all,
    until_at_work,
)
from chaos.guide.services import no_service, nothing_is_done_twice
from chaos.invariants.figures import SECONDS, Figure, Figures
from chaos.invariants.proofs import service_was_hit
from chaos.invariants.proofs.service import MetCall, calls_that_met_faults
from chaos.process.waiting import DeadlineExceededError, wait_until
from chaos.wire.journal import read_wire
from chaos.wire.repeats import service_calls

WORKFLOWS = 3
"""In flight while a service is broken: of calls of which every other one fails, some pass."""

SLOW_SECONDS = 5.0
HOLD_SECONDS = 30.0
"""How long a service stays broken where no attempt fails: its callers may wait without a limit."""

CASES_AT_ONCE = 4
_LOOK_SECONDS = 0.2


def _faults(service: Service) -> Sequence[OnService]:
    """All ways in which it can be broken. One whose records do not survive it is not killed."""
    name = service.name
    return (
        ServiceErrors(service=name),
        ServiceSlow(service=name, seconds=SLOW_SECONDS),
        ServiceReadOnly(service=name),
        ServicePaused(service=name),
        *([ServiceDown(service=name)] if service.may_die else []),
    )


def _scenario(target: Target) -> Scenario:
    cases = [
        _case(target, fault)
        for service in target.services
        if service.is_on_wire
        for fault in _faults(service)
    ]
    return Scenario(name="", title="", cases=cases, cases_at_once=CASES_AT_ONCE)


def _case(target: Target, fault: OnService) -> Case:
    first, *later = load(target, WORKFLOWS)

    async def experiment(lab: Lab) -> None:
        await lab.worker(settings=await prepared(lab), wire=True)
        await start_all(lab, [first])
        try:
            await until_at_work(lab, [first])
        except EndedEarlyError as error:  # a short one: those that come under the fault meet it
            lab.note(str(error))
        async with lab.during(fault):
            await start_all(lab, later)
            await _until_felt(lab, [first, *later], fault)

    return Case(
        name=f"{fault.service}_{fault.type.removeprefix('service_')}",
        target=target,
        experiment=experiment,
        load=lambda _: (first, *later),
        proofs=(service_was_hit(fault.service, fault.kind),),
        invariants=(*invariants_of(target), nothing_is_done_twice),
        stack=SHARED_SERVER,
        figures=_figures(fault.service),
    )


async def _until_felt(lab: Lab, specs: Sequence[WorkflowSpec], fault: OnService) -> None:
    """Wait until an attempt has failed of it, or a slow call is over, but not for ever."""

    async def is_felt() -> bool:
        if isinstance(fault, ServiceSlow) and _has_hit(lab, fault):
            return True
        told = [each for spec in specs if (each := await described(lab, spec.workflow_id))]
        pending = [each for d in told for each in d.raw_description.pending_activities]
        has_failed = any(each.attempt > 1 or each.HasField("last_failure") for each in pending)
        return has_failed and (not isinstance(fault, OnCalls) or _has_hit(lab, fault))

    with suppress(DeadlineExceededError):
        await wait_until(
            is_felt,
            what=f"{fault.kind} at {fault.service} is felt",
            deadline_seconds=HOLD_SECONDS,
            interval_seconds=_LOOK_SECONDS,
        )


def _has_hit(lab: Lab, fault: OnCalls) -> bool:
    """Whether the wire has a call that it hit, and which is over."""
    calls = service_calls(read_wire(lab.stack.evidence_folder))
    return any(call.broken_by == fault.name for _, call in calls)


def _figures(service: str) -> Figures:
    def figures(evidence: Evidence) -> Sequence[Figure]:
        met = calls_that_met_faults(evidence, service)
        affected = [(each.workflow, each.activity) for each in met]
        return (*_calls(met), *attempt_figures(evidence, affected))

    return figures


def _calls(met: Sequence[MetCall]) -> Iterator[Figure]:
    """Of each type of activity: how many of its calls met the fault, and how long one waited."""
    for kind in sorted({each.activity.kind for each in met}):
        own = [each for each in met if each.activity.kind == kind]
        calls = {each.call.at: each.call for each in own}.values()
        yield Figure(name=f"calls of {kind} that met it", value=len(calls), unit="calls")
        limit = min(each.activity.start_to_close_seconds for each in own)
        waited = [
            (call.ended_at - call.at).total_seconds()
            for call in calls
            if call.delivered_at is None and call.ended_at
        ]
        if waited:
            within = f" (start-to-close {limit:g} s)" if limit else ""
            yield Figure(
                name=f"longest unanswered call of {kind}{within}",
                value=round(max(waited), 3),
                unit=SECONDS,
            )


HEADING = Heading(
    name="broken_dependencies",
    title="Break the things your Workflows call",
    watches="calls that met it, attempts, backoff, heartbeats, how long a call waits",
    make=_scenario,
    why_not=no_service,
)
