"""The boundaries of a line's calls, and what is decided there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from http import HTTPStatus

from chaos.wire.boundary import Boundary, Crossing, Kind, Stage, numbered
from chaos.wire.breakpoints import Breakpoints
from chaos.wire.writing import WireJournal

STATUSES = tuple(str(status.value) for status in HTTPStatus if status >= HTTPStatus.OK)
"""With which a call can be answered in the service's place."""

Busy = Callable[[], Sequence[Crossing]]
"""The activities that the worker of a line has in hand, as they were delivered."""


class Gate:
    """One for each line."""

    def __init__(self, breakpoints: Breakpoints, journal: WireJournal, busy: Busy) -> None:
        self._breakpoints = breakpoints
        self._journal = journal
        self._busy = busy
        self._counts: Counter[str] = Counter()

    def number(self, subject: str) -> int:
        """Of a new call, among those of its subject since the line was opened."""
        self._counts[subject] += 1
        return self._counts[subject]

    def crossing(self, subject: str, stage: Stage, number: int) -> Crossing:
        """A call comes to a boundary, now."""
        boundary = Boundary(kind=Kind.CALL, subject=subject, stage=stage, ordinal=number)
        busy = self._busy()
        places = [activity.boundary for activity in busy]
        runs = {(activity.workflow_id, activity.run_id) for activity in busy}
        workflow_id, run_id = runs.pop() if len(runs) == 1 else ("", "")
        return Crossing(
            boundary=boundary,
            workflow_id=workflow_id,
            run_id=run_id,
            attempt=busy[0].attempt if len(busy) == 1 else 1,
            during=tuple(sorted(numbered(each.subject, each.ordinal) for each in places)),
        )

    def is_watched(self, crossing: Crossing) -> bool:
        """Whether the call may have to be held there."""
        return self._breakpoints.are_at(self._journal.line, (crossing,))

    async def decided(self, crossing: Crossing, peer: int) -> str:
        """What becomes of it, as soon as that is known; empty where it has not to be held. It comes
        from the worker's port `peer`.
        """
        return await self._breakpoints.at(self._journal, (crossing,), STATUSES, peer)
