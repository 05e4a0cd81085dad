"""A small report, as two benchmarks would make it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks import restart
from benchmarks.figures import Benchmark, Found, Load, Machine, Report
from benchmarks.restart import Outage

_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_LOAD = Load(one=0.5, five=0.4, fifteen=0.3)


def restarts(*all_done: float) -> Found:
    """What a server's restarts come to whose last workflow was done after so long."""
    undisturbed = [Outage(0.0, 0.1, 0.5)]
    return restart.found(undisturbed, [Outage(0.2, 0.3, seconds) for seconds in all_done])


def report(all_done: Sequence[float], note: str = "") -> Report:
    """A whole one."""
    found = restarts(*all_done)
    notes = (*found.notes, note) if note else found.notes
    benchmark = Benchmark(
        name=restart.NAME,
        title=restart.TITLE,
        question=restart.QUESTION,
        found=found.model_copy(update={"notes": notes}),
        started_at=_AT,
        duration_s=3.0,
        load_before=_LOAD,
        load_after=_LOAD,
    )
    return Report(
        schema=1,
        started_at=_AT,
        quick=True,
        machine=Machine(cpus=2, memory_gb=8, system="Linux", versions={"python": "3.11"}),
        benchmarks=(benchmark,),
    )
