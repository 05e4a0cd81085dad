"""What the guide says to watch, as figures: the backlog and how long it took to drain, how long
tasks waited, and how long workers needed for workflows that they had to replay.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.samples import BACKLOG, WORKER_CPU, Sample, over_time
from chaos.evidence.tasks import Answered, Ended
from chaos.experiment.sampling import EVERY_SECONDS
from chaos.guide.gap import Gap, due_again, gap_of, overdue, queueing_seconds, tasks_of
from chaos.invariants import Late, Unmeasured, invariant, proof
from chaos.invariants.figures import SECONDS, Figure

TASKS = "tasks"
_CLOCKS = timedelta(seconds=1)
"""How much the clocks of the server and of the harness may differ."""
KINDS = ("workflow", "activity")


def figures_of_a_gap(evidence: Evidence, gap: Gap) -> Sequence[Figure]:
    """All of them, of a case in which all workers were away once."""
    return (
        *depths(evidence),
        *drain_time(evidence, gap),
        *waits(evidence, gap),
        *replays(evidence),
    )


def depths(evidence: Evidence) -> Iterator[Figure]:
    """The deepest backlog of either kind, by the server's own count. It has no bound: how deep it
    gets is the fault's doing, and the drain time has one.
    """
    for kind in KINDS:
        found = over_time(evidence.samples, BACKLOG, kind=kind)
        if found:
            deepest = max(value for _, value in found)
            yield Figure(name=f"deepest backlog, {kind} tasks", value=deepest, unit=TASKS)


def drain_time(evidence: Evidence, gap: Gap) -> Iterator[Figure]:
    """From the end of a gap until no task waits any more, by the samples: the first without a
    backlog of which all later ones have none. Where some still waited at the end, until then.

    The bound: until the last lost attempt is due, the queueing, and two samples.
    """
    drained_at = drained(evidence)
    if drained_at is None:
        return
    late = (due_again(evidence, gap) - gap.end).total_seconds()
    yield Figure(
        name="drain time",
        value=round(max(0.0, (drained_at - gap.end).total_seconds()), 3),
        unit=SECONDS,
        bound=round(late + queueing_seconds(evidence, gap) + 2 * EVERY_SECONDS, 3),
    )


def drained(evidence: Evidence) -> datetime | None:
    """The time of the first sample from which on nothing waited; the last one's if something did.
    None: there are no samples.
    """
    found = over_time(evidence.samples, BACKLOG)
    last = max((n for n, (_, waiting) in enumerate(found) if waiting), default=-1)
    return found[min(last + 1, len(found) - 1)][0] if found else None


def waits(evidence: Evidence, gap: Gap) -> Iterator[Figure]:
    """The longest times from schedule to start of what started after a gap began, by the histories.
    Of activities only first attempts: histories do not say when another one was scheduled.

    The bound: the gap, during which nothing could start, and the queueing after it.
    """
    bound = round(gap.seconds + queueing_seconds(evidence, gap), 3)
    for kind, found in _waits(evidence, gap.start).items():
        if found:
            name = f"schedule to start, {kind}, longest"
            yield Figure(name=name, value=round(max(found), 3), unit=SECONDS, bound=bound)


def _waits(evidence: Evidence, since: datetime) -> dict[str, list[float]]:
    return {
        "workflow tasks": [
            task.waited_seconds
            for _, run in tasks_of(evidence)
            for task in run
            if task.started_at >= since
        ],
        "activities": [
            (activity.started_at - activity.scheduled_at).total_seconds()
            for workflow in evidence.all_workflows
            for activity in workflow.activities
            if activity.started_at and activity.attempt <= 1 and activity.started_at >= since
        ],
    }


def replays(evidence: Evidence) -> Iterator[Figure]:
    """How many workflow tasks came to a worker that did not have the workflow's state, and the
    longest time that one took: from when the worker got the task to its answer, by the history.
    That is the replay and the new code after it, local activities included.

    The bound: the workflow task's own timeout. One that was not answered in time is beyond it.
    """
    found: list[tuple[Workflow, Ended]] = [*replayed(evidence), *overdue(evidence)]
    yield Figure(name="workflows replayed by another worker", value=len(found), unit="times")
    if found:
        yield Figure(
            name="replay latency, longest",
            value=math.ceil(1000 * max(task.seconds for _, task in found)) / 1000,
            unit=SECONDS,
            bound=max(workflow.task_seconds for workflow, _ in found) or None,
        )


def replayed(evidence: Evidence) -> Sequence[tuple[Workflow, Answered]]:
    """The tasks that were answered by another worker than the one before them in their run."""
    return [
        (workflow, task)
        for workflow, run in tasks_of(evidence)
        for before, task in pairwise(run)
        if task.worker != before.worker
    ]


def processors(
    evidence: Evidence, start: datetime, end: datetime, when: str = ""
) -> Iterator[Figure]:
    """The mean number of processors that the workers took between two times, their starts included:
    by the CPU time of each process, which is measured every second.
    """
    used: dict[str, list[tuple[datetime, float]]] = {}
    for sample in evidence.samples:
        if sample.name == WORKER_CPU:
            used.setdefault(sample.labels.get("pid", ""), []).append((sample.at, sample.value))
    seconds = (end - start).total_seconds()
    if used and seconds > 0:
        taken = sum(_used_by(end, each) - _used_by(start, each) for each in used.values())
        name = f"processors that the workers took{when}"
        yield Figure(name=name, value=round(taken / seconds, 3))


def _used_by(moment: datetime, values: Sequence[tuple[datetime, float]]) -> float:
    """What a process had used by then: between two samples in proportion to the time; nothing
    before the first.
    """
    later = bisect_right(values, moment, key=lambda each: each[0])
    if later in {0, len(values)}:
        return values[-1][1] if later else 0.0
    (before, less), (after, more) = values[later - 1 : later + 1]
    return less + (more - less) * ((moment - before) / (after - before))


@proof("backlog_grew")
def backlog_grew(evidence: Evidence) -> Iterator[str]:
    """Tasks waited while no worker could take any."""
    gap, found = gap_of(evidence, workers=1), over_time(evidence.samples, BACKLOG)
    if gap is None:
        yield "nothing was broken, so that no backlog can be its doing"
    elif not found:
        yield "no backlog was measured"
    elif not any(gap.start <= at <= gap.end and waiting for at, waiting in found):
        yield f"no task waited in the {gap.seconds:.1f} s without workers"


@invariant
def backlog_drains(evidence: Evidence) -> Iterator[str]:
    """No task waits any more when all is over, in any task queue. One that the server did not
    count then, or a last count before the last workflow ended, is no answer.
    """
    newest: dict[tuple[str, ...], Sample] = {}
    for sample in evidence.samples:
        if sample.name == BACKLOG:
            newest[tuple(sorted(sample.labels.values()))] = sample
    if not newest:
        yield Unmeasured("no backlog was measured")
        return
    at = max(sample.at for sample in newest.values())
    ends = [workflow.closed_at for workflow in evidence.workflows.values() if workflow.closed_at]
    if max(ends, default=at) > at + _CLOCKS:
        yield Unmeasured("no backlog was measured after the last workflow had ended")
    elif waiting := sum(sample.value for sample in newest.values() if sample.at == at):
        yield Late(f"{waiting:.0f} tasks still waited in the task queues at the end")
    elif any(sample.value for sample in newest.values()):
        yield Unmeasured("the backlog of a task queue was not measured at the end")
