"""What an exploration sets out to show: the fault-free runs, and the stops chosen of them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from chaos.evidence.spec import WorkflowSpec
from chaos.search.explore.points import Stop
from tests.chaos.video import specs

VIDEOS = 3
PAID = ("generateContent", "predictLongRunning")
"""The calls that cost money: one for each prompt of an operation, in order."""


class Load(StrEnum):
    """The workflows whose points there are."""

    SINGLE = "single"
    SERIES = "series"

    def asked(self, workflow_id: str) -> WorkflowSpec:
        """One of them, undisturbed."""
        if self is Load.SINGLE:
            return specs.single(workflow_id)
        return specs.series(workflow_id, VIDEOS)


class Reference(BaseModel):
    """A fault-free run: the types of its events, in order, and its stops."""

    model_config = ConfigDict(frozen=True)

    load: Load
    events: tuple[str, ...]
    stops: tuple[Stop, ...]


class Target(BaseModel):
    """A stop of a workflow, at which a worker is to die."""

    model_config = ConfigDict(frozen=True)

    load: Load
    stop: Stop

    @property
    def name(self) -> str:
        """Its own, and fit for a file."""
        return f"{self.load}-{self.stop.moment.name}"


class Choice(BaseModel):
    """What the user wants explored; without `sample` all of it."""

    model_config = ConfigDict(frozen=True)

    loads: tuple[Load, ...] = tuple(Load)
    sample: int | None = None
    seed: int = 0


class Plan(BaseModel):
    """The choice, the fault-free runs, and the names of the targets that were chosen."""

    model_config = ConfigDict(frozen=True)

    choice: Choice
    references: tuple[Reference, ...]
    chosen: tuple[str, ...]

    @classmethod
    def of(cls, choice: Choice, references: Sequence[Reference]) -> Plan:
        """Choose."""
        everything = _targets(references)
        chosen = everything if choice.sample is None else _spread(everything, choice)
        return cls(
            choice=choice,
            references=tuple(references),
            chosen=tuple(target.name for target in chosen),
        )

    @property
    def everything(self) -> Sequence[Target]:
        """All targets that there are."""
        return _targets(self.references)

    @property
    def targets(self) -> Sequence[Target]:
        """Those that were chosen, in the order of the workflows."""
        return [target for target in self.everything if target.name in self.chosen]

    def reference(self, load: Load) -> Reference:
        """The fault-free run of a workflow."""
        return next(found for found in self.references if found.load is load)


def _targets(references: Sequence[Reference]) -> Sequence[Target]:
    return [Target(load=found.load, stop=stop) for found in references for stop in found.stops]


def _spread(targets: Sequence[Target], choice: Choice) -> Sequence[Target]:
    """So many, as different as can be: no kind gets its second before each has its first."""
    dice = random.Random(choice.seed)  # noqa: S311 - no secret depends on it
    kinds: defaultdict[str, list[Target]] = defaultdict(list)
    for target in dice.sample(targets, len(targets)):
        kinds[target.stop.kind].append(target)
    turns = [(turn, target) for same in kinds.values() for turn, target in enumerate(same)]
    turns.sort(key=lambda pair: pair[0])
    return [target for _, target in turns[: choice.sample]]
