"""The events of a run, for a live view. No verdict depends on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from chaos.evidence.journal import Entry
from chaos.invariants.verdict import Verdict


class Stage(StrEnum):
    """The stage of a case. `RUNNING` is its experiment, `SAVING` what follows it."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    CONVERGING = "converging"
    SAVING = "saving"
    JUDGING = "judging"


@dataclass(frozen=True)
class CaseName:
    """A case of a scenario; `alone` if its scenario has no other case."""

    scenario: str
    case: str
    alone: bool = False

    def __str__(self) -> str:
        return self.scenario if self.alone else f"{self.scenario}/{self.case}"


@dataclass(frozen=True)
class PlannedCase:
    """A case that will run: how many workflows it starts, and their ideal cost. `billed_usd`
    returns what was billed so far. A `control` counts in no sum of workflows or bills.
    """

    name: CaseName
    workflows: int
    ideal_usd: Decimal
    control: bool
    billed_usd: Callable[[], Decimal]


@dataclass(frozen=True)
class Planned:
    """Everything that this run will do."""

    cases: tuple[PlannedCase, ...]


@dataclass(frozen=True)
class Message:
    """Something done for all cases, such as building a program."""

    about: str
    text: str


@dataclass(frozen=True)
class Reached:
    """A case has reached its next stage."""

    case: CaseName
    stage: Stage


@dataclass(frozen=True)
class Journaled:
    """An entry of a case's journal."""

    case: CaseName
    entry: Entry


@dataclass(frozen=True)
class WorkflowEnded:
    """A workflow has ended, in any way."""

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
    """Shows a run live. All methods are called by the thread that waits for results."""

    def handle(self, timed: TimedEvent) -> None:
        """Take note of an event."""

    def refresh(self, now_seconds: float) -> None:
        """Show the present state; called repeatedly while a result is awaited."""

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
