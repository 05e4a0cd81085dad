"""How each case stands while a run goes on, as the live view shows it. No verdict is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from chaos.evidence.journal import Entry, Event
from chaos.experiment.events import (
    Journaled,
    Judged,
    PlannedCase,
    Reached,
    RunEvent,
    Stage,
    WorkflowEnded,
)
from chaos.invariants.verdict import Verdict, merge

_SHORT = frozenset({"kill", "terminate"})
"""Done in a moment: such a fault counts as active until its target, or its successor, is back."""

_INTEREST = (
    *(Stage.WAITING, Stage.STARTING, Stage.JUDGING),
    *(Stage.SAVING, Stage.CONVERGING, Stage.RUNNING),
)
"""Stages, the one of most interest last."""


@dataclass(frozen=True)
class ActiveFault:
    """A fault that was injected and is not reverted."""

    kind: str
    target: str
    since_seconds: float


@dataclass
class CaseState:
    """How a case stands. `note` is the newest text of its experiment."""

    planned: PlannedCase
    stage: Stage = Stage.WAITING
    note: str = ""
    faults: list[ActiveFault] = field(default_factory=list)
    started: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    billed_usd: Decimal = Decimal(0)
    began_seconds: float | None = None
    ended_seconds: float | None = None
    verdict: Verdict | None = None
    reason: str = ""

    @property
    def workflows(self) -> int:
        """How many it will have started in the end, as far as is known."""
        return max(self.planned.workflows, len(self.started))

    @property
    def interest(self) -> tuple[bool, bool, int]:
        """Of several cases the one with the greatest is shown."""
        return (self.verdict is None, bool(self.faults), _INTEREST.index(self.stage))

    def take(self, at_seconds: float, event: RunEvent) -> None:
        """Change by an event of this case."""
        match event:
            case Reached(stage=stage):
                if self.verdict is not None:  # its second try
                    self.__init__(self.planned)  # type: ignore[misc] # all from the beginning
                self.stage = stage
                if self.began_seconds is None:
                    self.began_seconds = at_seconds
            case WorkflowEnded(workflow_id=workflow_id):
                self.ended.add(workflow_id)
            case Judged(verdict=verdict, reason=reason):
                self.verdict, self.reason = verdict, reason
                self.ended_seconds, self.faults = at_seconds, []
            case Journaled(entry=entry):
                self._take_entry(at_seconds, entry)

    def _take_entry(self, at_seconds: float, entry: Entry) -> None:
        match entry.event:
            case Event.STAGE | Event.SIGNALED | Event.TROUBLE:
                self.note = entry.text
            case Event.FAULT:
                fault = ActiveFault(entry.kind or "fault", entry.target or "?", at_seconds)
                self.faults.append(fault)
            case Event.HEALED:
                self._revert(entry.target)
            case Event.ENDING:
                self.faults = []
            case Event.WORKFLOW:
                self.started.add(entry.workflow_id or "")
                self.ended.discard(entry.workflow_id or "")

    def _revert(self, target: str | None) -> None:
        """The oldest lasting fault at the target is over, and so are all short ones before its
        last: what was killed often returns under another name.
        """
        of_target = [fault for fault in self.faults if fault.target == target]
        lasting = [fault for fault in of_target if fault.kind not in _SHORT]
        self.faults = [
            fault
            for n, fault in enumerate(self.faults)
            if fault not in lasting[:1]
            and not (fault.kind in _SHORT and set(of_target) & set(self.faults[n:]))
        ]


@dataclass(frozen=True)
class Row:
    """What is shown of a scenario, or of one of its cases."""

    name: str
    cases: Sequence[CaseState]

    @property
    def shown(self) -> CaseState:
        """The case of which the row tells."""
        return max(self.cases, key=lambda case: case.interest)

    @property
    def verdict(self) -> Verdict | None:
        """The gravest so far; no pass while a case has none."""
        known = [case.verdict for case in self.cases if case.verdict is not None]
        found = merge(known) if known else None
        return None if found is Verdict.PASSED and len(known) < len(self.cases) else found

    @property
    def is_open(self) -> bool:
        """Whether a case has no verdict yet."""
        return any(case.verdict is None for case in self.cases)

    @property
    def state(self) -> str:
        """A verdict, `waiting` or `running`."""
        if self.verdict:
            return str(self.verdict)
        return "waiting" if all(case.began_seconds is None for case in self.cases) else "running"

    @property
    def stage(self) -> str:
        """The verdict with its reason, once all have one; else the newest note, or the stage."""
        if self.verdict is Verdict.PASSED:
            return str(self.verdict)
        if self.verdict and not self.is_open:
            reason = next(case.reason for case in self.cases if case.verdict is self.verdict)
            return f"{self.verdict}: {reason}"
        case = self.shown
        text = case.note if case.stage is Stage.RUNNING and case.note else str(case.stage)
        is_one_of_several = len(self.cases) > 1 and case.stage is not Stage.WAITING
        return f"{case.planned.name.case}: {text}" if is_one_of_several else text

    def seconds(self, now_seconds: float) -> float | None:
        """How long it has run; None where it has not begun."""
        began = [case.began_seconds for case in self.cases if case.began_seconds is not None]
        ended = [case.ended_seconds for case in self.cases if case.ended_seconds is not None]
        return (now_seconds if self.is_open else max(ended)) - min(began) if began else None


def rows_of(cases: Iterable[CaseState]) -> Sequence[Row]:
    """One for each scenario, in the order of the plan; of one scenario alone, for each case."""
    cases = tuple(cases)
    scenarios: dict[str, list[CaseState]] = {}
    for case in cases:
        scenarios.setdefault(case.planned.name.scenario, []).append(case)
    if len(scenarios) == 1 < len(cases):
        return [Row(case.planned.name.case, [case]) for case in cases]
    return [Row(name, some) for name, some in scenarios.items()]
