"""A stack of lanes that is kept for the next case, and when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from chaos.evidence.journal import Entry, Event
from chaos.process.child import ChildError
from chaos.search.campaign import warm as module
from chaos.search.campaign.warm import Tell, WarmLanes
from chaos.search.crash.lanes import Lanes


@dataclass(eq=False)
class Lane:
    """Stands for one."""

    name: str
    stack: Stack
    gave_up: list[str] = field(default_factory=list)
    discarded: bool = False

    async def start(self) -> None:
        if self.stack.town.broken:
            raise ChildError(self.stack.town.broken)

    async def give_up(self, workflow_id: str) -> None:
        self.gave_up.append(workflow_id)

    async def discard(self) -> None:
        self.discarded = True


@dataclass(eq=False)
class Stack:
    """Stands for a running stack."""

    town: Town
    tell: Tell
    lanes: list[Lane] = field(default_factory=list)
    is_open: bool = True

    def make(self, number: int) -> Lane:
        self.lanes.append(Lane(f"lane-{number}", self))
        return self.lanes[-1]

    def lose(self, process: str) -> None:
        self.tell(Entry(at=datetime.now(UTC), event=Event.EXITED, target=process))


@dataclass
class Town:
    """Where stacks are opened, unless it is `broken`."""

    stacks: list[Stack] = field(default_factory=list)
    broken: str = ""
    cannot_open: str = ""
    most_open: int = 0

    @asynccontextmanager
    async def open(self, tell: Tell) -> AsyncIterator[Lanes]:
        await asyncio.sleep(0)
        if self.cannot_open:
            raise ChildError(self.cannot_open)
        stack = Stack(self, tell)
        self.stacks.append(stack)
        self.most_open = max(self.most_open, sum(each.is_open for each in self.stacks))
        try:
            yield cast("Lanes", stack)
        finally:
            await asyncio.sleep(0.01)
            stack.is_open = False


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.fixture
async def warm(town: Town) -> AsyncIterator[WarmLanes]:
    lanes = WarmLanes(town.open, starts_at_once=1)
    yield lanes
    await lanes.close()
    assert not any(stack.is_open for stack in town.stacks)


async def use(warm: WarmLanes) -> Any:
    async with warm.lane() as held:
        return held.lane


async def test_the_next_case_gets_the_idle_lane(warm: WarmLanes, town: Town) -> None:
    assert await use(warm) is await use(warm)
    assert len(town.stacks) == 1


async def test_cases_at_once_have_a_lane_each_on_one_stack(warm: WarmLanes, town: Town) -> None:
    async with warm.lane() as one, warm.lane() as other:
        assert one.lane is not other.lane
    assert len(town.stacks) == 1


async def test_what_a_case_leaves_behind_is_given_up_before_the_next(warm: WarmLanes) -> None:
    async with warm.lane() as held:
        held.left = "order-1"
    async with warm.lane() as again:
        assert cast("Any", again.lane).gave_up == ["order-1"]
        assert again.left == ""


async def test_a_lane_whose_block_raised_is_not_used_again(warm: WarmLanes, town: Town) -> None:
    with pytest.raises(ChildError):
        async with warm.lane() as held:
            raise ChildError("its worker is gone")
    assert await use(warm) is not held.lane
    assert cast("Any", held.lane).discarded
    assert len(town.stacks) == 1


@pytest.mark.parametrize("process", ["server", "proxy-1", "payments"])
async def test_a_stack_that_lost_a_process_gets_no_more_cases(
    warm: WarmLanes, town: Town, process: str
) -> None:
    await use(warm)
    town.stacks[0].lose(process)
    await use(warm)
    assert len(town.stacks) == 2


@pytest.mark.parametrize("process", ["worker-1", "fleet-1"])
async def test_workers_may_end(warm: WarmLanes, town: Town, process: str) -> None:
    await use(warm)
    town.stacks[0].lose(process)
    await use(warm)
    assert len(town.stacks) == 1


async def test_one_that_cannot_start_a_lane_is_replaced(warm: WarmLanes, town: Town) -> None:
    town.broken = "no worker"
    with pytest.raises(ChildError, match="no worker"):
        await use(warm)
    town.broken = ""
    await use(warm)
    assert len(town.stacks) == 2


async def test_one_that_cannot_be_opened_is_an_error_of_all_who_wait(
    warm: WarmLanes, town: Town
) -> None:
    town.cannot_open = "no server"
    found = await asyncio.gather(use(warm), use(warm), return_exceptions=True)
    assert all("no server" in str(each) for each in found)
    town.cannot_open = ""
    assert await use(warm)


async def test_the_case_that_opens_it_may_be_cancelled(warm: WarmLanes, town: Town) -> None:
    first = asyncio.create_task(use(warm))
    second = asyncio.create_task(use(warm))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second
    del town


async def test_after_many_cases_there_is_another_one(
    warm: WarmLanes, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CASES", 3)
    for _ in range(7):
        await use(warm)
    assert len(town.stacks) == 3


async def test_one_that_still_has_a_case_ends_after_it(
    warm: WarmLanes, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CASES", 1)
    async with warm.lane():
        await use(warm)
        assert town.stacks[0].is_open


async def test_stacks_that_want_one_port_do_not_run_at_once(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CASES", 1)
    warm = WarmLanes(town.open, starts_at_once=1, alone=True)
    for _ in range(3):
        await use(warm)
    await warm.close()
    assert (len(town.stacks), town.most_open) == (3, 1)


async def test_an_idle_one_ends(town: Town) -> None:
    warm = WarmLanes(town.open, starts_at_once=1, idle_seconds=0.01)
    await use(warm)
    await asyncio.wait_for(asyncio.wait(warm._tasks), 5)
    assert not town.stacks[0].is_open
    await use(warm)
    await warm.close()
    assert len(town.stacks) == 2
