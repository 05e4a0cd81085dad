"""The same load again and again in one case: undisturbed, which is measured, then under limits."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chaos.environment.target import Target
from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry, Event
from chaos.evidence.samples import WORKER_MEMORY, over_time
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab, Options
from chaos.guide.figures import processors
from chaos.guide.load import load, prepared
from chaos.invariants.figures import SECONDS, Figure
from chaos.invariants.recovery.faults import is_over_by
from chaos.wire.journal import Called, WireRecords, service_of

WORKERS = 2
LOADS = 2

_MIB = 1024 * 1024
_WINDOW = timedelta(seconds=1)


@dataclass(frozen=True)
class Limited:
    """One load under a limit: the fault, and the workflows that were started while it lasted."""

    fault: Entry
    workflows: Sequence[Workflow]


@dataclass(frozen=True)
class Phases:
    """The expected workflows that have ended, by when they were started: before the first limit, or
    under one. Of a case that broke off there may be none.
    """

    undisturbed: Sequence[Workflow]
    limited: Sequence[Limited]

    @classmethod
    def of(cls, evidence: Evidence) -> Phases:
        """Those of a case."""
        faults = [entry for entry in evidence.journal if entry.event is Event.FAULT]
        ended = [each for each in evidence.workflows.values() if each.closed_at]
        first = [each for each in ended if not faults or each.started_at < faults[0].at]
        limited = [
            Limited(
                fault,
                [w for w in ended if fault.at <= w.started_at <= is_over_by(evidence, fault)],
            )
            for fault in faults
        ]
        return cls(first, [each for each in limited if each.workflows])

    @property
    def can_be_compared(self) -> bool:
        """Whether there are workflows of both kinds."""
        return bool(self.undisturbed and self.limited)


def latencies(phases: Phases) -> Iterator[Figure]:
    """How long a workflow took in each phase, the median of all."""
    name = "workflow latency"
    yield Figure(name=f"{name}, undisturbed", value=latency(phases.undisturbed), unit=SECONDS)
    for each in phases.limited:
        where = f"limit of {service_of(each.fault.target or '')}"
        yield Figure(name=f"{name}, {where}", value=latency(each.workflows), unit=SECONDS)


def latency(workflows: Sequence[Workflow]) -> float:
    """The median of how long they took, in seconds."""
    return statistics.median(
        (w.closed_at - w.started_at).total_seconds() for w in workflows if w.closed_at
    )


def span_seconds(workflows: Sequence[Workflow]) -> float:
    """From when the first of them started until the last one had ended."""
    ends = [w.closed_at for w in workflows if w.closed_at]
    return (max(ends) - min(w.started_at for w in workflows)).total_seconds()


def peak_per_second(calls: Sequence[Called]) -> int:
    """The most that came within any one second."""
    times: Sequence[datetime] = sorted(call.at for call in calls)
    most, begin = 0, 0
    for number, at in enumerate(times):
        while at - times[begin] > _WINDOW:
            begin += 1
        most = max(most, number - begin + 1)
    return most


def usage(evidence: Evidence, phases: Phases) -> Iterator[Figure]:
    """What the workers took, undisturbed and under each limit: of the processors in the mean, and
    of the memory at most.
    """
    spans = {"undisturbed": phases.undisturbed} | {
        f"limit of {service_of(each.fault.target or '')}": each.workflows for each in phases.limited
    }
    for name, workflows in spans.items():
        ends = [w.closed_at for w in workflows if w.closed_at]
        begin_at, end = min(w.started_at for w in workflows), max(ends)
        yield from processors(evidence, begin_at, end, f", {name}")
        within = [each for each in evidence.samples if begin_at <= each.at <= end]
        if memory := [value for _, value in over_time(within, WORKER_MEMORY)]:
            most = round(max(memory) / _MIB)
            yield Figure(name=f"memory of the workers, {name}", value=most, unit="MiB")


async def begin(lab: Lab) -> None:
    """The target's conditions, and its workers, on the wire."""
    settings = await prepared(lab)
    for _ in range(WORKERS):
        await lab.worker(settings=settings, wire=True)


def load_of(target: Target, options: Options, phase: int) -> Sequence[WorkflowSpec]:
    """The load of a phase, from 0: twice what the user asks for, so that there is more than a limit
    lets pass.
    """
    count = LOADS * options.workflows
    return load(target, count, first=1 + phase * count)


def calls_of(wire: WireRecords, service: str = "") -> Sequence[Called]:
    """The calls of a service, or of the server, on all lines that lead there."""
    chosen = [records for line, records in wire.items() if service_of(line) == service]
    return [each for records in chosen for each in records if isinstance(each, Called)]
