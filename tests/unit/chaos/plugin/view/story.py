"""Events of runs, without running anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce

from chaos.evidence.journal import Entry, Event
from chaos.experiment.events import (
    CaseName,
    Journaled,
    Judged,
    Planned,
    PlannedCase,
    Reached,
    RunEvent,
    Stage,
    TimedEvent,
)
from chaos.invariants.verdict import Verdict
from chaos.plugin.view.state import State, after

ONE_VIDEO_USD = Decimal("1.239")
ONE = CaseName("worker_crash", "sigkill_twice", alone=True)
NAMES = (
    *("worker_crash", "retry_config", "server_restart", "checkpoint", "concurrency"),
    *("worker_stop", "fleet", "out_of_memory", "network_server", "network_api", "api_slow"),
    *("api_errors", "key_revoked", "permanent_failures", "no_interference", "server_pause"),
    *("disk_full", "database_damage"),
)
"""Those of the catalogue, as long as they are there."""


class Books:
    """What a case was billed, as its target reads it: each in turn, the last again and again."""

    def __init__(self, *said: str | Exception) -> None:
        self.said: list[str | Exception] = list(said)

    def __call__(self) -> Decimal:
        said = self.said[0] if len(self.said) == 1 else self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        return Decimal(said)


def case(
    name: CaseName = ONE,
    *,
    workflows: int = 1,
    control: bool = False,
    billed_usd: Callable[[], Decimal] = lambda: Decimal(0),
) -> PlannedCase:
    return PlannedCase(
        name=name,
        workflows=workflows,
        ideal_usd=ONE_VIDEO_USD * workflows,
        control=control,
        billed_usd=billed_usd,
    )


def state_of(planned: Iterable[PlannedCase], *events: TimedEvent) -> State:
    return reduce(after, events, after(State(), TimedEvent(0, Planned(tuple(planned)))))


def journaled(at_seconds: float, event: Event, name: CaseName = ONE, **fields: str) -> TimedEvent:
    entry = Entry.model_validate({"at": datetime.now(UTC), "event": event, **fields})
    return TimedEvent(at_seconds, Journaled(name, entry))


def fault(at_seconds: float, kind: str, target: str, name: CaseName = ONE) -> TimedEvent:
    return journaled(at_seconds, Event.FAULT, name, kind=kind, target=target)


def healed(at_seconds: float, target: str, name: CaseName = ONE) -> TimedEvent:
    return journaled(at_seconds, Event.HEALED, name, target=target)


def reached(at_seconds: float, stage: Stage, name: CaseName = ONE) -> TimedEvent:
    return TimedEvent(at_seconds, Reached(name, stage))


def judged(
    at_seconds: float, verdict: Verdict, name: CaseName = ONE, reason: str = "18 checks hold"
) -> TimedEvent:
    return TimedEvent(at_seconds, Judged(name, verdict, reason))


def timed(at_seconds: float, event: RunEvent) -> TimedEvent:
    return TimedEvent(at_seconds, event)


def alone(*scenarios: str) -> tuple[CaseName, ...]:
    return tuple(CaseName(scenario, "only", alone=True) for scenario in scenarios)


def busy(names: tuple[CaseName, ...], *, passed: int, waiting: int, failed: int = 0) -> State:
    """Some have passed, then some have failed, the last ones wait; a fault is at all others."""
    running = names[passed + failed : len(names) - waiting]
    events: list[TimedEvent] = []
    for name in names[: len(names) - waiting]:
        events += [reached(1, Stage.STARTING, name), reached(2, Stage.RUNNING, name)]
    events += [judged(40, Verdict.PASSED, name) for name in names[:passed]]
    events += [
        judged(45, Verdict.FAILED, name, "billed_at_most_expected: a video was billed twice")
        for name in names[passed : passed + failed]
    ]
    events += [fault(50, "half_open", "worker-2>server", name) for name in running]
    return state_of([case(name) for name in names], *events)
