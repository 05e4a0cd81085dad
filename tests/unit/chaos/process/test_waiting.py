from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from chaos.process.waiting import CLOCK, DeadlineExceededError, wait_until, within


@pytest.fixture
def slow_clock() -> Iterator[None]:
    """One that goes a hundred times slower, as on a starved machine."""
    token = CLOCK.set(lambda: time.monotonic() / 100)
    yield
    CLOCK.reset(token)


async def test_a_condition_is_asked_until_it_is_true() -> None:
    answers = iter([False, False, True])

    await wait_until(lambda: next(answers), what="three", deadline_seconds=5, interval_seconds=0)

    assert next(answers, "none left") == "none left"


async def test_a_coroutine_may_be_the_condition() -> None:
    asked = []

    async def condition() -> bool:
        asked.append(1)
        return len(asked) == 2

    await wait_until(condition, what="two", deadline_seconds=5, interval_seconds=0)

    assert len(asked) == 2


async def test_a_deadline_names_the_condition() -> None:
    with pytest.raises(DeadlineExceededError, match=r"the server answers: not within 0.01 s"):
        await wait_until(lambda: False, what="the server answers", deadline_seconds=0.01)


async def test_a_block_is_broken_off_at_its_deadline() -> None:
    with pytest.raises(DeadlineExceededError, match=r"the worker ends: not within 0.01 s"):
        async with within("the worker ends", 0.01):
            await asyncio.Event().wait()


async def test_a_blocks_own_timeout_is_no_deadline_of_ours() -> None:
    with pytest.raises(TimeoutError, match=r"^its own$"):
        async with within("anything", 5):
            raise TimeoutError("its own")


async def test_a_block_that_ends_in_time_is_left_alone() -> None:
    async with within("anything", 0.02):
        pass
    await asyncio.sleep(0.05)


@pytest.mark.usefixtures("slow_clock")
async def test_deadlines_are_counted_by_the_runs_own_clock() -> None:
    begun = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        await wait_until(lambda: False, what="nothing", deadline_seconds=0.002)
    with pytest.raises(DeadlineExceededError):
        async with within("nothing", 0.002):
            await asyncio.Event().wait()

    assert time.monotonic() - begun >= 0.4
