"""What an exploration sets out to show: fault-free runs, and the crash points chosen of them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from chaos.search.explore.points import Stop


class Reference(BaseModel):
    """A fault-free run of a spec: the types of its events, in order, and its stops."""

    model_config = ConfigDict(frozen=True)

    spec: str
    events: tuple[str, ...]
    stops: tuple[Stop, ...]


class CrashPoint(BaseModel):
    """A stop of a workflow, at which a worker is to die; `spec` is a name of `Target.specs`."""

    model_config = ConfigDict(frozen=True)

    spec: str
    stop: Stop

    @property
    def name(self) -> str:
        """Its own, and fit for a file."""
        return f"{self.spec}-{self.stop.moment.name}"


class Choice(BaseModel):
    """What the user wants explored; without `sample` all of it."""

    model_config = ConfigDict(frozen=True)

    specs: tuple[str, ...]
    sample: int | None = None
    seed: int = 0


class Plan(BaseModel):
    """The choice, the fault-free runs, and the names of the crash points that were chosen."""

    model_config = ConfigDict(frozen=True)

    choice: Choice
    references: tuple[Reference, ...]
    chosen: tuple[str, ...]

    @classmethod
    def of(cls, choice: Choice, references: Sequence[Reference]) -> Plan:
        """Choose."""
        everything = _crash_points(references)
        chosen = everything if choice.sample is None else _spread(everything, choice)
        return cls(
            choice=choice,
            references=tuple(references),
            chosen=tuple(each.name for each in chosen),
        )

    @property
    def everything(self) -> Sequence[CrashPoint]:
        """All crash points that there are."""
        return _crash_points(self.references)

    @property
    def crash_points(self) -> Sequence[CrashPoint]:
        """Those that were chosen, in the order of the workflows."""
        return [each for each in self.everything if each.name in self.chosen]

    def reference(self, spec: str) -> Reference:
        """The fault-free run of a workflow."""
        return next(found for found in self.references if found.spec == spec)


def _crash_points(references: Sequence[Reference]) -> Sequence[CrashPoint]:
    return [CrashPoint(spec=found.spec, stop=stop) for found in references for stop in found.stops]


def _spread(crash_points: Sequence[CrashPoint], choice: Choice) -> Sequence[CrashPoint]:
    """So many, as different as can be: no kind gets its second before each has its first."""
    dice = random.Random(choice.seed)  # noqa: S311 - no secret depends on it
    kinds: defaultdict[str, list[CrashPoint]] = defaultdict(list)
    for each in dice.sample(crash_points, len(crash_points)):
        kinds[each.stop.kind].append(each)
    turns = [(turn, each) for same in kinds.values() for turn, each in enumerate(same)]
    turns.sort(key=lambda pair: pair[0])
    return [each for _, each in turns[: choice.sample]]
