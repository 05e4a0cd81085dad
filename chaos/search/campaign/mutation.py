"""A schedule with one thing changed: a fault more or less, at another time, or another action."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from chaos.environment.target import Target
from chaos.faults import AtBoundary, Family
from chaos.search.draw import (
    MOST_ORDINAL,
    REST_SECONDS,
    SECONDS_PER_FAULT,
    actions_at,
    apart,
    draw_fault,
    families_of,
    stages_of,
)
from chaos.search.schedule import Planned, Schedule
from chaos.wire.boundary import Boundary, Kind

TRIES = 8
"""Changes that would change nothing, such as of a fault that no other can stand in for."""

LONGEST_PAUSE_SECONDS = 5.0

MORE = 2
"""Times as many faults as are drawn may come together."""


@dataclass(frozen=True)
class Mutation:
    """Of a schedule, by what chance says; `other` lends it faults. `activities` are types of
    activities that faults have met.
    """

    of: Schedule
    other: Schedule
    dice: random.Random
    target: Target
    activities: Sequence[str] = ()

    def repeated(self, place: int) -> Schedule | None:
        """Its fault at a place comes once more; None where there is none that could."""
        if place >= len(self.of.faults):
            return None
        faults = apart(self._again(self.of.faults[place]))
        return self._with(faults) if len(faults) > len(self.of.faults) else None

    def schedule(self) -> Schedule:
        """It differs from the first in its faults, wherever anything can."""
        kinds, weights = zip(*self._kinds, strict=True)
        for change in self.dice.choices(kinds, weights, k=TRIES):
            faults = apart(change())
            if faults and len(faults) <= self._most and faults != self.of.faults:
                return self._with(faults)
        return self._with(apart((*self.of.faults[1:], self._drawn())))

    @property
    def _kinds(self) -> Sequence[tuple[Callable[[], Sequence[Planned]], int]]:
        """The changes and their weights."""
        return (
            (self._repeated, 2),
            (self._swapped, 3),
            (self._moved, 3),
            (self._added, 3),
            (self._aimed, 2),
            (self._dropped, 2),
            (self._combined, 1),
        )

    @cached_property
    def _most(self) -> int:
        drawn = max(1, round(self.of.duration_seconds / SECONDS_PER_FAULT))
        return max(MORE * drawn, len(self.of.faults))

    def _with(self, faults: Sequence[Planned]) -> Schedule:
        """Each fault is one of its own: it remembers what it did."""
        families = {*self.of.families, *(planned.fault.family for planned in faults)}
        copies = tuple(each.model_copy(deep=True) for each in faults)
        return self.of.model_copy(update={"faults": copies, "families": tuple(sorted(families))})

    def _repeated(self) -> Sequence[Planned]:
        found = self._one()
        return self._again(found) if found else ()

    def _again(self, planned: Planned) -> Sequence[Planned]:
        """A fault comes again: at a boundary to the next call that comes there, else after a rest.
        One of the target's own is of one workflow, and comes once.
        """
        if planned.fault.family in self.target.draws:
            return ()
        if not isinstance(planned.fault, AtBoundary):
            at = round(planned.ends_at_seconds + REST_SECONDS, 2)
            planned = planned.model_copy(update={"at_seconds": at})
        return (*self.of.faults, planned)

    def _swapped(self) -> Sequence[Planned]:
        """Another action at the same boundary, or another fault of the family at the same time."""
        found = self._one()
        if found is None:
            return ()
        if isinstance(found.fault, AtBoundary):
            action = self.dice.choice(
                actions_at(found.fault.boundary.kind, found.fault.boundary.stage)
            )
            return self._instead(found, self._there(found, found.fault.boundary, action))
        if found.fault.family not in families_of(self.target):
            return ()
        drawn = draw_fault(self.dice, self.of, self.target, (found.fault.family,))
        if found.fault.family not in self.target.draws:
            drawn = drawn.model_copy(update={"at_seconds": found.at_seconds})
        return self._instead(found, drawn)

    def _moved(self) -> Sequence[Planned]:
        """At another time, or at another boundary of the same kind."""
        found = self._one()
        if found is None or found.fault.family in self.target.draws:
            return ()
        if not isinstance(found.fault, AtBoundary):
            latest = max(0.0, self.of.duration_seconds - found.lasting_seconds)
            at = round(self.dice.uniform(0.0, latest), 2)
            return self._instead(found, found.model_copy(update={"at_seconds": at}))
        boundary, action = found.fault.boundary, found.fault.action
        stage = self.dice.choice(stages_of(boundary.kind))
        ordinal = self.dice.randint(1, MOST_ORDINAL)
        moved = boundary.model_copy(update={"stage": stage, "ordinal": ordinal})
        if action not in actions_at(boundary.kind, stage):
            action = self.dice.choice(actions_at(boundary.kind, stage))
        return self._instead(found, self._there(found, moved, action))

    def _added(self) -> Sequence[Planned]:
        return (*self.of.faults, self._drawn())

    def _aimed(self) -> Sequence[Planned]:
        """One more, at a boundary of one of the activities, from the start of a workflow on."""
        if not self.activities or Family.WIRE not in self.of.families:
            return ()
        stage = self.dice.choice(stages_of(Kind.ACTIVITY))
        boundary = Boundary(
            kind=Kind.ACTIVITY, subject=self.dice.choice(self.activities), stage=stage
        )
        action = self.dice.choice(actions_at(Kind.ACTIVITY, stage))
        fault = AtBoundary(boundary=boundary, action=action)
        at = self.dice.choice(self.of.starts).at_seconds
        lasting = self._lasting(fault)
        return (
            *self.of.faults,
            Planned(at_seconds=at, lasting_seconds=lasting, fault=fault),
        )

    def _dropped(self) -> Sequence[Planned]:
        gone = self._one()
        return [each for each in self.of.faults if each is not gone]

    def _combined(self) -> Sequence[Planned]:
        """With some of another schedule's, but for those that are of its own workflows alone."""
        lent = [each for each in self.other.faults if each.fault.family not in self.target.draws]
        some = self.dice.sample(lent, self.dice.randint(0, len(lent)))
        return (*self.of.faults, *some)

    def _drawn(self) -> Planned:
        return draw_fault(self.dice, self.of, self.target, self.of.families)

    def _one(self) -> Planned | None:
        return self.dice.choice(self.of.faults) if self.of.faults else None

    def _instead(self, old: Planned, new: Planned) -> Sequence[Planned]:
        return [new if each is old else each for each in self.of.faults]

    def _there(self, planned: Planned, boundary: Boundary, action: str) -> Planned:
        fault = AtBoundary(boundary=boundary, action=action)
        return planned.model_copy(update={"fault": fault, "lasting_seconds": self._lasting(fault)})

    def _lasting(self, fault: AtBoundary) -> float:
        """A pause lasts; the others are done when they are done."""
        if fault.kind != "pause":
            return 0.0
        longest = min(LONGEST_PAUSE_SECONDS, self.of.duration_seconds)
        return round(self.dice.uniform(min(1.0, longest), longest), 2)
