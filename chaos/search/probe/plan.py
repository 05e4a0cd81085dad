"""Which points a probe tries, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from chaos.search.crash.points import Action, CrashPoint, Disturbance, spread
from chaos.search.probe.baseline import NoBaselineError
from chaos.wire.boundary import Boundary, Stage

_REPLY_CAN_BE_LOST = {Stage.COMPLETED, Stage.ANSWERED}
"""Stages at which the other side knows something that the worker may not know."""

_MOST_NAMED = 20


@dataclass(frozen=True)
class Choice:
    """The user's choice: only these boundaries, only these actions, at most so many."""

    at: Sequence[Boundary] = ()
    actions: Collection[Action] = tuple(Action)
    sample: int | None = None


def disturbances(runs: Sequence[Sequence[CrashPoint]]) -> Sequence[Disturbance]:
    """At the crash points that every undisturbed run came to, in the order of the first of them."""
    first, *others = runs
    known = [{(p.service, p.is_own, b) for p in run for b in p.boundaries} for run in others]
    found = [
        point
        for point in first
        if all((point.service, point.is_own, point.boundary) in each for each in known)
    ]
    kills = [Disturbance(point=point, action=Action.KILL) for point in found]
    drops = [
        Disturbance(point=point, action=Action.DROP)
        for point in found
        if any(boundary.stage in _REPLY_CAN_BE_LOST for boundary in point.boundaries)
    ]
    return [*kills, *drops]


def chosen(everything: Sequence[Disturbance], choice: Choice) -> Sequence[Disturbance]:
    """As varied as possible, so that what is left out resembles something that was tried. Raises
    NoBaselineError.
    """
    wanted = [
        each
        for each in everything
        if each.action in choice.actions and (not choice.at or _is_at(each.point, choice.at))
    ]
    if not wanted:
        there = sorted({str(boundary) for each in everything for boundary in each.point.boundaries})
        more = f" and {len(there) - _MOST_NAMED} more" if len(there) > _MOST_NAMED else ""
        raise NoBaselineError(
            "the undisturbed runs reached no such point; they reached "
            f"{'; '.join(there[:_MOST_NAMED]) or 'none at all'}{more}."
        )
    return spread(wanted, choice.sample, lambda each: (each.action, each.point.kind), seed=0)


def _is_at(point: CrashPoint, boundaries: Sequence[Boundary]) -> bool:
    return any(boundary in boundaries for boundary in point.boundaries)
