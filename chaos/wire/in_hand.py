"""Which activities the worker of each line has in hand, for the calls that they make."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from chaos.wire.boundary import Crossing

_MOST = 10_000


class InHand:
    """Kept by line and activity. An activity whose next attempt is given out has been let go of."""

    def __init__(self) -> None:
        self._held: OrderedDict[Hashable, tuple[str, Crossing]] = OrderedDict()

    def take(self, line: str, activity: Hashable, delivered: Crossing) -> None:
        """The worker of a line has been given an activity."""
        self._held.pop(activity, None)
        self._held[activity] = line, delivered
        if len(self._held) > _MOST:
            self._held.popitem(last=False)

    def give_back(self, activity: Hashable) -> None:
        """The server has taken its report."""
        self._held.pop(activity, None)

    def leave(self, line: str) -> None:
        """The worker of a line has nothing in hand any more: it is gone."""
        for activity in [key for key, (owner, _) in self._held.items() if owner == line]:
            del self._held[activity]

    def of(self, line: str) -> tuple[Crossing, ...]:
        """What the worker of a line is busy with, as it was delivered."""
        return tuple(crossing for owner, crossing in self._held.values() if owner == line)
