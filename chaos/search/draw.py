"""From a seed to a schedule: the same seed, options and target always give the same."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chaos.environment.target import Target
from chaos.environment.wire import SERVER, link_name
from chaos.faults import (
    AnyFault,
    AtBoundary,
    BadNetwork,
    Family,
    KillWorker,
    PauseWorker,
    ServerDown,
    ServerPaused,
    ServiceDown,
)
from chaos.network.toxics import (
    AnyToxic,
    Bandwidth,
    BlackHole,
    Down,
    Latency,
    ResetPeer,
    Stream,
)
from chaos.search.schedule import Planned, PlannedStart, Schedule, ScheduleError, spec_of
from chaos.wire.boundary import ANY, Boundary, Kind, Stage

SUPERVISOR = "fleet-1"
WORKERS = 3
SECONDS_PER_FAULT = 2.5
LAST_START = 0.8
"""Share of the duration: workflows that start later would meet few faults."""
FIRST_FAULT_SECONDS = 1.0
"""An earlier fault may prevent the first workflow's start, and hit nothing."""
REST_SECONDS = 2.0
"""Seconds between two faults of one server or link, in which it works again."""

ONE_AT_A_TIME = frozenset({Family.SERVER, Family.NETWORK, Family.SERVICE})
"""Families whose faults would mask each other at one target."""


MOST_ORDINAL = 3

_OF_WORKERS = ("kill", "pause")

_OF_CALLS = ("drop", "delay:0.5", "delay:2")

_OF_TASKS = (*_OF_WORKERS, *_OF_CALLS, "fail:UNAVAILABLE", "fail:RESOURCE_EXHAUSTED")

_STAGES = (Stage.ASSIGNED, Stage.DELIVERED, Stage.COMPLETING, Stage.COMPLETED)

_CALLS: Mapping[Stage, Sequence[str]] = {
    Stage.LEAVING: (*_OF_WORKERS, *_OF_CALLS, "fail:503"),
    # What was carried out may end in a 502; a 503 would say that nothing was accepted.
    Stage.ANSWERED: (*_OF_WORKERS, *_OF_CALLS, "fail:502"),
}


@dataclass(frozen=True)
class Wishes:
    """The user's options; without `families` all that the target has."""

    families: Sequence[str] = ()
    duration_seconds: float = 60.0
    workflows: int = 30


def families_of(target: Target) -> tuple[str, ...]:
    """The families of a target: what the harness can break of it, and the target's own."""
    services = (Family.SERVICE,) if any(s.may_die for s in target.services) else ()
    return (Family.KILL, Family.NETWORK, Family.SERVER, *services, Family.WIRE, *target.draws)


def draw(seed: int, wishes: Wishes, target: Target) -> Schedule:
    """The schedule of a seed. Faults of one server, service or link never overlap.

    Raises ScheduleError if the target has no such faults, or no workflows.
    """
    families = _families(wishes, target)
    dice = _Dice(target, wishes, random.Random(seed))  # noqa: S311 - no secret
    dice.draw_starts()
    count = max(1, round(wishes.duration_seconds / SECONDS_PER_FAULT))
    drawn = [dice.fault(families, number) for number in range(1, count + 1)]
    return Schedule(
        seed=seed,
        families=families,
        duration_seconds=wishes.duration_seconds,
        workers=WORKERS,
        starts=tuple(dice.starts),
        faults=apart(drawn),
    )


def _families(wishes: Wishes, target: Target) -> tuple[str, ...]:
    if not target.specs:
        raise ScheduleError("the target has no specs: without workflows nothing can be drawn.")
    known = families_of(target)
    for name in wishes.families:
        if name not in known:
            raise ScheduleError(f"the target has no faults {name!r}; it has {', '.join(known)}.")
    return tuple(sorted({str(name) for name in wishes.families or known}))


@dataclass
class _Dice:
    """What is drawn from one seed."""

    target: Target
    wishes: Wishes
    random: random.Random
    starts: list[PlannedStart] = field(default_factory=list)

    def draw_starts(self) -> None:
        """About as many workflows of each spec; the first starts at once."""
        last = self.wishes.duration_seconds * LAST_START
        count = self.wishes.workflows - 1
        times = sorted(round(self.random.uniform(0, last), 2) for _ in range(count))
        names = tuple(self.target.specs)
        self.starts += [
            PlannedStart(
                workflow_id=f"load-{number:03}", spec=self.random.choice(names), at_seconds=at
            )
            for number, at in enumerate([0.0, *times], start=1)
        ]

    def fault(self, families: Sequence[str], number: int) -> Planned:
        """A fault of any of the families."""
        family = self.random.choice(families)
        if family in self.target.draws:
            return self._own(family)
        if family == Family.WIRE:
            return self._at_boundary()
        lasting = round(self.random.uniform(1.0, 5.0), 2)
        latest = max(0.0, self.wishes.duration_seconds - lasting)
        at = round(self.random.uniform(min(FIRST_FAULT_SECONDS, latest), latest), 2)
        fault = self._of_the_harness(Family(family), number)
        instant = isinstance(fault, KillWorker)
        return Planned(at_seconds=at, lasting_seconds=0 if instant else lasting, fault=fault)

    def _own(self, family: str) -> Planned:
        """A fault of the target's own hits one workflow; it lasts until the end, as its time is not
        known.
        """
        start = self.random.choice(self.starts)
        fault = self.target.draws[family](self.random, spec_of(start, self.target))
        lasting = round(self.wishes.duration_seconds - start.at_seconds, 2)
        return Planned(at_seconds=start.at_seconds, lasting_seconds=lasting, fault=fault)

    def _at_boundary(self) -> Planned:
        """A fault that waits for its call, from the start of a workflow on."""
        start = self.random.choice(self.starts)
        workflows = sum(each.at_seconds >= start.at_seconds for each in self.starts)
        fault = draw_at_boundary(self.random, self.target, workflows)
        longest = min(5.0, self.wishes.duration_seconds - start.at_seconds)
        lasting = round(self.random.uniform(min(1.0, longest), longest), 2)
        return Planned(
            at_seconds=start.at_seconds,
            lasting_seconds=lasting if fault.kind == "pause" else 0,
            fault=fault,
        )

    def _of_the_harness(self, family: Family, number: int) -> AnyFault:
        match family:
            case Family.KILL:
                return self._kill()
            case Family.SERVER:
                return self.random.choice((ServerDown(), ServerPaused()))
            case Family.SERVICE:
                mortal = [service.name for service in self.target.services if service.may_die]
                return ServiceDown(service=self.random.choice(mortal))
            case Family.NETWORK:
                ends = (SERVER, *(service.name for service in self.target.services))
                link = link_name(SUPERVISOR, self.random.choice(ends))
                return BadNetwork(link=link, toxic=_toxic(self.random, f"toxic-{number}"))
            case Family.WIRE:
                raise AssertionError("it is drawn for the start of a workflow")
            case Family.COMMAND:
                raise AssertionError("nobody knows what to execute")

    def _kill(self) -> AnyFault:
        place = self.random.randrange(WORKERS)
        # Kills are what this is for; a sleeping worker is only a slower way to die.
        kind = self.random.choice((KillWorker, KillWorker, KillWorker, PauseWorker))
        if self.target.supervisor:
            return kind(place=place)
        return kind(worker=f"worker-{place + 1}")


def _toxic(dice: random.Random, name: str) -> AnyToxic:
    delay = round(dice.uniform(0.05, 0.5), 3)
    width = dice.randrange(5_000, 100_000)
    one_way = dice.choice((Stream.UPSTREAM, Stream.DOWNSTREAM))
    return dice.choice(
        (
            Down(name=name),
            BlackHole(name=name, stream=Stream.BOTH),
            BlackHole(name=name, stream=one_way),
            Latency(name=name, stream=Stream.BOTH, latency_seconds=delay, jitter_seconds=delay / 2),
            Bandwidth(name=name, stream=Stream.BOTH, bytes_per_second=width),
            ResetPeer(name=name, stream=one_way),
        )
    )


def apart(faults: Sequence[Planned]) -> tuple[Planned, ...]:
    """In the order of time, without those that would start at a target while another one is active
    there. A server that is down cannot be paused, and a link that is cut cannot be slow.
    """
    kept: list[Planned] = []
    busy_until: dict[str, float] = {}
    for planned in sorted(faults, key=lambda each: each.at_seconds):
        target = planned.fault.target
        alone = planned.fault.family in ONE_AT_A_TIME
        if alone and planned.at_seconds < busy_until.get(target, 0.0):
            continue
        busy_until[target] = planned.ends_at_seconds + REST_SECONDS
        kept.append(planned)
    return tuple(kept)


def draw_fault(
    dice: random.Random, schedule: Schedule, target: Target, families: Sequence[str]
) -> Planned:
    """One more fault for a schedule, of any of the families."""
    wishes = Wishes(families, schedule.duration_seconds, len(schedule.starts))
    drawn = _Dice(target, wishes, dice, list(schedule.starts))
    return drawn.fault(families, len(schedule.faults) + 1)


def draw_at_boundary(dice: random.Random, target: Target, workflows: int) -> AtBoundary:
    """A fault at the first boundaries of a kind, whatever they are of, that so many `workflows`
    come to: each has a task and an activity at least.
    """
    kinds = [Kind.WORKFLOW_TASK, Kind.ACTIVITY]
    if any(service.is_on_wire for service in target.services):
        kinds.append(Kind.CALL)
    kind = dice.choice(kinds)
    stage = dice.choice(stages_of(kind))
    action = dice.choice(actions_at(kind, stage))
    ordinal = dice.randint(1, min(MOST_ORDINAL, workflows))
    boundary = Boundary(kind=kind, subject=ANY, stage=stage, ordinal=ordinal)
    return AtBoundary(boundary=boundary, action=action)


def stages_of(kind: Kind) -> Sequence[Stage]:
    """The stages of a kind of boundary at which faults are drawn."""
    return tuple(_CALLS) if kind is Kind.CALL else _STAGES


def actions_at(kind: Kind, stage: Stage) -> Sequence[str]:
    """What is drawn there."""
    return _CALLS[stage] if kind is Kind.CALL else _OF_TASKS
