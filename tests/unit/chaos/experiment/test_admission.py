"""Who comes in, in which order, and how many."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chaos.evidence.headroom import Strain
from chaos.experiment import admission
from chaos.experiment.admission import Admission, StartSlot

BUSY = Strain(pressure=0.9, steal=0.0, lag_seconds=0.0)


class Hall:
    """Guests that stay until they are told to go."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.came: list[str] = []
        self.slots: dict[str, StartSlot] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def knock(self, name: str, about_seconds: float = 20, *, own: bool = False) -> None:
        self._tasks[name] = asyncio.create_task(self._stay(name, about_seconds, own=own))

    async def _stay(self, name: str, about_seconds: float, *, own: bool) -> None:
        async with self.admission.slot(about_seconds, has_own_server=own) as slot:
            self.came.append(name)
            self.slots[name] = slot
            await asyncio.Event().wait()

    async def go(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.gather(self._tasks.pop(name), return_exceptions=True)

    async def settled(self) -> list[str]:
        """Once all have come in that may."""
        await asyncio.sleep(0.15)
        return self.came

    async def clear(self) -> None:
        for name in list(self._tasks):
            await self.go(name)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "SAMPLE_SECONDS", 0.02)


@asynccontextmanager
async def _hall(admission: Admission) -> AsyncIterator[Hall]:
    hall = Hall(admission)
    try:
        yield hall
    finally:
        await hall.clear()


async def test_the_longest_begin_first_whatever_the_order_they_came_in() -> None:
    async with _hall(Admission(stacks=1)) as hall:
        for name, seconds in {"short": 10, "long": 90, "longer": 120}.items():
            hall.knock(name, seconds)
        await hall.settled()
        await hall.go("longer")
        await hall.settled()
        await hall.go("long")

        assert await hall.settled() == ["longer", "long", "short"]


async def test_on_a_busy_machine_one_starts_at_a_time() -> None:
    admitted = Admission(pause_seconds=0.04)
    admitted.meter.latest = BUSY
    async with _hall(admitted) as hall:
        for name in ("a", "b", "c"):
            hall.knock(name)

        assert await hall.settled() == ["a"]
        hall.slots["a"].is_up()
        hall.slots["a"].is_up()  # a second word changes nothing
        assert await hall.settled() == ["a", "b"]


async def test_on_a_busy_machine_there_is_a_pause_between_two_who_start() -> None:
    admitted = Admission(pause_seconds=60.0)
    admitted.meter.latest = BUSY
    async with _hall(admitted) as hall:
        hall.knock("a")
        hall.knock("b")
        await hall.settled()
        hall.slots["a"].is_up()
        await hall.go("a")

        assert await hall.settled() == ["a"]


async def test_with_room_they_start_beside_each_other_so_that_each_can_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _hall(Admission()) as hall:
        for name in ("a", "b", "c"):
            hall.knock(name)

        assert await hall.settled() == ["a", "b", "c"]
        monkeypatch.setattr(admission, "SAMPLE_SECONDS", 60.0)
        hall.knock("d")
        assert await hall.settled() == ["a", "b", "c"]


async def test_no_more_than_the_stack_limit_come_in() -> None:
    async with _hall(Admission(stacks=2)) as hall:
        for name in ("a", "b", "c"):
            hall.knock(name)
        await hall.settled()
        hall.slots["a"].is_up()
        hall.slots["b"].is_up()

        assert await hall.settled() == ["a", "b"]
        await hall.go("b")
        assert await hall.settled() == ["a", "b", "c"]


async def test_who_brings_a_server_waits_for_its_room_and_keeps_nobody_else_waiting() -> None:
    async with _hall(Admission(own_servers=1)) as hall:
        hall.knock("first", 50, own=True)
        hall.knock("second", 40, own=True)
        hall.knock("guest", 10)
        await hall.settled()

        assert hall.came == ["first", "guest"]
        hall.slots["guest"].is_up()
        await hall.go("first")
        assert await hall.settled() == ["first", "guest", "second"]


@pytest.mark.parametrize("stacks", [1, 2])
async def test_who_gives_up_waiting_takes_no_slot(stacks: int) -> None:
    admitted = Admission(stacks=stacks)
    async with _hall(admitted) as hall:
        hall.knock("a")
        hall.knock("b")
        await hall.go("b")
        await hall.settled()
        await hall.go("a")

    assert (admitted.stacks, admitted.starting) == (stacks, 0)
