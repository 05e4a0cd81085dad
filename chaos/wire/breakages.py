"""The services that are broken now: which of their calls are refused, and which are held up."""

from __future__ import annotations

import math
from collections import Counter

from chaos.wire.specs import Breakage

_DIGITS = 9
"""Of a share times a number: 0.1 of 30 is 3, and not a little more."""


class Breakages:
    """Those of all lines of the process, by their names."""

    def __init__(self) -> None:
        self._on: dict[str, Breakage] = {}
        self._counts: Counter[str] = Counter()

    def put_on(self, breakage: Breakage) -> None:
        """Break calls of its service from now on; one of the same name is replaced."""
        self._on[breakage.name] = breakage
        self._counts[breakage.name] = 0

    def take_off(self, name: str) -> None:
        """Break no more calls; what is held up already stays so for its time."""
        self._on.pop(name, None)

    def of(self, service: str, method: str) -> Breakage | None:
        """What breaks this call of a service, if anything does. Each call is counted, by which the
        share is known.
        """
        for each in tuple(self._on.values()):
            if each.service == service and (not each.methods or method in each.methods):
                self._counts[each.name] += 1
                if _is_of_the_share(self._counts[each.name], each.share):
                    return each
        return None


def _is_of_the_share(number: int, share: float) -> bool:
    """The first is, and of all that follow as many as there should be, evenly spread."""
    so_far, before = (math.ceil(round(n * share, _DIGITS)) for n in (number, number - 1))
    return so_far > before
