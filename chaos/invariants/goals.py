"""Goals: what at least one case of a run must have seen, or the run has not tried it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from chaos.evidence.assertions import read_assertions, to_be_met
from chaos.evidence.case import Evidence
from chaos.evidence.text import writable
from chaos.invariants import safety


@dataclass(frozen=True)
class Goal:
    """Something that a case may see. If no case of a run that names it does, the run is unknown."""

    name: str
    met: Callable[[Any], bool]


def sometimes(name: str, met: Callable[[Any], bool]) -> Goal:
    """A goal for `Case.goals`.

        sometimes("a charge was in doubt", lambda evidence: bool(evidence.in_doubt))

    Args:
        name: the sentence in reports. Cases that name the same have the same goal.
        met: whether a case's evidence shows it.

    """
    return Goal(name, met)


class GoalResult(BaseModel):
    """Whether a goal was met, in a case or in a run; `problem` says why that cannot be told."""

    model_config = ConfigDict(frozen=True)

    name: str
    met: bool
    problem: str = ""


@safety
def assertions_hold(evidence: Evidence) -> Iterator[str]:
    """What workers assert by an Antithesis SDK: `always` held, `unreachable` was not reached."""
    violated = dict.fromkeys(
        (each.name, each.place) for each in read_assertions(evidence.folder) if each.is_violated
    )
    for name, place in violated:
        yield f"{name} was violated" + (f" ({place})" if place else "")


def has_assertions(evidence: Evidence) -> bool:
    """Whether a worker has asserted anything. A damaged file counts: its check says so."""
    try:
        return bool(read_assertions(evidence.folder))
    except Exception:  # noqa: BLE001 - damage has many forms
        return True


def case_goals(goals: Sequence[Goal], evidence: Evidence) -> tuple[GoalResult, ...]:
    """A case's own goals, and what its workers say that must be seen once."""
    return (*(_result(goal, evidence) for goal in goals), *_of_workers(evidence))


def run_goals(cases: Iterable[Sequence[GoalResult]]) -> tuple[GoalResult, ...]:
    """The goals of all cases that ran: each is met if one case has met it."""
    found: dict[str, GoalResult] = {}
    for each in (result for case in cases for result in case):
        known = found.get(each.name)
        if known is None or (each.met and not known.met):
            found[each.name] = each
    return tuple(found[name] for name in sorted(found))


def _result(goal: Goal, evidence: Evidence) -> GoalResult:
    name = writable(goal.name)
    try:
        return GoalResult(name=name, met=bool(goal.met(evidence)))
    except Exception as error:  # noqa: BLE001 - a function of the user's; others are still asked
        return GoalResult(name=name, met=False, problem=writable(f"it raised {error!r}"))


def _of_workers(evidence: Evidence) -> Iterator[GoalResult]:
    met: Mapping[str, bool] = {}
    try:
        met = to_be_met(read_assertions(evidence.folder))
    except Exception:  # noqa: BLE001 - `assertions_hold` says what is damaged
        return
    for name, is_met in met.items():
        yield GoalResult(name=writable(name), met=is_met)
