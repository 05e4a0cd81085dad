"""The events of a run, for a view of it while it goes on. No verdict is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from chaos.evidence.journal import Entry
from chaos.invariants.verdict import Verdict


class Stage(StrEnum):
    """How far a case has come. `RUNNING` is its experiment, `SAVING` what follows it."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    CONVERGING = "converging"
    SAVING = "saving"
    JUDGING = "judging"


@dataclass(frozen=True)
class CaseName:
    """A case of a scenario; `alone` is one beside which its scenario has no other."""

    scenario: str
    case: str
    alone: bool = False

    def __str__(self) -> str:
        return self.scenario if self.alone else f"{self.scenario}/{self.case}"


@dataclass(frozen=True)
class PlannedCase:
    """A case that will run: how many workflows it starts, and what these cost if nothing is wasted.

    `billed_usd` tells what was billed so far. Neither the workflows nor the bills of a `control`
    count in any sum.
    """

    name: CaseName
    workflows: int
    ideal_usd: Decimal
    control: bool
    billed_usd: Callable[[], Decimal]


@dataclass(frozen=True)
class Planned:
    """All that this run will do."""

    cases: tuple[PlannedCase, ...]


@dataclass(frozen=True)
class Message:
    """Something done for all cases, such as building a program."""

    about: str
    text: str


@dataclass(frozen=True)
class Reached:
    """A case has come to its next stage."""

    case: CaseName
    stage: Stage


@dataclass(frozen=True)
class Journaled:
    """An entry of a case's journal."""

    case: CaseName
    entry: Entry


@dataclass(frozen=True)
class WorkflowEnded:
    """A workflow was seen to have ended, in whatever way."""

    case: CaseName
    workflow_id: str


@dataclass(frozen=True)
class Judged:
    """A case has its verdict."""

    case: CaseName
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Finished:
    """A scenario has its verdict: all its cases have theirs."""

    scenario: str
    verdict: Verdict
    reason: str


RunEvent = Planned | Message | Reached | Journaled | WorkflowEnded | Judged | Finished
Emit = Callable[[RunEvent], None]


@dataclass(frozen=True)
class TimedEvent:
    """An event, with the seconds since the run began."""

    at_seconds: float
    event: RunEvent


class View(Protocol):
    """Shows a run while it goes on. Everything is called by the thread that waits for results."""

    def handle(self, timed: TimedEvent) -> None:
        """Take note of an event."""

    def refresh(self, now_seconds: float) -> None:
        """Show how things stand; called again and again while a result is waited for."""

    def leave(self) -> None:
        """Leave the terminal to others, until the next refresh."""


class NoView:
    """Shows nothing."""

    def handle(self, timed: TimedEvent) -> None:
        """Nothing."""

    def refresh(self, now_seconds: float) -> None:
        """Nothing."""

    def leave(self) -> None:
        """Nothing."""
