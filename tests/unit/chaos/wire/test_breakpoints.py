"""Calls are held where a breakpoint is, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chaos.network.journal import RecordFile, file_name
from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.breakpoints import Breakpoints, DecisionError, Delivery
from chaos.wire.journal import LEFT, Decided, Reached, read_wire
from chaos.wire.specs import BreakpointSpec

STATUSES = ("UNAVAILABLE",)


def crossing(text: str, workflow_id: str = "w", attempt: int = 1) -> Crossing:
    return Crossing(boundary=Boundary.parse(text), workflow_id=workflow_id, attempt=attempt)


PACK = crossing("activity pack completing")
DELIVERED = crossing("activity pack delivered")
CALL = crossing("call POST /charges leaving")

PEER = 40312
"""The port of the worker's end of a connection."""


class Bed:
    """Breakpoints, a line, and what their client hears."""

    def __init__(self, case: Path) -> None:
        self.case = case
        self.heard: list[Mapping[str, Any]] = []
        self.breakpoints = Breakpoints(self.heard.append)
        self.journals = {
            line: RecordFile(case / "wire" / file_name(line), line, pytest.fail)
            for line in ("one", "two", "one>payments")
        }
        self._tasks: set[asyncio.Task[str]] = set()

    def set(self, text: str, **options: Any) -> None:
        number = options.pop("number", 1)
        self.breakpoints.set(
            BreakpointSpec(number=number, boundary=Boundary.parse(text), **options)
        )

    def call(self, *crossings: Crossing, line: str = "one") -> asyncio.Task[str]:
        at = self.breakpoints.at(self.journals[line], crossings, STATUSES, PEER)
        task = asyncio.create_task(at)
        self._tasks.add(task)
        return task

    async def held(self, *crossings: Crossing, line: str = "one") -> asyncio.Task[str]:
        """A call that is held."""
        task = self.call(*crossings, line=line)
        await asyncio.sleep(0)
        assert not task.done(), "it was not held"
        return task

    async def passes(self, *crossings: Crossing, line: str = "one") -> bool:
        task = self.call(*crossings, line=line)
        await asyncio.sleep(0)
        return task.done() and task.result() == ""

    def deliver(self, *crossings: Crossing) -> Sequence[Delivery]:
        return self.breakpoints.deliver(self.journals["one"], crossings, STATUSES)

    @property
    def decisions(self) -> Sequence[str]:
        records = read_wire(self.case)["one"]
        return [each.decision for each in records if isinstance(each, Decided)]

    @property
    def passages(self) -> Sequence[tuple[int, int]]:
        """The breakpoint and the passage of all that is told."""
        return [(event["breakpoint"], event["number"]) for event in self.heard]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks)
        for journal in self.journals.values():
            journal.close()


@pytest.fixture
async def bed(tmp_path: Path) -> Any:
    bed = Bed(tmp_path)
    yield bed
    await bed.close()


async def test_a_call_is_held_until_it_is_decided(bed: Bed) -> None:
    bed.set("activity pack completing")
    task = await bed.held(PACK)
    assert bed.heard == [
        {
            "event": "reached",
            "number": 1,
            "breakpoint": 1,
            "line": "one",
            "crossing": PACK.model_dump(mode="json"),
            "peer": PEER,
        }
    ]
    bed.breakpoints.decide(1, "drop")
    assert await task == "drop"
    reached, decided = read_wire(bed.case)["one"]
    assert isinstance(reached, Reached)
    assert (reached.passage, reached.crossing) == (1, PACK)
    assert isinstance(decided, Decided)
    assert (decided.passage, decided.decision) == (1, "drop")


@pytest.mark.parametrize(
    "elsewhere",
    [
        "activity pack completed",
        "activity pack completing 2",
        "activity send completing",
        "workflow_task pack completing",
    ],
)
async def test_at_another_boundary_nothing_is_held(bed: Bed, elsewhere: str) -> None:
    bed.set(elsewhere)
    assert await bed.passes(PACK)


@pytest.mark.parametrize("of", [{"workflow_id": "x"}, {"line": "two"}, {"attempt": 2}])
async def test_nothing_else_is_held_than_what_is_named(bed: Bed, of: dict[str, Any]) -> None:
    bed.set("activity pack completing", **of)
    assert await bed.passes(PACK)
    await bed.held(crossing("activity pack completing", "x", attempt=2), line="two")


async def test_a_workers_name_stands_for_its_lines_to_services_as_well(bed: Bed) -> None:
    bed.set("activity pack completing", line="one")

    assert await bed.passes(PACK, line="two")
    await bed.held(PACK, line="one>payments")


async def test_it_is_reached_as_often_as_it_is_told(bed: Bed) -> None:
    bed.set("activity pack completing", times=2)
    await bed.held(PACK)
    await bed.held(PACK)
    assert await bed.passes(PACK)


async def test_one_that_is_removed_holds_no_more_and_lets_nobody_go(bed: Bed) -> None:
    bed.set("activity pack completing", times=2)
    task = await bed.held(PACK)
    bed.breakpoints.remove(1)
    assert await bed.passes(PACK)
    bed.breakpoints.decide(1, "resume")
    assert await task == "resume"


async def test_a_call_at_two_boundaries_is_held_at_each_in_turn(bed: Bed) -> None:
    bed.set("activity pack completing")
    bed.set("marker m completing", number=2)
    task = await bed.held(PACK, crossing("marker m completing"))
    assert bed.passages == [(1, 1)]
    bed.breakpoints.decide(1, "resume")
    await asyncio.sleep(0)
    assert bed.passages == [(1, 1), (2, 2)]
    bed.breakpoints.decide(2, "UNAVAILABLE")
    assert await task == "UNAVAILABLE"


async def test_what_is_not_resumed_comes_to_no_other_boundary(bed: Bed) -> None:
    bed.set("activity pack completing")
    bed.set("marker m completing", number=2)
    task = await bed.held(PACK, crossing("marker m completing"))
    bed.breakpoints.decide(1, "silence")
    assert await task == "silence"
    assert bed.passages == [(1, 1)]
    await bed.held(crossing("marker m completing"))
    assert bed.passages == [(1, 1), (2, 2)], "the other waits for the next"


async def test_whatever_it_is_of_is_counted_from_when_it_is_set_on(bed: Bed) -> None:
    assert await bed.passes(PACK)
    bed.set("activity * completing 2")
    assert await bed.passes(crossing("activity send completed"))
    assert await bed.passes(PACK, line="two"), "it is the first"
    await bed.held(crossing("activity send completing 5", "x", attempt=3))
    assert await bed.passes(PACK)


async def test_of_one_workflow_only_that_is_counted(bed: Bed) -> None:
    bed.set("activity * completing 2", workflow_id="x")
    assert await bed.passes(PACK, PACK)
    assert await bed.passes(crossing("activity pack completing", "x"))
    await bed.held(crossing("activity send completing", "x"))


async def test_calls_are_held_side_by_side(bed: Bed) -> None:
    bed.set("activity pack completing", times=2)
    first, second = await bed.held(PACK), await bed.held(PACK)
    bed.breakpoints.decide(2, "drop")
    assert await second == "drop"
    assert not first.done()


async def test_whoever_goes_away_has_left(bed: Bed) -> None:
    bed.set("activity pack completing")
    task = await bed.held(PACK)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    _, decided = read_wire(bed.case)["one"]
    assert isinstance(decided, Decided)
    assert decided.decision == LEFT
    with pytest.raises(DecisionError, match="Passage 1 is not held"):
        bed.breakpoints.decide(1, "resume")


@pytest.mark.parametrize("decision", ["", "500", "left", "unavailable"])
async def test_what_cannot_be_decided_is_explained(bed: Bed, decision: str) -> None:
    bed.set("activity pack completing")
    task = await bed.held(PACK)
    with pytest.raises(DecisionError, match="choose one of resume, drop, silence, UNAVAILABLE"):
        bed.breakpoints.decide(1, decision)
    assert not task.done()


async def test_the_report_of_what_was_delivered_waits_until_it_is_decided(bed: Bed) -> None:
    bed.set("activity pack delivered")
    (delivery,) = bed.deliver(DELIVERED)
    bed.breakpoints.tell_delivered(delivery)
    assert bed.passages == [(1, 1)]
    task = await bed.held(PACK, line="two")
    bed.breakpoints.decide(1, "drop")
    assert await task == "drop"
    assert bed.decisions == ["drop"]
    assert await bed.passes(PACK), "it is the next report alone"


async def test_a_report_tells_that_it_was_delivered(bed: Bed) -> None:
    bed.set("activity pack delivered")
    (delivery,) = bed.deliver(DELIVERED)
    task = await bed.held(crossing("activity pack failing"))
    bed.breakpoints.tell_delivered(delivery)
    assert bed.passages == [(1, 1)], "it is told once"
    bed.breakpoints.decide(1, "resume")
    assert await task == "resume"


async def test_what_was_resumed_before_its_report_is_not_held(bed: Bed) -> None:
    bed.set("activity pack delivered")
    (delivery,) = bed.deliver(DELIVERED)
    bed.breakpoints.tell_delivered(delivery)
    bed.breakpoints.decide(1, "resume")
    assert bed.decisions == ["resume"]
    assert await bed.passes(PACK)
    with pytest.raises(DecisionError, match="Passage 1 is not held"):
        bed.breakpoints.decide(1, "drop")


async def test_what_was_decided_before_its_report_becomes_of_it(bed: Bed) -> None:
    bed.set("activity pack delivered")
    (delivery,) = bed.deliver(DELIVERED)
    bed.breakpoints.tell_delivered(delivery)
    bed.breakpoints.decide(1, "UNAVAILABLE")
    assert bed.decisions == []
    assert await bed.call(PACK) == "UNAVAILABLE"
    assert bed.decisions == ["UNAVAILABLE"]


@pytest.mark.parametrize(
    "other",
    [
        crossing("activity pack completing", "x"),
        crossing("activity pack completing", attempt=2),
        crossing("activity pack completing 2"),
        crossing("heartbeat pack completing"),
        crossing("activity pack completed"),
    ],
)
async def test_no_other_call_waits_for_what_was_delivered(bed: Bed, other: Crossing) -> None:
    bed.set("activity pack delivered")
    bed.deliver(DELIVERED)
    assert await bed.passes(other)


async def test_where_it_was_removed_nobody_waits_for_a_delivery(bed: Bed) -> None:
    """Nobody would decide about it."""
    bed.set("activity pack delivered")
    (delivery,) = bed.deliver(DELIVERED)
    bed.breakpoints.remove(1)
    bed.breakpoints.tell_delivered(delivery)
    assert bed.passages == []
    assert await bed.passes(PACK)


async def test_calls_of_services_are_counted_from_when_it_is_set(bed: Bed) -> None:
    assert await bed.passes(CALL)
    bed.set("call POST /charges leaving 2")
    assert await bed.passes(CALL)
    assert await bed.passes(CALL, line="two"), "each line counts its own"
    await bed.held(CALL)
    assert await bed.passes(CALL)
