"""How long a killed Temporal server is missed: until it answers, work goes on, and all is done.

Workflows await their videos, which are made in the very moment of the kill; the server gets
SIGKILL and is started again at once, on its database. The workers are left alone. Beside it the
same without a kill.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.bed import DEADLINE_SECONDS, Bed, awaiting, closed_at, completed
from benchmarks.figures import Found, Row, Table, seconds
from chaos.evidence.history import Workflow
from tests.chaos.video import specs
from tests.chaos.video.lab import VideoLab

QUESTION = "The server gets SIGKILL: how long until it answers, work goes on, and all is done?"

WORKERS = 2
WORKFLOWS = WORKERS * specs.SLOTS
THOROUGH, QUICK = 6, 2
"""How often."""

UNDISTURBED, KILLED = "undisturbed", "SIGKILL, started again at once"
ALL, RATIO = "all done", "÷ undisturbed"


@dataclass(frozen=True)
class Outage:
    """Seconds from the kill, or from where one would have been."""

    answers: float
    first: float
    all_done: float


async def measure(bed: Bed, *, quick: bool) -> Found:
    """Without and with a kill, in turns, on one stack."""
    outages: dict[bool, list[Outage]] = {False: [], True: []}
    async with bed.lab("restart") as lab:
        await asyncio.gather(*(lab.worker() for _ in range(WORKERS)))
        for number in range(QUICK if quick else THOROUGH):
            for kill in (False, True):
                outages[kill].append(await _outage(lab, f"{number}-{kill}".lower(), kill=kill))
    return found(outages[False], outages[True])


async def _outage(lab: VideoLab, name: str, *, kill: bool) -> Outage:
    started = [awaiting(lab, f"restart-{name}-{n}") for n in range(WORKFLOWS)]
    some, breakpoints = zip(*await asyncio.gather(*started), strict=True)
    at = answers_at = datetime.now(UTC)
    if kill:
        await lab.signal(lab.stack.server.child, signal.SIGKILL)
    await asyncio.gather(*(each.resume() for each in breakpoints))
    if kill:
        await lab.stack.server.start()
        answers_at = datetime.now(UTC)
        lab.healed(lab.stack.server.child.name)
    lab.specs[:] = some
    await lab.converge(DEADLINE_SECONDS)
    return outage_of(await completed(lab, some), at, answers_at)


def outage_of(workflows: Sequence[Workflow], at: datetime, answers_at: datetime) -> Outage:
    """By the histories: a workflow goes on with the first activity that is done after the kill."""
    activities = (a.closed_at for w in workflows for a in w.activities)
    first = min(closed for closed in activities if closed and closed > at)
    last = max(map(closed_at, workflows))
    return Outage(*((then - at).total_seconds() for then in (answers_at, first, last)))


def found(undisturbed: Sequence[Outage], killed: Sequence[Outage]) -> Found:
    """The table of what was measured."""
    baseline = seconds(*(one.all_done for one in undisturbed))
    rows = []
    for name, outages in ((UNDISTURBED, undisturbed), (KILLED, killed)):
        all_done = seconds(*(one.all_done for one in outages))
        cells = {
            "answers": seconds(*(one.answers for one in outages)),
            "first goes on": seconds(*(one.first for one in outages)),
            ALL: all_done,
            RATIO: all_done.over(baseline),
        }
        rows.append(Row(name=name, cells=cells))
    title = f"{WORKFLOWS} workflows that await a video, {WORKERS} workers"
    return Found(tables=(Table(title=title, rows=tuple(rows)),))
