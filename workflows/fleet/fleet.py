"""Starts, watches and replaces worker processes, and gives what a dead one had to the others."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from workflows import policies
from workflows.fleet.failover import Failover, Handover, Loss
from workflows.fleet.member import Member, ways_to_start
from workflows.fleet.pace import Pace
from workflows.fleet.spawner import Spawner

LOOK_SECONDS = 0.5
PAUSED_SECONDS = 2.0
"""How long a worker may be stopped by a signal before it is replaced. It can do nothing meanwhile,
yet the server goes on giving it tasks."""

SILENT_SECONDS = 20.0
"""How long a worker may not say that it lives: its event loop hangs."""

START_SECONDS = 120.0
"""How long a worker may take until it is ready."""

DRAIN_SECONDS = policies.GRACEFUL_SHUTDOWN_TIMEOUT.total_seconds() + 5.0
_FIRST_TRY_SECONDS = 0.1
_TEMPORAL_SECONDS = 0.2

logger = logging.getLogger("workflows.fleet")

Settings = Callable[[int], Mapping[str, str]]
"""What the environment of the n-th member has beyond the fleet's own; n counts from 1."""


@dataclass
class Tally:
    """What the fleet did, over its life."""

    started: int = 0
    lost: int = 0
    paused: int = 0
    hung: int = 0
    failed_over: int = 0
    over: int = 0
    left: int = 0
    calls_given_up: int = 0

    def add(self, done: Handover) -> None:
        """Count one loss."""
        self.lost += 1
        self.failed_over += done.failed_over
        self.over += done.over
        self.left += done.left
        self.calls_given_up += done.calls_given_up

    def __str__(self) -> str:
        return (
            f"starts={self.started} losses={self.lost} paused={self.paused} hung={self.hung} "
            f"failed_over={self.failed_over} over={self.over} left_to_heartbeats={self.left} "
            f"open_calls_settled={self.calls_given_up}"
        )


@dataclass
class Fleet:
    """`workers` processes of `argv`. `run` returns once they are all gone."""

    argv: Sequence[str]
    workers: int
    failover: Failover
    settings: Settings
    write: Callable[[str], object]
    spawner: Spawner = field(default_factory=Spawner)
    tally: Tally = field(default_factory=Tally)
    _members: dict[int, Member] = field(default_factory=dict)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _handovers: set[asyncio.Task[None]] = field(default_factory=set)
    _stopped_in_order: bool = True

    def stop(self) -> None:
        """Begin to drain; asked once more, kill."""
        if self._stop.is_set():
            logger.warning("asked again to stop: killing what is left")
            for member in self._members.values():
                self._kill(member)
            for handover in self._handovers:
                handover.cancel()
        self._stop.set()

    async def run(self) -> bool:
        """Keep all places filled until `stop`, then drain; whether nobody had to be killed."""
        drain = asyncio.create_task(self._drain())
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(1, self.workers + 1):
                    group.create_task(self._keep_place(number))
        finally:
            drain.cancel()
            for member in self._members.values():  # none is left, unless something broke
                member.send(signal.SIGKILL)
            await self.spawner.close()
        if self._handovers:
            await asyncio.wait(self._handovers)
        logger.info("all workers have ended: %s", self.tally)
        return self._stopped_in_order

    async def _keep_place(self, number: int) -> None:
        """One process after the other, each with what it takes to replace it."""
        pace = Pace()
        while not self._stop.is_set():
            if not await self._temporal_answers():
                return
            member = await self._start(number)
            lived = await self._live(member) if member else None
            if self._stop.is_set():
                return
            delay_seconds = pace.next_delay_seconds(lived)
            if pace.is_crash_loop and member:
                _tell_of_crash_loop(member, pace.young_deaths, delay_seconds)
            await self._stopped_within(delay_seconds)

    async def _temporal_answers(self) -> bool:
        """Wait until it does; False once stopped. A worker that is started meanwhile would end at
        once, and the next one come late.
        """
        while not await self.failover.temporal_answers():
            if await self._stopped_within(_TEMPORAL_SECONDS):
                return False
        return True

    async def _start(self, number: int) -> Member | None:
        try:
            ways = ways_to_start(self.argv, self.spawner)
            member = await Member.start(number, ways, self.settings(number), self.write)
        except OSError as error:
            why = f"{error.strerror}: {self.argv[0]}"
            logger.error("worker-%d cannot be started (%s)", number, why)  # noqa: TRY400 - a trace tells nothing more
            return None
        self._members[number] = member
        self.tally.started += 1
        logger.info("%s started (pid %d)", member.name, member.pid)
        if self._stop.is_set():  # it came while everybody was told to stop
            member.send(signal.SIGTERM)
        return member

    async def _live(self, member: Member) -> float | None:
        """Watch a process to its end and fail over what it had; how long it was ready."""
        watch = asyncio.create_task(self._watch(member))
        how = await member.ended()
        ended_at = time.monotonic()
        watch.cancel()
        handover = asyncio.create_task(self._hand_over(member, how))
        self._handovers.add(handover)
        handover.add_done_callback(self._handovers.discard)
        # The next start takes the processor for a second, and this only some milliseconds.
        await asyncio.wait({handover}, timeout=_FIRST_TRY_SECONDS)
        return ended_at - member.ready_at if member.ready_at else None

    async def _hand_over(self, member: Member, how: str) -> None:
        if member.ended_in_order:
            logger.info("%s (pid %d) ended", member.name, member.pid)
            return
        loss = Loss(
            pid=member.pid,
            how=how,
            sender=member.sender,
            identity=member.in_hand.identity,
            attempts=member.in_hand.attempts,
            workflows=member.in_hand.workflows,
            sticky_queue=member.sticky_queue,
        )
        done = await self.failover.hand_over(loss)
        self.tally.add(done)
        logger.warning("%s (pid %d) is lost (%s): %s", member.name, member.pid, how, done)

    async def _watch(self, member: Member) -> None:
        """Learn the process's sticky queue, and kill it when it is paused or hangs: only a process
        that is known to be gone can be failed over.
        """
        paused_since: float | None = None
        looked_at = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            if now - looked_at > LOOK_SECONDS + 1.0:  # this process was asleep itself
                member.in_hand.last_heard = now
            looked_at = now
            paused_since = (paused_since or now) if member.is_paused else None
            if paused_since is not None and now - paused_since >= PAUSED_SECONDS:
                logger.warning("%s (pid %d) is paused; it is killed", member.name, member.pid)
                self.tally.paused += 1
                self._kill(member)
                return
            limit_seconds = SILENT_SECONDS if member.ready_at else START_SECONDS
            if now - member.in_hand.last_heard >= limit_seconds:
                logger.warning("%s (pid %d) hangs; it is killed", member.name, member.pid)
                self.tally.hung += 1
                self._kill(member)
                return
            await self._learn_sticky_queue(member)

    async def _learn_sticky_queue(self, member: Member) -> None:
        identity, workflows = member.in_hand.identity, member.in_hand.workflows
        if identity and workflows and not member.sticky_queue:
            member.sticky_queue = await self.failover.find_sticky_queue(identity, workflows[0])

    async def _drain(self) -> None:
        """Once stopped, let every worker finish what it has in hand, within bounds."""
        await self._stop.wait()
        logger.info("stopping: what is in hand may take %g s", DRAIN_SECONDS)
        for member in self._members.values():
            member.send(signal.SIGTERM)
        await asyncio.sleep(DRAIN_SECONDS)
        for member in self._members.values():
            if member.is_there:
                logger.warning("%s (pid %d) does not end; it is killed", member.name, member.pid)
                self._kill(member)

    def _kill(self, member: Member) -> None:
        if member.is_there:
            self._stopped_in_order &= not self._stop.is_set()
            member.send(signal.SIGKILL)

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return False
        return True


def _tell_of_crash_loop(member: Member, deaths: int, delay_seconds: float) -> None:
    logger.error(
        "%s has ended %d times in a row soon after its start; the next start is in %g s. "
        "Its last lines:\n%s",
        *(member.name, deaths, delay_seconds),
        "\n".join(f"    {line}" for line in member.last_lines) or "    (it said nothing)",
    )
