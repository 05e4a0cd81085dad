"""What each case was billed, as its books grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from chaos.experiment.events import Billed, CaseName, PlannedCase


class Bills:
    """The books of all cases. One that cannot be read yet has nothing new."""

    def __init__(self, cases: Sequence[PlannedCase]) -> None:
        self._cases = cases
        self._known: dict[CaseName, Decimal] = {}

    def read(self) -> Iterator[Billed]:
        """The cases that were billed something since the last time."""
        for case in self._cases:
            try:
                usd = case.billed_usd()
            except Exception:  # noqa: BLE001 - a target's own reading, of books that grow meanwhile
                continue
            if usd != self._known.get(case.name, Decimal(0)):
                self._known[case.name] = usd
                yield Billed(case.name, usd)
