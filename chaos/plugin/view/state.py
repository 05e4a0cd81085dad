"""How a run stands: a state, and what each event makes of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from chaos.evidence.journal import Entry, Event
from chaos.experiment.events import (
    Billed,
    CaseName,
    Finished,
    Journaled,
    Judged,
    Message,
    Planned,
    PlannedCase,
    Reached,
    Stage,
    TimedEvent,
    WorkflowEnded,
)
from chaos.invariants.verdict import Verdict

REMARKS_KEPT = 8

_DEADLY = frozenset({"kill", "terminate"})
"""Done in a moment. Such a fault counts as active until its target, or a later one's, is healed."""


@dataclass(frozen=True)
class ActiveFault:
    """A fault that was injected and is not healed."""

    kind: str
    target: str
    since_seconds: float


@dataclass(frozen=True)
class Remark:
    """Something worth a line of its own; `is_bad` where a verdict or the experiment is."""

    at_seconds: float
    about: str
    text: str
    is_bad: bool = False


@dataclass(frozen=True)
class CaseState:
    """How a case stands. `note` is the newest that its experiment has said."""

    planned: PlannedCase
    stage: Stage = Stage.WAITING
    note: str = ""
    faults: tuple[ActiveFault, ...] = ()
    started: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()
    billed_usd: Decimal = Decimal(0)
    began_seconds: float | None = None
    ended_seconds: float | None = None
    verdict: Verdict | None = None
    reason: str = ""

    @property
    def workflows(self) -> int:
        """How many it will have started in the end, as far as is known."""
        return max(self.planned.workflows, len(self.started))


@dataclass(frozen=True)
class State:
    """How all cases stand, and what was remarked last."""

    cases: Mapping[CaseName, CaseState] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()


def after(state: State, timed: TimedEvent) -> State:
    """The state once that is known."""
    match timed.event:
        case Planned(cases=planned):
            return replace(state, cases={case.name: CaseState(case) for case in planned})
        case Message(about=about, text=text):
            return _remarked(state, Remark(timed.at_seconds, about, text))
        case Finished(scenario=scenario, verdict=verdict, reason=reason):
            if verdict is Verdict.PASSED:
                return state
            remark = Remark(timed.at_seconds, scenario, f"{verdict}: {reason}", is_bad=True)
            return _remarked(state, remark)
        case Journaled(case=name, entry=entry):
            known = _remarked(state, _remark_of(timed.at_seconds, name, entry))
            return _with(known, _journaled(known.cases[name], entry, timed.at_seconds))
        case Reached(case=name) | WorkflowEnded(case=name) | Billed(case=name) | Judged(case=name):
            return _with(state, _case_after(state.cases[name], timed))


def _case_after(case: CaseState, timed: TimedEvent) -> CaseState:
    match timed.event:
        case Reached(stage=stage):
            if case.verdict is not None:  # its second try
                case = CaseState(case.planned)
            began = timed.at_seconds if case.began_seconds is None else case.began_seconds
            return replace(case, stage=stage, began_seconds=began)
        case WorkflowEnded(workflow_id=workflow_id):
            return replace(case, ended=case.ended | {workflow_id})
        case Billed(usd=usd):
            return replace(case, billed_usd=usd)
        case Judged(verdict=verdict, reason=reason):
            return replace(
                case, verdict=verdict, reason=reason, ended_seconds=timed.at_seconds, faults=()
            )
        case _:
            return case


def _journaled(case: CaseState, entry: Entry, at_seconds: float) -> CaseState:
    match entry.event:
        case Event.STAGE | Event.SIGNALED | Event.TROUBLE:
            return replace(case, note=entry.text)
        case Event.FAULT:
            fault = ActiveFault(entry.kind or "fault", entry.target or "?", at_seconds)
            return replace(case, faults=(*case.faults, fault))
        case Event.HEALED:
            return replace(case, faults=_without(case.faults, entry.target))
        case Event.ENDING:
            return replace(case, faults=())
        case Event.WORKFLOW:
            started_again = {entry.workflow_id or ""}
            return replace(
                case, started=case.started | started_again, ended=case.ended - started_again
            )
        case _:
            return case


def _without(faults: tuple[ActiveFault, ...], healed: str | None) -> tuple[ActiveFault, ...]:
    """What is left when a target is healed of its oldest lasting fault, and of the deadly ones.

    Who was killed is often succeeded by another: a later recovery tells that this one is over, too.
    """
    newest = max((n for n, fault in enumerate(faults) if fault.target == healed), default=-1)
    lasting = (n for n, f in enumerate(faults) if f.target == healed and f.kind not in _DEADLY)
    oldest = next(lasting, -1)
    return tuple(
        fault
        for n, fault in enumerate(faults)
        if n != oldest and not (fault.kind in _DEADLY and n <= newest)
    )


def _remark_of(at_seconds: float, case: CaseName, entry: Entry) -> Remark | None:
    match entry.event:
        case Event.FAULT:
            place = f", boundary {entry.boundary}" if entry.boundary else ""
            return Remark(at_seconds, str(case), f"{entry.kind} at {entry.target}{place}")
        case Event.TROUBLE:
            return Remark(at_seconds, str(case), entry.text, is_bad=True)
        case _:
            return None


def _remarked(state: State, remark: Remark | None) -> State:
    if remark is None:
        return state
    return replace(state, remarks=(*state.remarks, remark)[-REMARKS_KEPT:])


def _with(state: State, case: CaseState) -> State:
    return replace(state, cases={**state.cases, case.planned.name: case})
