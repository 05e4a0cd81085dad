"""How many cases a machine takes, and when one more."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaos.evidence.headroom import CALM, Meter, Strain
from chaos.experiment.admission import Admission
from chaos.search.campaign import headroom
from chaos.search.campaign.headroom import Headroom, Permit, Resources, slots_by_default

BUSY = Strain(pressure=0.9, steal=0.0, lag_seconds=0.0)
CONTEXT: Any = None


def test_half_a_processor_takes_six_cases_and_the_smallest_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(headroom, "processors", lambda: 0.5)
    assert slots_by_default() == 6
    monkeypatch.setattr(headroom, "processors", lambda: 0.05)
    assert slots_by_default() == 1


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What the machine has; a test may take it away."""
    has = {"disk": 1 << 30, "memory": 1 << 29}
    disk = lambda _: SimpleNamespace(free=has["disk"])  # noqa: E731 - one line
    monkeypatch.setattr(shutil, "disk_usage", disk)
    monkeypatch.setattr(headroom, "memory_left", lambda: has["memory"])
    return has


@pytest.mark.parametrize(("what", "said"), [("disk", "1 GiB is free"), ("memory", "of memory")])
def test_with_too_little_of_something_there_is_no_room(
    tmp_path: Path, free: dict[str, int], what: str, said: str
) -> None:
    resources = Resources(tmp_path)
    assert resources.why_none() is None
    free[what] -= 1
    assert said in (resources.why_none() or "")


@pytest.mark.usefixtures("free")
def test_a_fixed_port_is_served_by_one_process_of_a_machine(tmp_path: Path) -> None:
    first, second = Resources(tmp_path, [19_233]), Resources(tmp_path, [19_233])
    assert first.why_none() is None
    assert first.why_none() is None  # it is its own now
    assert "serves the port 19233" in (second.why_none() or "")

    first.close()
    assert second.why_none() is None
    second.close()


def used(permit: object) -> Any:
    return SimpleNamespace(permit=permit)


@asynccontextmanager
async def reserving(room: Headroom) -> AsyncIterator[asyncio.Task[Permit]]:
    task = asyncio.create_task(cast("Any", room.reserve_slot(CONTEXT)))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def room_with(meter: Meter, most: int, why: Callable[[], str | None] = lambda: None) -> Headroom:
    return Headroom(Admission(meter, most, most, pause_seconds=0.0), why, said.append)


said: list[str] = []


async def is_waiting(task: asyncio.Task[Permit]) -> bool:
    done, _ = await asyncio.wait({task}, timeout=0.4)
    return not done


async def test_no_more_than_so_many_at_once() -> None:
    room = room_with(Meter(CALM), 1)
    first = await room.reserve_slot(CONTEXT)
    async with reserving(room) as second:
        assert await is_waiting(second)
        room.release_slot(used(first))
        assert isinstance(await asyncio.wait_for(second, 5), Permit)


async def test_on_a_busy_machine_the_next_one_waits_until_the_last_is_up() -> None:
    room = room_with(Meter(BUSY), 4)
    first = await room.reserve_slot(CONTEXT)
    room.mark_slot_used(used(first))
    async with reserving(room) as second:
        assert await is_waiting(second)
        room.is_up()
        assert isinstance(await asyncio.wait_for(second, 5), Permit)


async def test_a_case_that_ended_before_it_was_up_is_not_waited_for() -> None:
    room = room_with(Meter(BUSY), 4)
    first = await room.reserve_slot(CONTEXT)
    room.mark_slot_used(used(first))
    await asyncio.sleep(0)
    room.release_slot(used(first))
    async with reserving(room) as second:
        assert isinstance(await asyncio.wait_for(second, 5), Permit)


async def test_a_reservation_that_is_given_up_takes_no_room() -> None:
    room = room_with(Meter(CALM), 1)
    first = await room.reserve_slot(CONTEXT)
    async with reserving(room) as second:
        assert await is_waiting(second)
    room.release_slot(used(first))
    async with reserving(room) as third:
        assert isinstance(await asyncio.wait_for(third, 5), Permit)


async def test_what_it_lacks_is_said_once_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headroom, "_LOOK_SECONDS", 0.01)
    lacks: list[str] = ["no disk"]
    said.clear()
    room = room_with(Meter(CALM), 4, lambda: lacks[0] if lacks else None)
    async with reserving(room) as waiting:
        assert await is_waiting(waiting)
        assert said == ["no disk"]
        lacks.clear()
        assert isinstance(await asyncio.wait_for(waiting, 5), Permit)


async def test_one_that_is_closed_lets_nobody_in() -> None:
    room = room_with(Meter(CALM), 4)
    room.close()
    async with reserving(room) as waiting:
        assert await is_waiting(waiting)


def test_nobody_comes_unasked() -> None:
    async def ask() -> object:
        return room_with(Meter(CALM), 4).try_reserve_slot(CONTEXT)

    assert asyncio.run(ask()) is None
