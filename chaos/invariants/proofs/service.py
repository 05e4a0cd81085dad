"""Proof that the calls of open activities met a broken service, by the wire's record of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Workflow
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, proof
from chaos.invariants.recovery.faults import is_over_by
from chaos.wire.journal import Called, read_wire
from chaos.wire.repeats import service_calls

_OF_THE_PROCESS = frozenset({"kill", "pause"})
"""Faults of a service that leave its calls without an answer, and mark none of them."""


@dataclass(frozen=True)
class MetCall:
    """A call of a service that met a fault of it, and an activity that was open then and may have
    made it: the worker had it in flight.
    """

    call: Called
    workflow: Workflow
    activity: Activity


def service_was_hit(service: str, kind: str) -> Invariant:
    """Proof: at least one call of an open activity met a fault of a service. The wire marked it
    (`errors`, `slow`, `read_only`), or it had no answer before the service was back (`kill`,
    `pause`). The worker must be on the wire, and the service be one that it calls over HTTP.
    """

    @proof(f"service_was_hit[{service}: {kind}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        faults = [e for e in _faults_of(evidence, service) if e.kind == kind]
        if not faults:
            yield f"{service} had no fault {kind}"
        elif not any(True for _ in _met(evidence, faults)):
            yield f"{kind} at {service}: no call of an open activity met it"

    return judge


def calls_that_met_faults(evidence: Evidence, service: str) -> list[MetCall]:
    """All calls of open activities that met a fault of a service, in order. Where a worker had
    activities of several types in flight, those count that are known to call that service.
    """
    found = _met(evidence, list(_faults_of(evidence, service)))
    known = _callers(evidence, service)
    sure = (each for each in found if not known or each.activity.kind in known)
    return sorted(sure, key=lambda each: each.call.at)


def _callers(evidence: Evidence, service: str) -> set[str]:
    """The types of activities that called a service when nothing else was in flight."""
    kinds = {each.kind for workflow in evidence.all_workflows for each in workflow.activities}
    found = set()
    for called, call in service_calls(read_wire(evidence.folder)):
        during = call.crossings[0].during if called == service and call.crossings else ()
        possible = {kind for kind in kinds for name in during if _is_one_of(name, kind)}
        found |= possible if len(possible) == 1 else set()
    return found


def _faults_of(evidence: Evidence, service: str) -> Iterator[Entry]:
    return (e for e in evidence.journal if e.event is Event.FAULT and e.target == service)


def _met(evidence: Evidence, faults: list[Entry]) -> Iterator[MetCall]:
    calls = list(service_calls(read_wire(evidence.folder)))
    for fault in faults:
        for service, call in calls:
            if service == fault.target and _has_met(evidence, fault, call):
                yield from _made_by(evidence, fault, call)


def _has_met(evidence: Evidence, fault: Entry, call: Called) -> bool:
    over = is_over_by(evidence, fault)
    if fault.kind not in _OF_THE_PROCESS:
        return fault.at <= call.at <= over and call.broken_by == f"{fault.kind} at {fault.target}"
    ended_at = call.ended_at or call.at
    is_answered = call.replied_at is not None and call.replied_at <= over
    return call.at <= over and ended_at >= fault.at and not is_answered


def _made_by(evidence: Evidence, fault: Entry, call: Called) -> Iterator[MetCall]:
    """The open activities that may have made it: those that the worker had in flight."""
    if not call.crossings:  # the wire refused to pass it on at all
        return
    owner, moment = call.crossings[0], max(call.at, fault.at)
    for workflow in evidence.all_workflows:
        if owner.workflow_id not in {"", evidence.real_id(workflow.workflow_id)}:
            continue
        for activity in workflow.activities:
            names = (each for each in owner.during if _is_one_of(each, activity.kind))
            was_open = activity.scheduled_at <= moment and (
                activity.closed_at is None or activity.closed_at >= moment
            )
            if was_open and any(names):
                yield MetCall(call, workflow, activity)


def _is_one_of(name: str, kind: str) -> bool:
    """Whether `charge_card` or `charge_card 2` is of that type."""
    return name == kind or name.startswith(f"{kind} ")
