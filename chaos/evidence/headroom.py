"""How busy the machine is, which explains what takes longer than it should. A starved process looks
like a broken one. So a run always measures how long processes wait for a processor: stacks start
and deadlines are counted accordingly, and each case's journal has it.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

SAMPLE_SECONDS = 0.5
WINDOW_SECONDS = 5.0
"""What an entry of a journal describes."""

ROOMY_PRESSURE = 0.5
"""Up to here one more case may start."""

BUSY_PRESSURE = 0.5
BUSY_LAG_SECONDS = 1.0
BUSY_STEAL = 0.1
"""From here on, in any window, the machine is busy enough to make a process late."""

LONGEST_STRETCH = 4.0
"""How much longer a deadline may become: a second in which some process always waited for a
processor counts as a quarter.
"""

_STALL_FILES = (Path("/proc/pressure/cpu"), Path("/sys/fs/cgroup/cpu.pressure"))
"""Of the machine, and of the container with a quota of its own; see the kernel's
`Documentation/accounting/psi.rst`.
"""


class Strain(BaseModel):
    """How starved the machine was over a while. `pressure` is the share of the time in which a
    process waited for a processor, `steal` the share that other virtual machines of the host took,
    `lag_seconds` how late the harness's own loop woke, at the worst.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    pressure: float
    steal: float
    lag_seconds: float

    def __str__(self) -> str:
        stolen = f"the host took {self.steal:.0%} of them, " if self.steal >= BUSY_STEAL else ""
        return (
            f"up to {self.pressure:.0%} of the time a process waited for a processor, {stolen}"
            f"and the harness was up to {self.lag_seconds:.1f} s late"
        )

    @property
    def is_busy(self) -> bool:
        """Whether that alone can make anything late."""
        return (
            self.pressure >= BUSY_PRESSURE
            or self.steal >= BUSY_STEAL
            or self.lag_seconds >= BUSY_LAG_SECONDS
        )

    @property
    def pace(self) -> float:
        """How much of a second counts in a deadline."""
        return max(1 / LONGEST_STRETCH, 1 - self.pressure)


CALM = Strain(pressure=0.0, steal=0.0, lag_seconds=0.0)


def worst(strains: Sequence[Strain]) -> Strain:
    """The highest of each figure."""
    return Strain(
        pressure=max(strain.pressure for strain in strains),
        steal=max(strain.steal for strain in strains),
        lag_seconds=max(strain.lag_seconds for strain in strains),
    )


@dataclass(frozen=True)
class _Reading:
    """Counters that only grow, in seconds; `stalled` is None where the kernel counts no stalls."""

    at: float
    stalled: float | None
    stolen: float

    @classmethod
    def now(cls) -> _Reading:
        stalls = [stall for file in _STALL_FILES if (stall := _stalled(file)) is not None]
        stolen = getattr(psutil.cpu_times(), "steal", 0.0) / (os.cpu_count() or 1)
        return cls(time.monotonic(), max(stalls, default=None), stolen)

    def strain_since(self, before: _Reading, lag_seconds: float) -> Strain:
        """What happened in between."""
        elapsed = max(self.at - before.at, 1e-6)
        if self.stalled is None or before.stalled is None:
            # The queue of who wants a processor, beyond those who have one; and our own waiting.
            queue = psutil.getloadavg()[0] / (os.cpu_count() or 1) - 1
            pressure = max(queue, lag_seconds / elapsed)
        else:
            pressure = (self.stalled - before.stalled) / elapsed
        return Strain(
            pressure=round(min(1.0, max(0.0, pressure)), 3),
            steal=round(min(1.0, max(0.0, (self.stolen - before.stolen) / elapsed)), 3),
            lag_seconds=round(lag_seconds, 3),
        )


def _stalled(file: Path) -> float | None:
    """The seconds in which any process waited; None where the kernel does not say."""
    with suppress(OSError):
        if found := re.search(r"^some .*total=(\d+)", file.read_text(), re.MULTILINE):
            return int(found[1]) / 1e6
    return None


@dataclass(eq=False)
class _Watch:
    """A listener that gets each window, and the counters at the start of the present one."""

    tell: Callable[[Strain], None]
    began: _Reading = field(default_factory=_Reading.now)
    lag_seconds: float = 0.0

    def end_window(self, now: _Reading) -> None:
        self.tell(now.strain_since(self.began, self.lag_seconds))
        self.began, self.lag_seconds = now, 0.0


@dataclass
class Meter:
    """Measures in the loop in which `run` runs. `latest` is of the last half second."""

    latest: Strain = CALM
    _watches: list[_Watch] = field(default_factory=list)
    _fair: float = 0.0
    _sampled_at: float = field(default_factory=time.monotonic)

    def fair_seconds(self) -> float:
        """A clock for deadlines: it runs slower while the machine is starved."""
        return self._fair + (time.monotonic() - self._sampled_at) * self.latest.pace

    async def run(self) -> None:
        """Measure until cancelled."""
        before = _Reading.now()
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            now = _Reading.now()
            lag = max(0.0, now.at - before.at - SAMPLE_SECONDS)
            self._fair, self._sampled_at = self.fair_seconds(), now.at
            self.latest = now.strain_since(before, lag)
            before = now
            for watch in self._watches:
                watch.lag_seconds = max(watch.lag_seconds, lag)
                if now.at - watch.began.at >= WINDOW_SECONDS:
                    watch.end_window(now)

    @contextmanager
    def watched(self, tell: Callable[[Strain], None]) -> Iterator[None]:
        """Call `tell` for each window within the block, and for the rest at its end."""
        watch = _Watch(tell)
        self._watches.append(watch)
        try:
            yield
        finally:
            self._watches.remove(watch)
            watch.end_window(_Reading.now())
