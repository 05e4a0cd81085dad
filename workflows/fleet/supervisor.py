"""Starts, watches and replaces worker processes, and fails over the attempts of a dead one."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from workflows import policies
from workflows.fleet.failover import Failover, Handover, Loss
from workflows.fleet.restart_backoff import RestartBackoff
from workflows.fleet.spawner import Spawner
from workflows.fleet.worker_process import WorkerProcess, ways_to_start

LOOK_SECONDS = 0.5
PAUSED_SECONDS = 2.0
"""How long a worker may be paused by SIGSTOP before it is killed and replaced: the server goes on
giving it tasks."""

SILENT_SECONDS = 20.0
"""How long a worker may send no report. After that its event loop is taken to hang."""

START_SECONDS = 120.0
"""How long a worker may take until it is ready."""

DRAIN_SECONDS = policies.GRACEFUL_SHUTDOWN_TIMEOUT.total_seconds() + 5.0
_FIRST_TRY_SECONDS = 0.1
_TEMPORAL_SECONDS = 0.2

logger = logging.getLogger("workflows.fleet")

Settings = Callable[[int], Mapping[str, str]]
"""Variables of the n-th worker beyond the supervisor's own environment; n counts from 1."""


@dataclass
class Tally:
    """Counts over the life of the supervisor."""

    started: int = 0
    lost: int = 0
    paused: int = 0
    hung: int = 0
    failed_over: int = 0
    over: int = 0
    left: int = 0
    calls_given_up: int = 0

    def add(self, done: Handover) -> None:
        """Count one lost worker."""
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
class Supervisor:
    """Keeps `count` processes of `argv` running. `run` returns once they have all ended."""

    argv: Sequence[str]
    count: int
    failover: Failover
    settings: Settings
    write: Callable[[str], object]
    spawner: Spawner = field(default_factory=Spawner)
    tally: Tally = field(default_factory=Tally)
    _workers: dict[int, WorkerProcess] = field(default_factory=dict)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _handovers: set[asyncio.Task[None]] = field(default_factory=set)
    _stopped_in_order: bool = True

    def stop(self) -> None:
        """Begin to drain; the second call kills."""
        if self._stop.is_set():
            logger.warning("second request to stop: killing the remaining workers")
            for worker in self._workers.values():
                self._kill(worker)
            for handover in self._handovers:
                handover.cancel()
        self._stop.set()

    async def run(self) -> bool:
        """Keep all workers running until `stop`, then drain; whether no worker had to be killed."""
        drain = asyncio.create_task(self._drain())
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(1, self.count + 1):
                    group.create_task(self._keep_running(number))
        finally:
            drain.cancel()
            for worker in self._workers.values():  # none is left, unless something broke
                worker.send(signal.SIGKILL)
            await self.spawner.close()
        if self._handovers:
            await asyncio.wait(self._handovers)
        logger.info("all workers have ended: %s", self.tally)
        return self._stopped_in_order

    async def _keep_running(self, number: int) -> None:
        """Run one process after the other under this number."""
        backoff = RestartBackoff()
        while not self._stop.is_set():
            if not await self._temporal_answers():
                return
            worker = await self._start(number)
            lived = await self._live(worker) if worker else None
            if self._stop.is_set():
                return
            delay_seconds = backoff.next_delay_seconds(lived)
            if backoff.is_crash_loop and worker:
                _log_crash_loop(worker, backoff.young_deaths, delay_seconds)
            await self._stopped_within(delay_seconds)

    async def _temporal_answers(self) -> bool:
        """Wait until it does; False once stopped. A worker that is started during an outage would
        end at once and count as a young death.
        """
        while not await self.failover.temporal_answers():
            if await self._stopped_within(_TEMPORAL_SECONDS):
                return False
        return True

    async def _start(self, number: int) -> WorkerProcess | None:
        try:
            ways = ways_to_start(self.argv, self.spawner)
            worker = await WorkerProcess.start(number, ways, self.settings(number), self.write)
        except OSError as error:
            why = f"{error.strerror}: {self.argv[0]}"
            logger.error("worker-%d cannot be started (%s)", number, why)  # noqa: TRY400 - a trace tells nothing more
            return None
        self._workers[number] = worker
        self.tally.started += 1
        logger.info("%s started (pid %d)", worker.name, worker.pid)
        if self._stop.is_set():  # it started during the drain
            worker.send(signal.SIGTERM)
        return worker

    async def _live(self, worker: WorkerProcess) -> float | None:
        """Watch a process until it ends and fail over its attempts; how long it was ready."""
        watch = asyncio.create_task(self._watch(worker))
        how = await worker.ended()
        ended_at = time.monotonic()
        watch.cancel()
        handover = asyncio.create_task(self._hand_over(worker, how))
        self._handovers.add(handover)
        handover.add_done_callback(self._handovers.discard)
        # First the failover, which takes milliseconds: a start needs a second of CPU.
        await asyncio.wait({handover}, timeout=_FIRST_TRY_SECONDS)
        return ended_at - worker.ready_at if worker.ready_at else None

    async def _hand_over(self, worker: WorkerProcess, how: str) -> None:
        if worker.ended_in_order:
            logger.info("%s (pid %d) ended", worker.name, worker.pid)
            return
        loss = Loss(
            pid=worker.pid,
            how=how,
            sender=worker.sender,
            identity=worker.in_flight.identity,
            attempts=worker.in_flight.attempts,
            workflows=worker.in_flight.workflows,
            sticky_queue=worker.sticky_queue,
        )
        done = await self.failover.hand_over(loss)
        self.tally.add(done)
        logger.warning("%s (pid %d) is lost (%s): %s", worker.name, worker.pid, how, done)

    async def _watch(self, worker: WorkerProcess) -> None:
        """Find out its sticky queue, and kill it if it is paused or hangs: only the attempts of a
        dead process can be failed over.
        """
        paused_since: float | None = None
        looked_at = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            if now - looked_at > LOOK_SECONDS + 1.0:  # this process itself was paused
                worker.in_flight.last_heard = now
            looked_at = now
            paused_since = (paused_since or now) if worker.is_paused else None
            if paused_since is not None and now - paused_since >= PAUSED_SECONDS:
                logger.warning("%s (pid %d) is paused; it is killed", worker.name, worker.pid)
                self.tally.paused += 1
                self._kill(worker)
                return
            limit_seconds = SILENT_SECONDS if worker.ready_at else START_SECONDS
            if now - worker.in_flight.last_heard >= limit_seconds:
                logger.warning("%s (pid %d) hangs; it is killed", worker.name, worker.pid)
                self.tally.hung += 1
                self._kill(worker)
                return
            await self._learn_sticky_queue(worker)

    async def _learn_sticky_queue(self, worker: WorkerProcess) -> None:
        identity, workflows = worker.in_flight.identity, worker.in_flight.workflows
        if identity and workflows and not worker.sticky_queue:
            worker.sticky_queue = await self.failover.find_sticky_queue(identity, workflows[0])

    async def _drain(self) -> None:
        """After `stop`, let the workers finish what is in flight, for `DRAIN_SECONDS` at most."""
        await self._stop.wait()
        logger.info("stopping: attempts in flight may take %g s", DRAIN_SECONDS)
        for worker in self._workers.values():
            worker.send(signal.SIGTERM)
        await asyncio.sleep(DRAIN_SECONDS)
        for worker in self._workers.values():
            if worker.is_there:
                logger.warning("%s (pid %d) does not end; it is killed", worker.name, worker.pid)
                self._kill(worker)

    def _kill(self, worker: WorkerProcess) -> None:
        if worker.is_there:
            self._stopped_in_order &= not self._stop.is_set()
            worker.send(signal.SIGKILL)

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return False
        return True


def _log_crash_loop(worker: WorkerProcess, deaths: int, delay_seconds: float) -> None:
    logger.error(
        "%s has ended %d times in a row soon after its start; it is started again in %g s. "
        "Its last lines:\n%s",
        *(worker.name, deaths, delay_seconds),
        "\n".join(f"    {line}" for line in worker.last_lines) or "    (no output)",
    )
