"""Which points a probe tries, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from chaos.search.crash.points import Stop
from chaos.search.explore.plan import Action, spread
from chaos.search.probe.baseline import NoBaselineError
from chaos.wire.boundary import Boundary, Stage

_REPLY_CAN_BE_LOST = {Stage.COMPLETED, Stage.ANSWERED}
"""Where the other side knows of something, and the worker need not."""

_MOST_NAMED = 20


@dataclass(frozen=True)
class Point:
    """A stop, and what is done there."""

    stop: Stop
    action: Action

    @property
    def name(self) -> str:
        """Its own, and fit for a file and a workflow's id."""
        return f"{self.action}-{self.stop.name}"


@dataclass(frozen=True)
class Choice:
    """What of it is wanted: at these boundaries only, with these actions only, so many only."""

    at: Sequence[Boundary] = ()
    actions: Collection[Action] = tuple(Action)
    sample: int | None = None


def points(runs: Sequence[Sequence[Stop]]) -> Sequence[Point]:
    """Those of stops that every undisturbed run came to, in the order of the first of them."""
    first, *others = runs
    known = [
        {(stop.service, stop.is_own, b) for stop in run for b in stop.boundaries} for run in others
    ]
    found = [
        stop
        for stop in first
        if all((stop.service, stop.is_own, stop.boundary) in each for each in known)
    ]
    kills = [Point(stop, Action.KILL) for stop in found]
    drops = [
        Point(stop, Action.DROP)
        for stop in found
        if any(boundary.stage in _REPLY_CAN_BE_LOST for boundary in stop.boundaries)
    ]
    return [*kills, *drops]


def chosen(everything: Sequence[Point], choice: Choice) -> Sequence[Point]:
    """As different as can be, so that what has to be left out is much like something that was
    tried. Raises NoBaselineError.
    """
    wanted = [
        each
        for each in everything
        if each.action in choice.actions and (not choice.at or _is_at(each.stop, choice.at))
    ]
    if not wanted:
        there = sorted({str(boundary) for each in everything for boundary in each.stop.boundaries})
        more = f" and {len(there) - _MOST_NAMED} more" if len(there) > _MOST_NAMED else ""
        raise NoBaselineError(
            "the undisturbed runs came to no such point; they came to "
            f"{'; '.join(there[:_MOST_NAMED]) or 'none at all'}{more}."
        )
    return spread(wanted, choice.sample, lambda each: (each.action, each.stop.kind), seed=0)


def _is_at(stop: Stop, boundaries: Sequence[Boundary]) -> bool:
    return any(boundary in boundaries for boundary in stop.boundaries)
