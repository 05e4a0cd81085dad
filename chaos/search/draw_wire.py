"""Faults of the wire, drawn for any target: at boundaries whose subjects nobody knows before."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from chaos.environment.target import Target
from chaos.faults import AtBoundary
from chaos.wire.boundary import ANY, Boundary, Kind, Stage

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


def draw_at_boundary(dice: random.Random, target: Target, workflows: int) -> AtBoundary:
    """A fault at the first boundaries of a kind, whatever they are of, that so many `workflows`
    come to: each has a task and an activity at least.
    """
    kinds = [Kind.WORKFLOW_TASK, Kind.ACTIVITY]
    if any(service.is_on_wire for service in target.services):
        kinds.append(Kind.CALL)
    kind = dice.choice(kinds)
    stage = dice.choice(tuple(_CALLS) if kind is Kind.CALL else _STAGES)
    action = dice.choice(_CALLS[stage] if kind is Kind.CALL else _OF_TASKS)
    ordinal = dice.randint(1, min(MOST_ORDINAL, workflows))
    boundary = Boundary(kind=kind, subject=ANY, stage=stage, ordinal=ordinal)
    return AtBoundary(boundary=boundary, action=action)
