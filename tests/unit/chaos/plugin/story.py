"""What a run says while it goes on, without running anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from chaos.evidence.journal import Entry, Event
from chaos.experiment.events import (
    CaseName,
    Journaled,
    Judged,
    PlannedCase,
    Reached,
    RunEvent,
    Stage,
)
from chaos.invariants.verdict import Verdict
from chaos.plugin.watched import CaseState

ONE_VIDEO_USD = Decimal("1.239")
ONE = CaseName("worker_crash", "sigkill_twice", alone=True)


def case(
    name: CaseName = ONE,
    *,
    workflows: int = 1,
    control: bool = False,
    billed_usd: Callable[[], Decimal] = lambda: Decimal(0),
) -> PlannedCase:
    return PlannedCase(name, workflows, ONE_VIDEO_USD * workflows, control, billed_usd)


def state_of(planned: PlannedCase, *events: tuple[float, RunEvent]) -> CaseState:
    state = CaseState(planned)
    for at_seconds, event in events:
        state.take(at_seconds, event)
    return state


def journaled(
    at: float, event: Event, name: CaseName = ONE, **fields: str
) -> tuple[float, Journaled]:
    entry = Entry.model_validate({"at": datetime.now(UTC), "event": event, **fields})
    return at, Journaled(name, entry)


def fault(at: float, kind: str, target: str, name: CaseName = ONE) -> tuple[float, Journaled]:
    return journaled(at, Event.FAULT, name, kind=kind, target=target)


def healed(at: float, target: str, name: CaseName = ONE) -> tuple[float, Journaled]:
    return journaled(at, Event.HEALED, name, target=target)


def reached(at: float, stage: Stage, name: CaseName = ONE) -> tuple[float, Reached]:
    return at, Reached(name, stage)


def judged(
    at: float, verdict: Verdict, name: CaseName = ONE, reason: str = "18 checks hold"
) -> tuple[float, Judged]:
    return at, Judged(name, verdict, reason)


def busy(count: int, *, passed: int, failed: int, waiting: int) -> Sequence[CaseState]:
    """Scenarios of one case: first those that passed, last those that wait; others have a fault."""
    states = []
    for n in range(count):
        name = CaseName(f"scenario_{n}", "only", alone=True)
        running = [reached(2, Stage.RUNNING, name), fault(50, "half_open", "worker-2>api", name)]
        if n < passed:
            running.append(judged(60, Verdict.PASSED, name))
        elif n < passed + failed:
            running.append(judged(60, Verdict.FAILED, name, "billed twice"))
        states.append(state_of(case(name), *(running if n < count - waiting else ())))
    return states
