"""Heartbeats of a case: how far it is, where, and which attempts were lost with their machines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from temporalio import activity

from chaos.search.campaign.model import Lost, Stage

INTERVAL = timedelta(seconds=5)
"""Between two heartbeats, by which a case also hears that it is cancelled."""


class Beat(BaseModel):
    """The details of a heartbeat. `handed_back`: the attempt ended itself, so that it was not lost,
    whatever comes after.
    """

    model_config = ConfigDict(frozen=True)

    machine: str
    attempt: int
    stage: Stage = Stage.WAITING
    lost: tuple[Lost, ...] = ()
    handed_back: bool = False


def lost_before(attempt: int, details: Sequence[Any]) -> tuple[Lost, ...]:
    """The lost attempts before this one, by the last heartbeat that the server has. An attempt that
    sent none was lost with a machine that nobody knows.
    """
    last = beat_of(details)
    known = last.lost if last else ()
    if last and not last.handed_back and last.attempt < attempt:
        known = (*known, Lost(machine=last.machine, attempt=last.attempt, stage=last.stage))
    silent = range(last.attempt + 1 if last else 1, attempt)
    return (*known, *(Lost(machine="", attempt=n, stage=Stage.WAITING) for n in silent))


def beat_of(details: Sequence[Any]) -> Beat | None:
    """What a heartbeat says; None of another version of the suite."""
    try:
        return Beat.model_validate(details[0]) if details else None
    except ValidationError:
        return None


@dataclass
class Pulse:
    """The heartbeats of one attempt. `running` is called when the case has got what it runs on."""

    machine: str
    running: Callable[[], None] = lambda: None
    stage: Stage = Stage.WAITING
    _handed_back: bool = False
    lost: tuple[Lost, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._loop, self._thread = asyncio.get_running_loop(), threading.current_thread()
        info = activity.info()
        self._attempt = info.attempt
        self.lost = lost_before(info.attempt, info.heartbeat_details)

    def say(self, stage: Stage) -> None:
        """Tell a stage, at once. Threads of its case may."""
        if threading.current_thread() is not self._thread:
            self._loop.call_soon_threadsafe(self.say, stage)
            return
        if stage is Stage.RUNNING and self.stage is not stage:
            self.running()
        self.stage = stage
        self._send()

    def hand_back(self) -> None:
        """The attempt ends itself: the next one does not count it as lost."""
        self._handed_back = True
        self._send()

    def _send(self) -> None:
        activity.heartbeat(
            Beat(
                machine=self.machine,
                attempt=self._attempt,
                stage=self.stage,
                lost=self.lost,
                handed_back=self._handed_back,
            )
        )

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Send one now, and then all the time."""
        self._send()
        beats = asyncio.create_task(self._beat_on())
        try:
            yield
        finally:
            beats.cancel()

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL.total_seconds())
            self._send()
