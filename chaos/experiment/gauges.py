"""Measures the workers of a stack once a second: their CPU time and memory, and the SDK metrics of
those that serve them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from chaos.environment.metrics import Reading, ScrapeError, scrape
from chaos.environment.stack import Stack
from chaos.environment.supervisor import SupervisorProcess
from chaos.evidence.samples import SERVED, WORKER_CPU, WORKER_MEMORY, Sample
from chaos.experiment.sampling import repeated
from chaos.process.child import ChildError

EVERY_SECONDS = 1.0

_LISTED = Path("/proc/thread-self/children")
_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass
class Gauges:
    """The state of measuring the workers of one stack."""

    stack: Stack
    _written: dict[_Key, tuple[float, float | None]] = field(default_factory=dict)

    async def take(self) -> None:
        """Measure all workers that are there, side by side, and write what has changed."""
        at = datetime.now(UTC)
        used = [sample for name, pids in self._workers() for sample in self._used(name, pids, at)]
        told = await asyncio.gather(*(self._told(name, port) for name, port in self._ports()))
        self.stack.samples.write([*used, *(each for samples in told for each in samples)])

    def _workers(self) -> Iterator[tuple[str, Sequence[int]]]:
        """Each worker by its name in the journal, and the first of its processes."""
        for worker in self.stack.workers:
            if worker.child.is_alive:
                with suppress(ChildError):
                    yield worker.child.name, [worker.child.pid]
        for supervisor in self.stack.supervisors:
            if isinstance(supervisor, SupervisorProcess) and supervisor.child.is_alive:
                yield supervisor.target, supervisor.pids

    def _ports(self) -> Iterator[tuple[str, int]]:
        for name, ports in self.stack.metrics_ports.items():
            for number, port in enumerate(ports, start=1):
                yield (f"{name}-worker-{number}" if len(ports) > 1 else name), port.number

    def _used(self, name: str, pids: Iterable[int], at: datetime) -> Iterator[Sample]:
        """CPU time so far and memory of each worker, all its processes together."""
        for pid in pids:
            seconds = resident = 0.0
            for each in (pid, *_below(pid)):
                with suppress(psutil.Error):
                    process = psutil.Process(each)
                    with process.oneshot():
                        times = process.cpu_times()
                        seconds += times.user + times.system
                        resident += process.memory_info().rss
            if resident:
                labels = {"worker": name, "pid": str(pid)}
                yield Sample(at=at, name=WORKER_CPU, value=round(seconds, 2), labels=labels)
                yield Sample(at=at, name=WORKER_MEMORY, value=resident, labels=labels)

    async def _told(self, name: str, port: int) -> list[Sample]:
        """What has changed of the metrics of one worker, and whether it serves any."""
        try:
            readings = await scrape(port)
        except ScrapeError:
            readings = ()
        at = datetime.now(UTC)
        served = Reading(SERVED, {}, float(bool(readings)))
        return [
            sample
            for reading in (served, *readings)
            if (sample := self._changed(name, reading, at)) is not None
        ]

    def _changed(self, worker: str, reading: Reading, at: datetime) -> Sample | None:
        labels = {"worker": worker, **self._named(reading.labels)}
        key = reading.name, tuple(sorted(labels.items()))
        value = round(reading.value, 6)
        numbers = (value, reading.count or 0.0, *reading.buckets.values())
        if self._written.get(key) == (value, reading.count) or not all(map(math.isfinite, numbers)):
            return None
        self._written[key] = (value, reading.count)
        return Sample(
            at=at,
            name=reading.name,
            value=value,
            labels=labels,
            count=reading.count,
            buckets=reading.buckets,
        )

    def _named(self, labels: Mapping[str, str]) -> dict[str, str]:
        """With the name that the target has for a task queue."""
        prefix = self.stack.temporal.prefix
        return {
            name: value.removeprefix(prefix) if name == "task_queue" else value
            for name, value in labels.items()
        }


def _below(pid: int) -> Iterator[int]:
    """All processes that descend from one. The kernel lists the children of a thread in a file;
    where it was built without that, psutil looks at all processes of the machine.
    """
    if not _LISTED.exists():
        with suppress(psutil.Error):
            yield from (child.pid for child in psutil.Process(pid).children(recursive=True))
        return
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended meanwhile
            for child in map(int, listed.read_text().split()):
                yield child
                yield from _below(child)


@asynccontextmanager
async def gauged(stack: Stack) -> AsyncIterator[None]:
    """Measure its workers within the block."""
    async with repeated(Gauges(stack).take, EVERY_SECONDS):
        yield
