"""What the ledger adds to each paid call: `python -m benchmarks.ledger_cost`.

A call is one `reserve` and one `record`, each durable when it returns. The baseline is what the
disk itself takes: one write of 4 KB and its fsync, in the same folder, by as many processes, in
turns with the ledger. The folder is made in the system's temporary one; set TMPDIR to another
disk to measure that. A ratio says little without its baseline: several processes share fsyncs.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import chain
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from pathlib import Path
from uuid import uuid4

from chaos.cluster.postgres import Postgres, PostgresNotFoundError
from chaos.guardian import Guard
from chaos.journal import Journal
from workflows.ledger import Ledger
from workflows.models import Item
from workflows.paid_calls import Granted, Purchase, Terms

PROCESSES = (1, 3)
ROUNDS = 5
CALLS = 60
"""Of each process in each round."""

_BASELINE = "write 4 KB + fsync"
_BLOCK = bytes(4096)
_DEADLINE_SECONDS = 60.0
_TERMS = Terms(ambiguous_allowed=0)

Subject = Callable[[], list[float]]
"""Does its work `CALLS` times and returns how many seconds each took."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    processes: int
    seconds: Sequence[float]

    @property
    def median(self) -> float:
        """The median, in seconds."""
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        """What 99 of 100 stay below, in seconds."""
        return statistics.quantiles(self.seconds, n=100)[-1]

    def text(self, baseline: Row) -> str:
        """The line, with the ratio of the medians."""
        return (
            f"| {self.name:<18} | {self.processes:>9} | {self.median * 1000:>9.2f} "
            f"| {self.p99 * 1000:>9.2f} | {self.median / baseline.median:>6.1f}x |"
        )


def time_writes(folder: Path) -> list[float]:
    """The baseline: a file that grows, as a database's log does."""
    handle = os.open(folder / uuid4().hex, os.O_WRONLY | os.O_CREAT)

    def write(_number: int) -> None:
        os.write(handle, _BLOCK)
        os.fsync(handle)

    try:
        return _timed(write)
    finally:
        os.close(handle)


def time_calls(url: str) -> list[float]:
    """Steps that are bought, one after another."""
    ledger = Ledger.open(url, grace_seconds=5)
    operation_id = uuid4().hex
    try:
        return _timed(lambda number: _buy(ledger, operation_id, f"step-{number}"))
    finally:
        ledger.close()


def _buy(ledger: Ledger, operation_id: str, step: str) -> None:
    purchase = Purchase(
        operation_id, step, Item.VIDEO, "a-model", Decimal("1.20"), _DEADLINE_SECONDS
    )
    answer = ledger.reserve(purchase, _TERMS)
    if not isinstance(answer, Granted):
        raise TypeError(answer)
    ledger.record(answer.call, provider_operation="models/a-model/operations/an-operation")


def _timed(act: Callable[[int], object]) -> list[float]:
    act(0)  # the first one makes the file or the connection
    seconds = []
    for number in range(1, CALLS + 1):
        began = time.perf_counter()
        act(number)
        seconds.append(time.perf_counter() - began)
    return seconds


_start: Barrier


def _remember(barrier: Barrier) -> None:
    global _start  # noqa: PLW0603 - a process of a pool can be given a barrier in no other way
    _start = barrier


def _in_step(subject: Subject) -> list[float]:
    _start.wait()
    return subject()


def measure(subjects: Mapping[str, Subject], processes: int) -> list[Row]:
    """All subjects in turns, each by that many processes at once."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    with context.Pool(processes, _remember, (barrier,)) as pool:
        for _ in range(ROUNDS):
            for name, subject in subjects.items():
                seconds[name] += _together(pool, subject, processes)
    return [Row(name, processes, measured) for name, measured in seconds.items()]


def _together(pool: Pool, subject: Subject, processes: int) -> list[float]:
    return list(chain.from_iterable(pool.map(_in_step, [subject] * processes, chunksize=1)))


async def run(guard: Guard) -> None:
    """Measure all, and print the table."""
    folder = guard.folder / "benchmark"
    folder.mkdir()
    subjects: dict[str, Subject] = {
        _BASELINE: partial(time_writes, folder),
        "SQLite": partial(time_calls, f"sqlite:///{folder / 'paid.db'}"),
    }
    journal = Journal(folder / "journal.jsonl", lambda _: None)
    server = None
    try:
        server = Postgres.below(folder, mark=guard.mark, logs=folder, journal=journal)
        await server.start()
        subjects["PostgreSQL"] = partial(time_calls, server.url())
    except PostgresNotFoundError as error:
        print(f"without PostgreSQL: {error}")  # noqa: T201 - it says what it found
    try:
        await asyncio.to_thread(_print_table, subjects)
    finally:
        if server:
            await server.discard()
        journal.close()


def _print_table(subjects: Mapping[str, Subject]) -> None:
    print("| what               | processes | median ms |    p99 ms |   ratio |")  # noqa: T201
    print("|--------------------|-----------|-----------|-----------|---------|")  # noqa: T201
    for processes in PROCESSES:
        rows = measure(subjects, processes)
        for row in rows:
            print(row.text(rows[0]), flush=True)  # noqa: T201


if __name__ == "__main__":
    with Guard() as started:
        asyncio.run(run(started))
