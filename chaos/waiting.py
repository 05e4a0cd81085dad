"""Waits on conditions, each with a deadline and a name; never on time alone."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

POLL_INTERVAL_SECONDS = 0.02
GROWTH = 1.25
LONGEST_INTERVAL_SECONDS = 0.2
"""Each look costs whoever is asked some of the processor, so they become rarer: what is late by it
is late by a fifth of the time that was waited, and by no more than this."""


class DeadlineExceededError(Exception):
    """A condition did not come true in time. The message says which."""


async def wait_until(
    condition: Callable[[], bool | Awaitable[bool]],
    *,
    what: str,
    deadline_seconds: float,
    interval_seconds: float = POLL_INTERVAL_SECONDS,
) -> None:
    """Return as soon as the condition is true. Raises DeadlineExceededError.

    It is asked again after `interval_seconds`, then after more and more.
    """
    longest = max(interval_seconds, LONGEST_INTERVAL_SECONDS)
    end = time.monotonic() + deadline_seconds
    while True:
        answer = condition()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        if time.monotonic() >= end:
            raise DeadlineExceededError(f"{what}: not within {deadline_seconds:g} s.")
        await asyncio.sleep(interval_seconds)
        interval_seconds = min(interval_seconds * GROWTH, longest)
