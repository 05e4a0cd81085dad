"""Waits on conditions, each with a deadline and a name; never on time alone."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

POLL_INTERVAL_SECONDS = 0.02


class DeadlineExceededError(Exception):
    """A condition did not come true in time. The message says which."""


async def wait_until(
    condition: Callable[[], bool | Awaitable[bool]],
    *,
    what: str,
    deadline_seconds: float,
    interval_seconds: float = POLL_INTERVAL_SECONDS,
) -> None:
    """Return as soon as the condition is true. Raises DeadlineExceededError."""
    end = time.monotonic() + deadline_seconds
    while True:
        answer = condition()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        if time.monotonic() >= end:
            raise DeadlineExceededError(f"{what}: not within {deadline_seconds:g} s.")
        await asyncio.sleep(interval_seconds)
