"""What the workflow of a campaign knows. It takes all of it along when it continues as new."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel

from chaos.invariants.verdict import Verdict
from chaos.search.campaign.model import (
    CaseRef,
    Ended,
    Judged,
    Machine,
    Never,
    Progress,
    State,
)

MOST_TOLD = 100
"""Verdicts that one turn is told, and cases that it is asked for: its input stays far below what
one message to the server may have, 2 MiB.
"""

MOST_RECENT = 200
"""Verdicts that can be read from the workflow itself, without what they covered."""

SILENT_AFTER = timedelta(minutes=15)
"""A machine without a verdict for so long is not counted on."""

_LONGEST_REASON = 300

_SHORTEST_LEFT = timedelta(milliseconds=1)


class Limits(BaseModel):
    """What a campaign allows its cases and itself; the tests have shorter ones."""

    heartbeat_seconds: float = 30.0
    case_hours: float = 3.0
    attempts: int = 30
    """Of a case: with a machine killed every 20 s one of 50 points had lost ten."""
    least_open: int = 16
    """Cases that are open at least, so that a machine that joins finds work."""
    most_events: int = 30_000
    """Of a history: below what a server permits, 50,000."""
    most_bytes: int = 20_000_000
    most_given_up: int = 1000
    """Cases that no machine could judge. All are named at the end, and in the next run's input."""


class Account(BaseModel):
    """The verdicts so far, counted; the search's turns; the running time."""

    limits: Limits = Limits()
    began_at: AwareDatetime | None = None
    is_planned: bool = False
    total: int | None = None
    turns: int = 0
    is_last: bool = False
    passed: int = 0
    failed: int = 0
    unknown: int = 0
    run_again: int = 0
    machines: dict[str, Machine] = {}
    untold: list[Judged] = []
    """Verdicts that no turn was told yet."""
    recent: list[Judged] = []
    returned: list[CaseRef] = []
    """Cases that were handed out and come back, not begun."""
    never: list[Never] = []
    used: timedelta = timedelta()
    """The running time until `running_since`, which is None while it is paused."""
    running_since: AwareDatetime | None = None
    limit: timedelta | None = None
    """The running time after which nothing more is begun."""
    why: str = ""
    """Why it ends although there may be more to do."""
    is_broken: bool = False
    """It ends because a part of it cannot go on."""

    @property
    def seen(self) -> int:
        """All verdicts."""
        return self.passed + self.failed + self.unknown

    @property
    def is_paused(self) -> bool:
        """Whether the running time stands."""
        return self.running_since is None

    def judge(self, judged: Judged, now: datetime) -> None:
        """Take note of a verdict."""
        match judged.verdict:
            case Verdict.PASSED:
                self.passed += 1
            case Verdict.FAILED:
                self.failed += 1
            case Verdict.UNKNOWN:
                self.unknown += 1
        self.run_again += bool(judged.lost)
        self.untold.append(judged)
        self.recent.append(judged.model_copy(update={"cells": (), "shapes": ()}))
        del self.recent[:-MOST_RECENT]
        for lost in judged.lost:
            self.machines.pop(lost.machine, None)
        if judged.machine:
            before = self.machines.get(judged.machine)
            count = 1 + (before.judged if before else 0)
            self.machines[judged.machine] = Machine(
                name=judged.machine, slots=judged.slots, judged=count, last_at=now
            )

    def give_up(self, name: str, reason: str, now: datetime) -> None:
        """No machine could judge a case: it is unknown, and has no evidence."""
        reason = reason[:_LONGEST_REASON]
        self.judge(Judged(name=name, verdict=Verdict.UNKNOWN, reason=reason), now)
        self.never.append(Never(name=name, reason=reason))

    @property
    def is_hopeless(self) -> bool:
        """Whether so many cases could not be judged that the others will not be either."""
        return len(self.never) >= self.limits.most_given_up

    def slots(self, now: datetime) -> int:
        """The cases that the machines seen of late can run at once."""
        heard = (each for each in self.machines.values() if now - each.last_at <= SILENT_AFTER)
        return sum(each.slots for each in heard)

    def most_open(self, now: datetime) -> int:
        """So many cases may be open: each slot has one, and one waits for it."""
        return max(self.limits.least_open, 2 * self.slots(now))

    def room(self, now: datetime, opened: int) -> int:
        """How many more are asked for. A few at a time: each turn costs as much as a case does."""
        most = self.most_open(now)
        room = most - opened
        return min(room, MOST_TOLD) if not opened or 4 * room >= most else 0

    def pause(self, now: datetime) -> None:
        """Stop the running time."""
        self.used, self.running_since = self.ran(now), None

    def resume(self, now: datetime) -> None:
        """Let the running time go on."""
        if self.running_since is None:
            self.running_since = now

    def ran(self, now: datetime) -> timedelta:
        """The running time, without pauses."""
        return self.used + (now - self.running_since if self.running_since else timedelta())

    def grant(self, minutes: float | None, now: datetime) -> None:
        """Let it run for so long from now on, or for as long as it takes."""
        self.limit = None if minutes is None else self.ran(now) + timedelta(minutes=minutes)

    def left(self, now: datetime) -> timedelta | None:
        """The running time that is left; None where it has no limit."""
        return None if self.limit is None else max(self.limit - self.ran(now), timedelta())

    def is_up(self, now: datetime) -> bool:
        """Whether its time is over."""
        left = self.left(now)
        return left is not None and left < _SHORTEST_LEFT

    def state(self, now: datetime) -> State:
        """What it is doing, while its workflow runs."""
        if self.why or self.is_up(now):
            return State.ENDING
        if self.is_paused:
            return State.PAUSED
        return State.RUNNING if self.is_planned else State.PLANNING

    def progress(self, now: datetime, state: State, opened: int, since: int) -> Progress:
        """What a client is told, with the verdicts after the first `since` ones."""
        left = self.left(now)
        new = max(self.seen - since, 0)
        return Progress(
            state=state,
            seen=self.seen,
            total=self.total,
            open=opened,
            passed=self.passed,
            failed=self.failed,
            unknown=self.unknown,
            machines=tuple(self.machines.values()),
            minutes_left=None if left is None else left / timedelta(minutes=1),
            why_ended=self.why,
            recent=tuple(self.recent[-new:]) if new else (),
        )

    def ended(self, campaign_id: str, now: datetime) -> Ended:
        """The end of it."""
        return Ended(
            campaign_id=campaign_id,
            began_at=self.began_at or now,
            ended_at=now,
            why=self.why,
            judged=self.seen,
            passed=self.passed,
            failed=self.failed,
            unknown=self.unknown,
            run_again=self.run_again,
            never=tuple(self.never),
        )
