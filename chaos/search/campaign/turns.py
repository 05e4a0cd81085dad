"""The memory of a campaign's search: what it knows after each turn, written once with its batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from chaos.invariants.verdict import Verdict
from chaos.search.campaign import names
from chaos.search.campaign.broke import parts_of
from chaos.search.campaign.model import Batch, Judged, Turn
from chaos.search.campaign.store import Store, StoreError

MOST_KEPT = 256
"""Schedules to go on from. Those that were gone on from most often make room for new ones."""

SHRINK = "shrink-"
"""What the name of the case that shrinks another begins with."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Source(_Part):
    """A case whose schedule has covered something new, and how often one was made from it."""

    case: str
    used: int = 0


class Memory(_Part):
    """After a turn: how many seeds were `drawn`, schedules `made` from others and failures
    `shrunk`, which cases of a plan were `given` (a bit for each, in hexadecimal digits), which are
    `open`, which failures wait to be shrunk, all that was covered or `broke` so far, and how often
    which `kinds` of faults were drawn. `batch` is the turn's answer.
    """

    number: int = 0
    drawn: int = 0
    made: int = 0
    shrunk: int = 0
    given: str = "0"
    open: tuple[str, ...] = ()
    to_shrink: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    broke: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    kinds: dict[str, int] = {}
    batch: Batch = Batch()

    def told(self, turn: Turn) -> Self:
        """What is known when a turn begins."""
        found = self
        for judged in turn.judged:
            found = found._with(judged)
        return found.model_copy(update={"number": turn.number, "batch": Batch()})

    def _with(self, judged: Judged) -> Self:
        """A schedule that has failed is no source: what is made from it fails as it did."""
        is_new = bool({*judged.cells} - {*self.cells} or {*judged.shapes} - {*self.shapes})
        is_source = is_new and judged.verdict is Verdict.PASSED
        broke = parts_of(judged.broke) - {*self.broke}
        is_defect = judged.verdict is Verdict.FAILED and bool(broke)
        return self.model_copy(
            update={
                "open": tuple(name for name in self.open if name != judged.name),
                "to_shrink": (*self.to_shrink, judged.name) if is_defect else self.to_shrink,
                "cells": tuple(sorted({*self.cells, *judged.cells})),
                "shapes": tuple(sorted({*self.shapes, *judged.shapes})),
                "broke": tuple(sorted({*self.broke, *broke})) if is_defect else self.broke,
                "sources": self._sources(judged.name) if is_source else self.sources,
            }
        )

    def _sources(self, case: str) -> tuple[Source, ...]:
        sources = [*self.sources, Source(case=case)]
        if len(sources) > MOST_KEPT:
            sources.remove(max(sources, key=lambda each: each.used))
        return tuple(sources)

    def used(self, cases: Sequence[str]) -> Self:
        """It has made schedules from these."""
        sources = (
            each.model_copy(update={"used": each.used + cases.count(each.case)})
            for each in self.sources
        )
        return self.model_copy(update={"sources": tuple(sources)})

    def came(self, kinds: Sequence[str]) -> Self:
        """Faults of these kinds were drawn."""
        counts = {kind: self.kinds.get(kind, 0) + kinds.count(kind) for kind in kinds}
        return self.model_copy(update={"kinds": {**self.kinds, **counts}})

    def novelty(self, kinds: Sequence[str]) -> float:
        """The more, the less often faults of these kinds were drawn."""
        return sum(1 / (1 + self.kinds.get(kind, 0)) for kind in set(kinds))

    def answered(self, batch: Batch) -> Self:
        """Its cases are open."""
        opened = (*self.open, *(case.name for case in batch.cases))
        return self.model_copy(update={"batch": batch, "open": opened})


def read_turn(store: Store, number: int) -> Memory | None:
    """What was known after a turn; None where it was not taken. Raises StoreError."""
    if number == 0:
        return Memory()
    found = store.read(names.turn(number))
    try:
        return None if found is None else Memory.model_validate_json(found)
    except ValidationError:
        raise StoreError(
            f"{names.turn(number)} is damaged, or of another version: start the campaign anew."
        ) from None


def write_turn(store: Store, memory: Memory) -> Batch:
    """Its batch, or that of whoever took this turn before. Raises StoreError."""
    data = memory.model_dump_json(exclude_defaults=True).encode()
    if store.create(names.turn(memory.number), data):
        return memory.batch
    earlier = read_turn(store, memory.number)
    return (earlier or memory).batch
