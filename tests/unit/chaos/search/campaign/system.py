"""A system that exists on paper: two activities, each with a call, and what faults do to them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from chaos.faults import AtBoundary
from chaos.invariants.verdict import Verdict
from chaos.search.campaign.model import Judged
from chaos.search.schedule import Schedule
from chaos.wire.boundary import ANY, Boundary, Kind, Stage

ACTIVITIES = ("charge_card", "ship_parcel")
HARMLESS = ("delay", "pause")
TWICE = "billed_at_most_expected: charges * was billed # times instead of #"

_PATH = (
    (Kind.ACTIVITY, Stage.ASSIGNED),
    (Kind.ACTIVITY, Stage.DELIVERED),
    (Kind.CALL, Stage.LEAVING),
    (Kind.CALL, Stage.ANSWERED),
    (Kind.ACTIVITY, Stage.COMPLETING),
    (Kind.ACTIVITY, Stage.COMPLETED),
)
"""What each attempt comes to, in order."""

_BOOKED = _PATH.index((Kind.CALL, Stage.ANSWERED))


@dataclass
class _Waiting:
    fault: AtBoundary
    come: int = 0


@dataclass
class System:
    """It fails only where an activity has lost two attempts in a row, one of them after its call.

    A fault at a boundary waits for its turn as one of the wire does; all others do nothing.
    """

    schedule: Schedule
    cells: set[str] = field(default_factory=set)
    waiting: list[_Waiting] = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = [
            _Waiting(planned.fault)
            for planned in self.schedule.faults
            if isinstance(planned.fault, AtBoundary)
        ]

    def judged(self) -> Judged:
        shapes = [(w, *self._lost(a)) for w in self.schedule.starts for a in ACTIVITIES]
        is_broken = any(lost >= 2 and booked for _, _, lost, booked in shapes)
        seen = {hashlib.sha256(str(each[1:]).encode()).hexdigest()[:8] for each in shapes}
        is_shown = not any(
            each.fault.boundary.kind is not Kind.WORKFLOW_TASK for each in self.waiting
        )
        verdict = Verdict.PASSED if is_shown else Verdict.UNKNOWN
        return Judged(
            name=self.schedule.name,
            verdict=Verdict.FAILED if is_broken else verdict,
            broke=TWICE if is_broken else "",
            cells=tuple(sorted(self.cells)),
            shapes=tuple(sorted(seen)),
        )

    def _lost(self, activity: str) -> tuple[str, int, bool]:
        """How many attempts it loses, and whether one had done its work."""
        lost, booked = 0, False
        while (at := self._attempt(activity)) is not None:
            lost, booked = lost + 1, booked or at >= _BOOKED
        return activity, lost, booked

    def _attempt(self, activity: str) -> int | None:
        """Where on its path it is lost."""
        for place, (kind, stage) in enumerate(_PATH):
            for fault in self._hit(activity, kind, stage):
                self.cells.add(f"{fault.kind}|worker|{activity}|{stage}")
                if fault.kind not in HARMLESS and stage is not Stage.COMPLETED:
                    return place
        return None

    def _hit(self, activity: str, kind: Kind, stage: Stage) -> Iterator[AtBoundary]:
        for each in tuple(self.waiting):
            there: Boundary = each.fault.boundary
            is_meant = there.subject in {ANY, activity} and (kind, stage) == (
                there.kind,
                there.stage,
            )
            each.come += is_meant
            if is_meant and each.come >= there.ordinal:
                self.waiting.remove(each)
                yield each.fault


def judged(schedules: Sequence[Schedule]) -> tuple[Judged, ...]:
    """What the system shows under each."""
    return tuple(System(schedule).judged() for schedule in schedules)
