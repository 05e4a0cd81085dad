"""Cut all lines between the workers and Temporal for longer than a workflow task may take."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator, Sequence

from temporalio.api.enums.v1 import EventType, TimeoutType

from chaos.environment.target import Target
from chaos.environment.temporal import SHARED_SERVER
from chaos.environment.wire import SERVER, link_name
from chaos.evidence.bills import Mode
from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Event
from chaos.experiment.lab import Lab
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import BadNetwork
from chaos.guide.figures import backlog_drains, figures_of_a_gap, processors
from chaos.guide.gap import Gap, gap_of, tasks_of
from chaos.guide.heading import Heading
from chaos.guide.load import invariants_of, load, prepared, start_all, until_at_work
from chaos.invariants import proof
from chaos.invariants.figures import SECONDS, Figure
from chaos.invariants.proofs import network_was_hit
from chaos.invariants.recovery.bounds import handover_seconds
from chaos.invariants.recovery.in_flight import was_at_work
from chaos.network.toxics import BlackHole, Down, Stream

WORKERS = 3
LINK = link_name("fleet-1", SERVER)
"""The line that all workers share."""
TASK_SECONDS = 10.0
"""How long a workflow task may take unless its workflow's starter says otherwise, as none here."""
CUT_SECONDS = 2 * TASK_SECONDS


def _scenario(target: Target) -> Scenario:
    silent = BlackHole(stream=Stream.BOTH)
    return Scenario(
        name="",
        title="",
        cases=(_case("dropped", silent, target), _case("refused", Down(), target)),
    )


def _case(name: str, toxic: BlackHole | Down, target: Target) -> Case:
    async def experiment(lab: Lab) -> None:
        settings = await prepared(lab)
        await lab.supervisor(WORKERS, settings=settings, links=(SERVER,))
        count = lab.options.workflows
        first, later = load(target, count), load(target, count, first=count + 1)
        await start_all(lab, first)
        await until_at_work(lab, first)
        async with lab.during(BadNetwork(link=LINK, toxic=toxic)):
            ends_at = time.monotonic() + CUT_SECONDS
            await start_all(lab, later)
            await asyncio.sleep(max(0.0, ends_at - time.monotonic()))  # the fault lasts so long

    return Case(
        name=name,
        target=target,
        experiment=experiment,
        load=lambda options: load(target, 2 * options.workflows),
        proofs=(network_was_hit(LINK, (toxic.type,)), was_cut_at_work),
        invariants=(*invariants_of(target), backlog_drains),
        figures=figures,
        sampled=True,
        stack=SHARED_SERVER,
        modes=frozenset({Mode.MOCKED}),
        about_seconds=60,
    )


@proof("was_cut_at_work")
def was_cut_at_work(evidence: Evidence) -> Iterator[str]:
    """The workers were cut off from work: a workflow that had begun before had a task or an
    activity meanwhile. It lasted longer than any workflow task may take, and new tasks came.
    """
    gap = gap_of(evidence, WORKERS)
    if gap is None or evidence.first_entry(Event.HEALED, after=gap.start) is None:
        yield "the network was not cut and healed"
        return
    begun = [w for w in evidence.workflows.values() if w.started_at < gap.start]
    # Between two short activities nothing is in flight, and the next one is cut off all the same.
    if not any(was_at_work(each, gap.start, gap.end) for each in begun):
        yield "no work was in flight when the network was cut"
    longest = max((each.task_seconds for each in evidence.workflows.values()), default=0.0)
    if gap.seconds <= longest:
        yield f"it was cut for {gap.seconds:.1f} s; a workflow task may take {longest:.1f} s"
    if not any(gap.start < w.started_at < gap.end for w in evidence.workflows.values()):
        yield "no workflow was started while the network was cut"


def figures(evidence: Evidence) -> Sequence[Figure]:
    """What the guide says to watch: the reconnect, tasks that timed out, backlog, replays, CPU."""
    gap = gap_of(evidence, WORKERS)
    if gap is None:
        return ()
    return (
        *_reconnect(evidence, gap),
        *_timeouts(evidence, gap),
        *figures_of_a_gap(evidence, gap),
        *_cpu(evidence, gap),
    )


def _reconnect(evidence: Evidence, gap: Gap) -> Iterator[Figure]:
    """From the end of the cut until a worker answered a workflow task that it got afterwards.

    The bound: until both ends know that they can reach each other (keepalive, and the longest wait
    of an SDK between two tries), and the handover.
    """
    began = [task.started_at for _, run in tasks_of(evidence) for task in run]
    after = [at for at in began if at > gap.end]
    if after:
        yield Figure(
            name="reconnect time",
            value=round((min(after) - gap.end).total_seconds(), 3),
            unit=SECONDS,
            bound=round(gap.lag_seconds + handover_seconds(evidence), 3),
        )


def _timeouts(evidence: Evidence, gap: Gap) -> Iterator[Figure]:
    """Workflow tasks that a worker had or should have got, and that timed out.

    The bound: of each workflow one for each timeout that fits into the cut and the lag after it,
    and the one that had begun. (The sticky queue's timeouts are not counted: nobody got these.)
    """
    found = [
        event
        for workflow in evidence.all_workflows
        for event in workflow.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT
        and event.workflow_task_timed_out_event_attributes.timeout_type
        == TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
    ]
    cut = gap.seconds + gap.lag_seconds
    most = sum(math.floor(cut / (w.task_seconds or TASK_SECONDS)) + 1 for w in _open(evidence, gap))
    yield Figure(name="workflow tasks that timed out", value=len(found), unit="tasks", bound=most)


def _open(evidence: Evidence, gap: Gap) -> list[Workflow]:
    return [w for w in evidence.all_workflows if w.closed_at is None or w.closed_at > gap.start]


def _cpu(evidence: Evidence, gap: Gap) -> Iterator[Figure]:
    """While cut off, and from then on until all work was done, when all try to connect at once."""
    yield from processors(evidence, gap.start, gap.end, ", cut off")
    ends = [workflow.closed_at for workflow in evidence.workflows.values() if workflow.closed_at]
    if ends:
        yield from processors(evidence, gap.end, max(ends), ", until all work was done")


HEADING = Heading(
    name="no_network",
    title="Remove network connectivity to a Namespace",
    watches="reconnect time, workflow task timeouts, backlog and drain time, replay latency, "
    "processors, duplicates",
    make=_scenario,
)
