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

from matplotlib.figure import Figure

from benchmarks import plots
from benchmarks.bed import Bed
from benchmarks.figures import Found, Row, Table, seconds
from chaos.evidence.histories import save_histories
from chaos.evidence.history import Workflow
from chaos.evidence.spec import save_specs
from tests.chaos.video import specs
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.breakpoints import BreakAt, BreakpointSpec
from tests.chaos.video.fake_api.control import Breakpoint
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec
from tests.chaos.video.target import VIDEO

NAME = "restart"
TITLE = "Restart of the Temporal server"
QUESTION = "How long until it answers, until the first workflow goes on, until all are done?"

WORKERS = 2
WORKFLOWS = WORKERS * specs.SLOTS
THOROUGH, QUICK = 6, 2
"""How often."""
DEADLINE_SECONDS = 120.0

UNDISTURBED, KILLED = "undisturbed", "SIGKILL, started again at once"
ANSWERS, FIRST, ALL, RATIO = "answers", "first goes on", "all done", "÷ undisturbed"


@dataclass(frozen=True)
class Outage:
    """Seconds from the kill, or from where one would have been."""

    answers: float
    first: float
    all_done: float


async def measure(bed: Bed, *, quick: bool) -> Found:
    """Without and with a kill, in turns, on one stack."""
    outages: dict[bool, list[Outage]] = {False: [], True: []}
    async with bed.lab(NAME) as lab:
        await asyncio.gather(*(lab.worker() for _ in range(WORKERS)))
        for number in range(QUICK if quick else THOROUGH):
            for kill in (False, True):
                outages[kill].append(await _outage(lab, f"{number}-{kill}".lower(), kill=kill))
    return found(outages[False], outages[True])


async def _outage(lab: VideoLab, name: str, *, kill: bool) -> Outage:
    asked = [specs.single(f"restart-{name}-{n}") for n in range(WORKFLOWS)]
    holds = await asyncio.gather(*(_awaiting(lab, one) for one in asked))
    at = answers_at = datetime.now(UTC)
    if kill:
        await lab.signal(lab.stack.server.child, signal.SIGKILL)
    await asyncio.gather(*(hold.resume() for hold in holds))
    if kill:
        await lab.stack.server.start()
        answers_at = datetime.now(UTC)
        lab.healed(lab.stack.server.child.name)
    lab.specs[:] = asked
    await lab.converge(DEADLINE_SECONDS)
    return outage_of(await _histories(lab, asked), at, answers_at)


async def _awaiting(lab: VideoLab, asked: VideoSpec) -> Breakpoint:
    """Start a workflow and bring it to where it awaits its video."""
    scene = asked.video_prompts[0]
    hold = await lab.api.set_breakpoint(BreakpointSpec(call=BreakAt.VIDEO, match=scene))
    await lab.start(asked)
    await hold.reached(DEADLINE_SECONDS)
    await lab.until_polled(scene)
    return hold


async def _histories(lab: VideoLab, asked: Sequence[VideoSpec]) -> Sequence[Workflow]:
    folder = lab.stack.evidence_folder / asked[0].workflow_id
    folder.mkdir()
    await save_histories(lab.client, folder, [one.workflow_id for one in asked])
    await save_specs(folder, asked, VIDEO.data_converter)
    return list(VideoEvidence.load(folder, VIDEO.reading).workflows.values())


def outage_of(workflows: Sequence[Workflow], at: datetime, answers_at: datetime) -> Outage:
    """By the histories: a workflow goes on with the first activity that is done after the kill."""
    ends = [w.closed_at for w in workflows if w.closed_at and w.status == "completed"]
    if len(ends) < len(workflows):
        raise RuntimeError("not every workflow has completed.")
    activities = (a.closed_at for w in workflows for a in w.activities)
    first = min(closed for closed in activities if closed and closed > at)
    return Outage(*((then - at).total_seconds() for then in (answers_at, first, max(ends))))


def found(undisturbed: Sequence[Outage], killed: Sequence[Outage]) -> Found:
    """The table of what was measured."""
    rows = [_row(UNDISTURBED, undisturbed, baseline=True), _row(KILLED, killed)]
    baseline = rows[0].cells[ALL]
    rows = [
        row.model_copy(update={"cells": {**row.cells, RATIO: row.cells[ALL].over(baseline)}})
        for row in rows
    ]
    return Found(
        tables=(Table.of(f"{WORKFLOWS} workflows that await a video, {WORKERS} workers", rows),),
        notes=("The server has its data in a SQLite file, and is started again once it is gone.",),
    )


def _row(name: str, outages: Sequence[Outage], *, baseline: bool = False) -> Row:
    cells = {
        ANSWERS: seconds(*(round(one.answers, 3) for one in outages)),
        FIRST: seconds(*(round(one.first, 3) for one in outages)),
        ALL: seconds(*(round(one.all_done, 3) for one in outages)),
    }
    if baseline:
        del cells[ANSWERS]
    return Row(name=name, cells=cells, baseline=baseline)


def plot(found: Found) -> Figure:
    """Each moment as a row, with and without the kill."""
    table = found.tables[0]
    figure, (axes,) = plots.styled(8, 2.6)
    moments = (ALL, FIRST, ANSWERS)
    for place, moment in enumerate(moments):
        for series, name in enumerate((UNDISTURBED, KILLED)):
            quantity = table.row(name).cells.get(moment)
            if quantity:
                plots.interval(axes, place + 0.15 - 0.3 * series, quantity, series, name)
    plots.rows(axes, moments)
    axes.set_xlim(left=0)
    axes.set_xlabel(
        "seconds from the kill, or from where one would have been (dots: each value, bar: median)"
    )
    plots.legend(figure, columns=2)
    return figure
