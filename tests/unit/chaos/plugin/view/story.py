"""Runs as they are told, without running anything."""

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
    News,
    Planned,
    PlannedCase,
    Reached,
    Stage,
    Told,
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


def state_of(planned: Iterable[PlannedCase], *told: Told) -> State:
    return reduce(after, told, after(State(), Told(0, Planned(tuple(planned)))))


def journaled(at_seconds: float, event: Event, name: CaseName = ONE, **fields: str) -> Told:
    entry = Entry.model_validate({"at": datetime.now(UTC), "event": event, **fields})
    return Told(at_seconds, Journaled(name, entry))


def fault(at_seconds: float, kind: str, target: str, name: CaseName = ONE) -> Told:
    return journaled(at_seconds, Event.FAULT, name, kind=kind, target=target)


def healed(at_seconds: float, target: str, name: CaseName = ONE) -> Told:
    return journaled(at_seconds, Event.HEALED, name, target=target)


def reached(at_seconds: float, stage: Stage, name: CaseName = ONE) -> Told:
    return Told(at_seconds, Reached(name, stage))


def judged(
    at_seconds: float, verdict: Verdict, name: CaseName = ONE, reason: str = "18 checks hold"
) -> Told:
    return Told(at_seconds, Judged(name, verdict, reason))


def told(at_seconds: float, news: News) -> Told:
    return Told(at_seconds, news)


def alone(*scenarios: str) -> tuple[CaseName, ...]:
    return tuple(CaseName(scenario, "only", alone=True) for scenario in scenarios)


def busy(names: tuple[CaseName, ...], *, passed: int, waiting: int, failed: int = 0) -> State:
    """Some have passed, then some have failed, the last ones wait; a fault is at all others."""
    running = names[passed + failed : len(names) - waiting]
    news: list[Told] = []
    for name in names[: len(names) - waiting]:
        news += [reached(1, Stage.STARTING, name), reached(2, Stage.RUNNING, name)]
    news += [judged(40, Verdict.PASSED, name) for name in names[:passed]]
    news += [
        judged(45, Verdict.FAILED, name, "billed_at_most_expected: a video was billed twice")
        for name in names[passed : passed + failed]
    ]
    news += [fault(50, "half_open", "worker-2>server", name) for name in running]
    return state_of([case(name) for name in names], *news)
