"""From the wire records of a fault-free run to the stops at which a fault can hit.

A point is one call at one phase, and all the boundaries that it is at then: a workflow task that
completes with markers and is answered with an eager activity is at all of these at once, and one
kill shows the result for each. Every boundary is at one point only, the first that comes to it.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from chaos.wire.boundary import Boundary, Crossing, Kind, Stage
from chaos.wire.journal import Called, WireRecords, service_of

MANY_HEARTBEATS = 4
"""From so many heartbeats of an activity on, the last is a point as well as the first."""

_NAME_LENGTH = 80

_Item = TypeVar("_Item")


_ASKED = {Stage.COMPLETING, Stage.FAILING, Stage.LEAVING}


class PlanError(Exception):
    """No points can be made from a run. One sentence: what is unexpected or missing in it."""


class Phase(StrEnum):
    """The phase of a call: not sent on yet, answered and not delivered, or over."""

    ASKED = "asked"
    ANSWERED = "answered"
    HANDED_OVER = "handed_over"

    @classmethod
    def of(cls, stage: Stage) -> Phase:
        """That of a call which is at this stage of something."""
        if stage is Stage.DELIVERED:
            return cls.HANDED_OVER
        return cls.ASKED if stage in _ASKED else cls.ANSWERED

    def time_of(self, call: Called) -> datetime:
        """When a call came to it, or at the latest."""
        if self is Phase.ASKED:
            return call.at
        if self is Phase.ANSWERED:
            return call.replied_at or call.at
        return call.delivered_at or call.replied_at or call.at


class CrashPoint(BaseModel):
    """The boundaries of a call at one phase; a breakpoint at the first of them shows all.

    Calls of a `service` are counted by themselves. `is_own` is False of what a child workflow does,
    whose id may be another in each run.
    """

    model_config = ConfigDict(frozen=True)

    boundaries: tuple[Boundary, ...]
    service: str = ""
    is_own: bool = True

    @property
    def boundary(self) -> Boundary:
        """The one at which the call is held."""
        return self.boundaries[0]

    @property
    def phase(self) -> Phase:
        """Where the call is."""
        return Phase.of(self.boundary.stage)

    @property
    def kind(self) -> str:
        """Its kind, which it shares with others, without its number."""
        return f"{self.boundary.kind} {self.boundary.subject} {self.boundary.stage}"

    @property
    def name(self) -> str:
        """A name that is unique in a run, and valid for a file."""
        text = f"{self.service} {self.boundary}" if self.service else str(self.boundary)
        text = text if self.is_own else f"child {text}"
        slug = re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")
        if re.fullmatch(r"[A-Za-z0-9_. ]+", text) and len(slug) <= _NAME_LENGTH:
            return slug
        # Two texts may look alike without what a file cannot have.
        return f"{slug[:_NAME_LENGTH]}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


class Action(StrEnum):
    """What is done at a crash point. `KILL`: the worker's processes die while the call is held
    there, and it goes no further. `DROP`: only the call is lost, and its connection breaks.
    """

    KILL = "kill"
    DROP = "drop"


class Disturbance(BaseModel):
    """A crash point, and what is done there."""

    model_config = ConfigDict(frozen=True)

    point: CrashPoint
    action: Action = Action.KILL

    @property
    def name(self) -> str:
        """A unique name, valid for a file and a workflow's id."""
        return f"{self.action}-{self.point.name}"


@dataclass(frozen=True)
class Come:
    """A call that came to a phase: when, and where it is then."""

    at: datetime
    point: CrashPoint


def crash_points(records: WireRecords, workflow_id: str) -> Sequence[CrashPoint]:
    """All points of a run, in the order in which calls came to them. `records` are those of one
    worker's lines, and of nothing but this workflow and what it started.
    """
    found = sorted(_come(records, workflow_id), key=lambda come: come.at)
    seen: set[tuple[str, bool, Boundary]] = set()
    chosen: list[CrashPoint] = []
    for point in _some_heartbeats([come.point for come in found]):
        new = [b for b in point.boundaries if (point.service, point.is_own, b) not in seen]
        seen |= {(point.service, point.is_own, boundary) for boundary in new}
        if new:
            chosen.append(point.model_copy(update={"boundaries": tuple(new)}))
    return chosen


def _come(records: WireRecords, workflow_id: str) -> Iterator[Come]:
    for line, of_line in records.items():
        calls = [record for record in of_line if isinstance(record, Called) and record.crossings]
        if service := service_of(line):
            yield from _of_service(service, calls)
        else:
            for call in calls:
                yield from _of_task(call, workflow_id)


def _of_task(call: Called, workflow_id: str) -> Iterator[Come]:
    phases: defaultdict[tuple[Phase, bool], list[Boundary]] = defaultdict(list)
    for crossing in call.crossings:
        is_own = crossing.workflow_id == workflow_id
        phases[Phase.of(crossing.boundary.stage), is_own].append(crossing.boundary)
    for (phase, is_own), boundaries in phases.items():
        yield Come(phase.time_of(call), CrashPoint(boundaries=tuple(boundaries), is_own=is_own))


def _of_service(service: str, calls: Sequence[Called]) -> Iterator[Come]:
    """Counted from the first call on: a breakpoint is set before the workflow starts."""
    counted: Counter[str] = Counter()
    for call in sorted(calls, key=lambda each: each.at):
        counted[call.crossings[0].boundary.subject] += 1
        for crossing in call.crossings:
            ordinal = counted[crossing.boundary.subject]
            boundary = crossing.boundary.model_copy(update={"ordinal": ordinal})
            at = Phase.of(boundary.stage).time_of(call)
            yield Come(at, CrashPoint(boundaries=(boundary,), service=service))


def _some_heartbeats(found: Sequence[CrashPoint]) -> Iterator[CrashPoint]:
    """Without those heartbeats of an activity that are neither its first nor, of many, its last.

    Of each activity: those of one type from one assignment of it to the next.
    """
    activities: Counter[str] = Counter()
    beats: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for point in found:
        first = point.boundary
        if first.kind is Kind.HEARTBEAT and first.stage is Stage.COMPLETING:
            beats[first.subject, activities[first.subject]].append(first.ordinal)
        activities.update(
            b.subject
            for b in point.boundaries
            if b.kind is Kind.ACTIVITY and b.stage is Stage.ASSIGNED
        )
    kept = {
        (subject, ordinal)
        for (subject, _), ordinals in beats.items()
        for ordinal in (
            ordinals[0],
            *([ordinals[-1]] if len(ordinals) >= MANY_HEARTBEATS else []),
        )
    }
    for point in found:
        is_heartbeat = point.boundary.kind is Kind.HEARTBEAT
        if not is_heartbeat or (point.boundary.subject, point.boundary.ordinal) in kept:
            yield point


def during(crossing: Crossing) -> Sequence[str]:
    """The types of the activities that were in flight; those of the second have its number."""
    return [re.sub(r" [0-9]+$", "", name) for name in crossing.during]


def own_crossings(records: WireRecords, workflow_id: str) -> Iterator[tuple[Called, Crossing]]:
    """Each call to the server with each boundary of a workflow that it came to."""
    for line, of_line in records.items():
        for record in of_line:
            if isinstance(record, Called) and not service_of(line):
                for crossing in record.crossings:
                    if crossing.workflow_id == workflow_id:
                        yield record, crossing


def spread(
    items: Sequence[_Item], most: int | None, kind: Callable[[_Item], Hashable], seed: int
) -> Sequence[_Item]:
    """A sample, as varied as possible: no kind gets a second before each has its first."""
    dice = random.Random(seed)  # noqa: S311 - no secret depends on it
    kinds: defaultdict[Hashable, list[_Item]] = defaultdict(list)
    for each in dice.sample(items, len(items)):
        kinds[kind(each)].append(each)
    turns = [(turn, each) for same in kinds.values() for turn, each in enumerate(same)]
    turns.sort(key=lambda pair: pair[0])
    return [each for _, each in turns[:most]]
