"""The breakpoints that are set, and the calls that are held at them until somebody decides."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from chaos.network.journal import RecordFile
from chaos.wire.boundary import ANY, REPORTS, Crossing
from chaos.wire.journal import LEFT, Decided, Reached, client_of
from chaos.wire.specs import BreakpointSpec, Decision, Passage

Tell = Callable[[Mapping[str, Any]], None]
"""Tells the control client of an event, as it is written in `chaos.wire.control`."""


class DecisionError(Exception):
    """A decision cannot be carried out; the message says why."""


@dataclass
class _Set:
    spec: BreakpointSpec
    times_reached: int = 0
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Call:
    """One at a boundary, on a line, from a worker's port."""

    journal: RecordFile
    crossing: Crossing
    peer: int


@dataclass(frozen=True)
class _Held:
    """`statuses` are those that can be decided, beside what Decision has."""

    statuses: Collection[str]
    decision: asyncio.Future[str] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass
class Delivery:
    """Work that goes to a worker at a breakpoint. Its next report waits until it is decided about
    the `passage`, which has a number once the client has heard of it.
    """

    call: _Call
    breakpoint: int
    held: _Held
    passage: int = 0

    def is_of(self, crossing: Crossing) -> bool:
        """Whether that is a report of this very attempt."""
        own, here = self.call.crossing, crossing.boundary
        return (
            here.stage in REPORTS
            and here == own.boundary.at(here.stage)
            and (crossing.workflow_id, crossing.run_id, crossing.attempt)
            == (own.workflow_id, own.run_id, own.attempt)
        )


class Breakpoints:
    """Those of all lines of the process."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._set: dict[int, _Set] = {}
        self._held: dict[int, _Held] = {}
        self._delivered: list[Delivery] = []
        self._numbers = count(1)

    def set(self, spec: BreakpointSpec) -> None:
        """Hold calls there from now on."""
        self._set[spec.number] = _Set(spec)

    def remove(self, number: int) -> None:
        """Hold no more calls there. Those that are held stay so until it is decided; of what
        was delivered there the client hears no more.
        """
        self._set.pop(number, None)
        self._delivered = [d for d in self._delivered if d.passage or d.breakpoint != number]

    def decide(self, passage: int, decision: str) -> None:
        """Let a held call go on so. Raises DecisionError."""
        held = self._held.get(passage)
        if held is None or held.decision.done():
            raise DecisionError(
                f"Passage {passage} is not held: its worker has ended, or it has been resumed."
            )
        if decision not in held.statuses and decision not in set(Decision):
            known = ", ".join((*Decision, *held.statuses))
            raise DecisionError(f"{decision!r} is not possible here: choose one of {known}.")
        held.decision.set_result(decision)
        if decision == Decision.RESUME:
            self._let_report(passage)

    async def at(
        self,
        journal: RecordFile,
        crossings: Sequence[Crossing],
        statuses: Collection[str],
        peer: int = 0,
    ) -> str:
        """What is decided about a call that has come to these boundaries from a worker's port
        `peer`, as soon as it is: one of Decision or of `statuses`, which are those that the line
        can answer with; empty where no breakpoint is. A call that is cancelled meanwhile has lost
        its worker.
        """
        decision = ""
        for crossing in crossings:
            for delivery in [each for each in self._delivered if each.is_of(crossing)]:
                decision = await self._report(delivery)
                if decision != Decision.RESUME:
                    return decision
            for found in self._reached(journal.line, crossing):
                reached = _Call(journal, crossing, peer)
                decision = await self._hold(reached, found, statuses)
                if decision != Decision.RESUME:
                    return decision
        return decision

    def are_at(self, line: str, crossings: Sequence[Crossing]) -> bool:
        """Whether a breakpoint is at one of these."""
        return any(self._is_at(each, line, c) for each in self._set.values() for c in crossings)

    def deliver(
        self,
        journal: RecordFile,
        crossings: Sequence[Crossing],
        statuses: Collection[str],
        peer: int = 0,
    ) -> Sequence[Delivery]:
        """Hold the reports of what goes to a worker at breakpoints. The client hears of it
        when it is proven to be there, by `tell_delivered` or by the report.
        """
        found = [
            Delivery(_Call(journal, crossing, peer), each.spec.number, _Held(statuses))
            for crossing in crossings
            for each in self._reached(journal.line, crossing)
        ]
        self._delivered += found
        return found

    def tell_delivered(self, delivery: Delivery) -> None:
        """The worker has it: told once, and not where nobody waits for it any more."""
        if delivery in self._delivered and not delivery.passage:
            delivery.passage = self._announce(delivery.call, delivery.breakpoint)
            self._held[delivery.passage] = delivery.held

    def _reached(self, line: str, crossing: Crossing) -> Iterator[_Set]:
        """The breakpoints that it comes to, one by one, each of which it has used up by one. Those
        to which it comes no more have not been reached.
        """
        for each in tuple(self._set.values()):
            if self._is_at(each, line, crossing) and _is_its_turn(each, line):
                each.times_reached += 1
                yield each

    def _is_at(self, each: _Set, line: str, crossing: Crossing) -> bool:
        spec = each.spec
        return (
            each.times_reached < spec.times
            and spec.boundary.covers(crossing.boundary)
            and spec.workflow_id in {"", crossing.workflow_id}
            and spec.line in {"", line, client_of(line)}
            and spec.attempt in {0, crossing.attempt}
        )

    def _announce(self, call: _Call, breakpoint_: int) -> int:
        number = next(self._numbers)
        journal, crossing = call.journal, call.crossing
        journal.add(Reached(breakpoint=breakpoint_, passage=number, crossing=crossing))
        passage = Passage(
            number=number,
            breakpoint=breakpoint_,
            line=journal.line,
            crossing=crossing,
            peer=call.peer,
        )
        self._tell({"event": "reached", **passage.model_dump(mode="json")})
        return number

    async def _hold(self, call: _Call, found: _Set, statuses: Collection[str]) -> str:
        number = self._announce(call, found.spec.number)
        held = self._held[number] = _Held(statuses)
        return await self._decided(call.journal, number, held)

    async def _report(self, delivery: Delivery) -> str:
        """What is decided about the work that is reported."""
        self.tell_delivered(delivery)
        self._delivered.remove(delivery)
        return await self._decided(delivery.call.journal, delivery.passage, delivery.held)

    def _let_report(self, passage: int) -> None:
        """What was delivered there, and is not reported yet, will not be held."""
        for delivery in [each for each in self._delivered if each.passage == passage]:
            self._delivered.remove(delivery)
            del self._held[passage]
            decided = Decided(passage=passage, decision=Decision.RESUME)
            delivery.call.journal.add(decided)

    async def _decided(self, journal: RecordFile, passage: int, held: _Held) -> str:
        decision = LEFT
        try:
            decision = await held.decision
        finally:
            del self._held[passage]
            journal.add(Decided(passage=passage, decision=decision))
        return decision


def _is_its_turn(each: _Set, line: str) -> bool:
    """Some are counted here, from when the breakpoint is set on; all else has its number."""
    there = each.spec.boundary
    if not there.is_counted:
        return True
    counted_by = "" if there.subject == ANY else line
    each.counts[counted_by] += 1
    return each.counts[counted_by] >= there.ordinal
