"""What the payment journal adds to each paid call.

A call is one `reserve` and one `record`, each durable when it returns. The baseline is what the
disk itself takes: one write of 4 KB and its fsync, in the same folder, in turns with the journal.
The folder is made in the system's temporary one; set TMPDIR to another disk to measure that.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from uuid import uuid4

from benchmarks.bed import Bed
from benchmarks.figures import Found, Quantity, Row, Table
from chaos.environment.postgres import Postgres, PostgresNotFoundError
from chaos.evidence.journal import Journal
from workflows.models import Item
from workflows.payments.calls import Granted, Limits, PaidRequest
from workflows.payments.journal import PaymentJournal

QUESTION = "How long does the payment journal delay a paid call, beside one durable write?"

ROUNDS, QUICK_ROUNDS = 5, 2
CALLS = 60
"""In each round."""

_BASELINE = "write 4 KB + fsync"
_BLOCK = bytes(4096)
_DEADLINE_SECONDS = 60.0
_LIMITS = Limits(in_doubt_allowed=0)

Rounds = Sequence[Sequence[float]]
"""The seconds of each call of each round."""


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
    """Paid steps, one after another."""
    journal = PaymentJournal.open(url, grace_seconds=5)
    operation_id = uuid4().hex
    try:
        return _timed(lambda number: _pay(journal, operation_id, f"step-{number}"))
    finally:
        journal.close()


def _pay(journal: PaymentJournal, operation_id: str, step: str) -> None:
    request = PaidRequest(
        operation_id, step, Item.VIDEO, "a-model", Decimal("1.20"), _DEADLINE_SECONDS
    )
    answer = journal.reserve(request, _LIMITS)
    if not isinstance(answer, Granted):
        raise TypeError(answer)
    journal.record(answer.call, provider_operation="models/a-model/operations/an-operation")


def _timed(act: Callable[[int], object]) -> list[float]:
    act(0)  # the first one makes the file or the connection
    seconds = []
    for number in range(1, CALLS + 1):
        began = time.perf_counter()
        act(number)
        seconds.append(time.perf_counter() - began)
    return seconds


async def measure(bed: Bed, *, quick: bool) -> Found:
    """SQLite, and PostgreSQL where that is installed, beside the disk."""
    folder = bed.folder / "payments"
    folder.mkdir()
    subjects = {
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
    measured: dict[str, list[list[float]]] = {name: [] for name in subjects}
    try:
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            for name, subject in subjects.items():
                measured[name].append(await asyncio.to_thread(subject))
    finally:
        if server:
            await server.discard()
        journal.close()
    return Found(tables=(table_of(measured),), notes=tuple(notes))


def table_of(measured: Mapping[str, Rounds]) -> Table:
    """The median and the 99th percentile of each round, and how many writes a call takes."""
    medians = {name: _milliseconds(rounds, statistics.median) for name, rounds in measured.items()}
    rows = [
        Row(
            name=name,
            cells={
                "median of a round": medians[name],
                "p99 of a round": _milliseconds(rounds, _p99),
                "÷ write": medians[name].over(medians[_BASELINE]),
            },
        )
        for name, rounds in measured.items()
    ]
    return Table(title=f"One process, {CALLS} calls a round", rows=tuple(rows))


def _milliseconds(rounds: Rounds, figure: Callable[[Sequence[float]], float]) -> Quantity:
    return Quantity(values=tuple(round(1000 * figure(one), 3) for one in rounds), unit="ms")


def _p99(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=100)[-1]
