"""Waits on conditions, each with a deadline and a name; never on time alone."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

POLL_INTERVAL_SECONDS = 0.02
GROWTH = 1.25
LONGEST_INTERVAL_SECONDS = 0.2
"""Each check costs the other side CPU time, so checks become rarer: they add at most a fifth of the
time waited, and no more than this.
"""


CLOCK: ContextVar[Callable[[], float]] = ContextVar("CLOCK", default=time.monotonic)
"""The clock of deadlines. A run has one that runs slower while its machine is starved, so that a
time without processors does not count.
"""


class DeadlineExceededError(TimeoutError):
    """A condition did not become true in time. The message says which."""


async def wait_until(
    condition: Callable[[], bool | Awaitable[bool]],
    *,
    what: str,
    deadline_seconds: float,
    interval_seconds: float = POLL_INTERVAL_SECONDS,
) -> None:
    """Return as soon as the condition is true. Raises DeadlineExceededError.

    It is checked again after `interval_seconds`, then at growing intervals.
    """
    clock = CLOCK.get()
    longest = max(interval_seconds, LONGEST_INTERVAL_SECONDS)
    end = clock() + deadline_seconds
    while True:
        answer = condition()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        if clock() >= end:
            raise DeadlineExceededError(f"{what}: not within {deadline_seconds:g} s.")
        await asyncio.sleep(interval_seconds)
        interval_seconds = min(interval_seconds * GROWTH, longest)


@asynccontextmanager
async def within(what: str, deadline_seconds: float) -> AsyncIterator[None]:
    """Cancel the block at the deadline. Raises DeadlineExceededError."""
    clock = CLOCK.get()
    end = clock() + deadline_seconds
    loop = asyncio.get_running_loop()

    async def watch(limit: asyncio.Timeout) -> None:
        while (left := end - clock()) > 0:  # noqa: ASYNC110 - a clock has no event
            await asyncio.sleep(left)
        limit.reschedule(loop.time())

    try:
        async with asyncio.timeout(None) as limit:
            watching = asyncio.create_task(watch(limit))
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError:
        if not limit.expired():
            raise
        raise DeadlineExceededError(f"{what}: not within {deadline_seconds:g} s.") from None
