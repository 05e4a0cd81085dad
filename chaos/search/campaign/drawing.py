"""Schedules of a campaign: seeds in their order, or without end whatever may cover more.

Without end it is led by coverage, as fuzzers are: a schedule that has shown something new is a
source, and most schedules are a source with one thing changed. Some are fresh draws, of faults that
came seldom, lest the search stays where it began. A failure that is new is shrunk, before anything
else is tried.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import ValidationError

from chaos.environment.target import Target
from chaos.experiment.coverage import target_kind
from chaos.faults import AtBoundary
from chaos.search.campaign import names
from chaos.search.campaign.model import Batch, CaseKind, CaseRef, Seeds
from chaos.search.campaign.mutation import Mutation
from chaos.search.campaign.novelty import activity_of
from chaos.search.campaign.store import Store, StoreError
from chaos.search.campaign.turns import SHRINK, Memory, Source
from chaos.search.draw import Wishes, draw
from chaos.search.schedule import Schedule, require_no_commands

FRESH = 0.35
"""Share of fresh draws where there are sources."""

LOOKED_AT = 8
"""Seeds of which the one is drawn whose faults came least so far."""

AROUND_SECONDS = 15.0
"""What a schedule takes beside its own time, about: a start, and what the last fault leaves."""

SHRINK_SECONDS = 300.0


def next_drawn(work: Seeds, most: int, memory: Memory, store: Store, target: Target) -> Memory:
    """The next schedules, each of which is in the store then, and what is to be shrunk. Raises
    StoreError, ScheduleError.
    """
    shrinks = memory.to_shrink[:most]
    memory = memory.model_copy(update={"to_shrink": memory.to_shrink[len(shrinks) :]})
    cases = [
        CaseRef(name=f"{SHRINK}{case}", kind=CaseKind.SHRINK, about_seconds=SHRINK_SECONDS)
        for case in shrinks
    ]
    dice = random.Random(f"{work.first} {memory.number}")  # noqa: S311 - no secret
    drawing = _Drawing(work, memory, store, target, dice)
    schedules = list(drawing.next(most - len(cases)))
    for schedule in schedules:
        store.create(names.schedule(schedule.name), data_of(schedule))
    about = work.duration_seconds + AROUND_SECONDS
    cases += [
        CaseRef(name=schedule.name, kind=CaseKind.SCHEDULE, about_seconds=about)
        for schedule in schedules
    ]
    return _answered(work, drawing.after, tuple(cases))


def _answered(work: Seeds, memory: Memory, cases: tuple[CaseRef, ...]) -> Memory:
    """The last batch of a range is the one after which nothing can be shrunk any more."""
    if work.last is None:
        return memory.answered(Batch(cases=cases))
    may_fail = any(not name.startswith(SHRINK) for name in memory.open) or any(
        case.kind is CaseKind.SCHEDULE for case in cases
    )
    is_drawn = work.first + memory.drawn > work.last
    shrunk = memory.shrunk + sum(case.kind is CaseKind.SHRINK for case in cases)
    batch = Batch(
        cases=cases,
        is_last=is_drawn and not memory.to_shrink and not may_fail,
        total=work.last - work.first + 1 + shrunk + len(memory.to_shrink),
    )
    return memory.model_copy(update={"shrunk": shrunk}).answered(batch)


def data_of(schedule: Schedule) -> bytes:
    """A schedule as it is stored, and as `run --replay` takes it."""
    return schedule.model_dump_json(by_alias=True, indent=1).encode()


def read_stored(store: Store, case: str) -> Schedule:
    """The schedule of a case. Raises StoreError, and ScheduleError where it would execute a
    command: who can write to the place of the evidence cannot command the machines.
    """
    found = store.read(names.schedule(case))
    if found is None:
        raise StoreError(f"{names.schedule(case)} is missing: has somebody removed it?")
    try:
        schedule = Schedule.model_validate_json(found)
    except ValidationError:
        raise StoreError(f"{names.schedule(case)} is no schedule: it was damaged.") from None
    require_no_commands([schedule])
    return schedule


@dataclass
class _Drawing:
    """What is drawn in one turn; `after` is the memory as it becomes."""

    work: Seeds
    after: Memory
    store: Store
    target: Target
    dice: random.Random
    _wishes: Wishes = field(init=False)

    def __post_init__(self) -> None:
        self._wishes = Wishes(
            families=self.work.families,
            duration_seconds=self.work.duration_seconds,
            workflows=self.work.workflows,
        )

    def next(self, most: int) -> Iterator[Schedule]:
        """So many, or all that are left of the seeds."""
        for _ in range(most):
            if self.work.last is not None:
                if self.work.first + self.after.drawn > self.work.last:
                    return
                yield self._of_seeds(1)
                continue
            is_fresh = not self.after.sources or self.dice.random() < FRESH
            schedule = self._of_seeds(LOOKED_AT) if is_fresh else self._changed()
            self.after = self.after.came(kinds_of(schedule))
            yield schedule

    def _of_seeds(self, looked_at: int) -> Schedule:
        """That of the most novel of the next seeds: `run --seed` draws the same."""
        first = self.work.first + self.after.drawn
        self.after = self.after.model_copy(update={"drawn": self.after.drawn + looked_at})
        drawn = [draw(seed, self._wishes, self.target) for seed in range(first, first + looked_at)]
        return max(drawn, key=lambda schedule: self.after.novelty(kinds_of(schedule)))

    def _changed(self) -> Schedule:
        """One of the sources with one thing changed, or with what another one has. Of a new source
        first each fault comes twice: no draw is likely to have two of the same in a row.
        """
        source, other = self._source(), self._source()
        part = self.after.made + 1
        self.after = self.after.used([source.case]).model_copy(update={"made": part})
        mutation = Mutation(
            read_stored(self.store, source.case),
            read_stored(self.store, other.case),
            dice=self.dice,
            target=self.target,
            activities=sorted(filter(None, {*map(activity_of, self.after.cells)})),
        )
        changed = mutation.repeated(source.used) or mutation.schedule()
        return changed.model_copy(update={"part": part})

    def _source(self) -> Source:
        """Any, and rather one that was used less."""
        sources = self.after.sources
        weights = [1 / (1 + each.used) for each in sources]
        return self.dice.choices(sources, weights)[0]


def kinds_of(schedule: Schedule) -> list[str]:
    """What its faults do, and to what, but not when."""
    return [
        f"{fault.kind} at {fault.boundary.kind} {fault.boundary.stage}"
        if isinstance(fault, AtBoundary)
        else f"{fault.kind} at {target_kind(fault.target)}"
        for fault in (planned.fault for planned in schedule.faults)
    ]
