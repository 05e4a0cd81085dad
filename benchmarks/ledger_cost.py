"""What the ledger adds to each paid call.

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
from decimal import Decimal
from functools import partial
from itertools import chain
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from pathlib import Path
from uuid import uuid4

from matplotlib.figure import Figure

from benchmarks import plots
from benchmarks.bed import Bed
from benchmarks.figures import Found, Quantity, Row, Table
from chaos.environment.postgres import Postgres, PostgresNotFoundError
from chaos.evidence.journal import Journal
from workflows.models import Item
from workflows.payments.calls import Granted, Limits, PaidRequest
from workflows.payments.journal import PaymentJournal

NAME = "ledger"
TITLE = "The ledger's price"
QUESTION = "How long does the ledger hold up each paid call, beside one durable write to the disk?"

PROCESSES = (1, 3)
ROUNDS, QUICK_ROUNDS = 5, 2
CALLS = 60
"""Of each process in each round."""

CALL, P99, RATIO = "median of a round", "p99 of a round", "÷ write"

_BASELINE = "write 4 KB + fsync"
_BLOCK = bytes(4096)
_DEADLINE_SECONDS = 60.0
_TERMS = Limits(in_doubt_allowed=0)

Subject = Callable[[], list[float]]
"""Does its work `CALLS` times and returns how many seconds each took."""

Rounds = Sequence[Sequence[float]]
"""The seconds of each round."""


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
    ledger = PaymentJournal.open(url, grace_seconds=5)
    operation_id = uuid4().hex
    try:
        return _timed(lambda number: _buy(ledger, operation_id, f"step-{number}"))
    finally:
        ledger.close()


def _buy(ledger: PaymentJournal, operation_id: str, step: str) -> None:
    purchase = PaidRequest(
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


def _in_turns(subjects: Mapping[str, Subject], processes: int, rounds: int) -> dict[str, Rounds]:
    """All subjects in turns, each by that many processes at once."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    seconds: dict[str, list[list[float]]] = {name: [] for name in subjects}
    with context.Pool(processes, _remember, (barrier,)) as pool:
        for _ in range(rounds):
            for name, subject in subjects.items():
                seconds[name].append(_together(pool, subject, processes))
    return dict(seconds)


def _together(pool: Pool, subject: Subject, processes: int) -> list[float]:
    return list(chain.from_iterable(pool.map(_in_step, [subject] * processes, chunksize=1)))


async def measure(bed: Bed, *, quick: bool) -> Found:
    """SQLite, and PostgreSQL where that is installed, beside the disk."""
    folder = bed.folder / NAME
    folder.mkdir()
    subjects: dict[str, Subject] = {
        _BASELINE: partial(time_writes, folder),
        "SQLite": partial(time_calls, f"sqlite:///{folder / 'paid.db'}"),
    }
    journal = Journal(folder / "journal.jsonl", lambda _: None)
    server, notes = None, []
    try:
        server = Postgres.below(folder, run_tag=bed.run_tag, logs=folder, journal=journal)
        await server.start()
        subjects["PostgreSQL"] = partial(time_calls, server.url())
    except PostgresNotFoundError as error:
        notes.append(f"Without PostgreSQL: {error}")
    rounds = QUICK_ROUNDS if quick else ROUNDS
    try:
        measured = {n: await asyncio.to_thread(_in_turns, subjects, n, rounds) for n in PROCESSES}
    finally:
        if server:
            await server.discard()
        journal.close()
    return found(measured, notes)


def found(measured: Mapping[int, Mapping[str, Rounds]], notes: Sequence[str]) -> Found:
    """A table for each number of processes."""
    tables = []
    for processes, subjects in measured.items():
        medians = {
            name: _milliseconds(rounds, statistics.median) for name, rounds in subjects.items()
        }
        rows = [
            Row(
                name=name,
                cells={
                    CALL: medians[name],
                    P99: _milliseconds(rounds, _p99),
                    RATIO: medians[name].over(medians[_BASELINE]),
                },
                baseline=name == _BASELINE,
            )
            for name, rounds in subjects.items()
        ]
        tables.append(Table.of(f"{processes} process{'es' if processes > 1 else ''} at once", rows))
    return Found(tables=tuple(tables), notes=tuple(notes))


def _milliseconds(rounds: Rounds, figure: Callable[[Sequence[float]], float]) -> Quantity:
    return Quantity(values=tuple(round(1000 * figure(one), 3) for one in rounds), unit="ms")


def _p99(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=100)[-1]


def plot(found: Found) -> Figure:
    """Each subject's median, round for round."""
    figure, axes = plots.styled(9, 2.2, columns=len(found.tables))
    for one, table in zip(axes, found.tables, strict=True):
        rows = tuple(reversed(table.rows))
        for place, row in enumerate(rows):
            plots.interval(one, place, row.cells[CALL], 0, "ledger")
        disk = table.row(_BASELINE).cells[CALL].median
        plots.ideal(one, [disk, disk], [-0.5, len(rows) - 0.5], "one durable write")
        plots.rows(one, [row.name for row in rows])
        one.set_xlim(left=0)
        one.set_xlabel(f"ms a call, {table.title} (dots: rounds)")
    plots.legend(figure, columns=2)
    return figure
