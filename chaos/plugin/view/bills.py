"""What the provider of each case has billed, read from its ledger as that grows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from chaos.evidence.files import MOST_BYTES, read_start
from chaos.experiment.events import Billed, CaseName, PlannedCase

_MARK = b'"event":"billed"'


@dataclass
class LedgerTail:
    """Reads a ledger on from where it was left. A missing file is one that is still to come."""

    path: Path
    usd: Decimal = Decimal(0)
    _read_bytes: int = field(default=0, init=False)

    def read(self) -> bool:
        """Read what was added; whether any of it was a bill."""
        try:
            added = read_start(self.path, MOST_BYTES, self._read_bytes)
        except OSError:
            return False
        whole = added[: added.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        bills = [json.loads(line)["amount_usd"] for line in whole.splitlines() if _MARK in line]
        self.usd += sum(map(Decimal, bills))
        return bool(bills)


class Bills:
    """The ledgers of all cases."""

    def __init__(self, cases: Sequence[PlannedCase]) -> None:
        self._tails: dict[CaseName, LedgerTail] = {c.name: LedgerTail(c.ledger) for c in cases}

    def read(self) -> Iterator[Billed]:
        """The cases that were billed something since the last time."""
        for name, tail in self._tails.items():
            if tail.read():
                yield Billed(name, tail.usd)
