"""Evidence of a case of the guide, made by hand: seconds are those after noon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from temporalio.api.enums.v1 import TimeoutType

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.evidence.samples import BACKLOG, Sample, SampleFile
from tests.unit.chaos.made_history import Made, at, spec_of

Depths = Iterable[tuple[float, Mapping[str, float]]]
"""How many tasks of each kind waited at a time."""


def task(made: Made, worker: str, scheduled: float, started: float, completed: float) -> None:
    """A workflow task that was answered."""
    due = made.add("WORKFLOW_TASK_SCHEDULED", scheduled).event_id
    begun = made.add("WORKFLOW_TASK_STARTED", started)
    begun.workflow_task_started_event_attributes.scheduled_event_id = due
    begun.workflow_task_started_event_attributes.identity = worker
    done = made.add("WORKFLOW_TASK_COMPLETED", completed)
    done.workflow_task_completed_event_attributes.scheduled_event_id = due
    done.workflow_task_completed_event_attributes.started_event_id = begun.event_id


def task_timed_out(
    made: Made, scheduled: float, timed_out: float, *, started: bool, worker: str = ""
) -> None:
    """One that nobody answered, or that nobody got."""
    due = made.add("WORKFLOW_TASK_SCHEDULED", scheduled).event_id
    begun = 0
    if started:
        event = made.add("WORKFLOW_TASK_STARTED", scheduled)
        event.workflow_task_started_event_attributes.scheduled_event_id = due
        event.workflow_task_started_event_attributes.identity = worker
        begun = event.event_id
    late = made.add("WORKFLOW_TASK_TIMED_OUT", timed_out).workflow_task_timed_out_event_attributes
    late.scheduled_event_id, late.started_event_id = due, begun
    late.timeout_type = (
        TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
        if started
        else TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
    )


def activity(made: Made, scheduled: float, started: float, closed: float, attempt: int = 1) -> None:
    """One that was done."""
    number = made.scheduled("charge_card", scheduled)
    begun = made.add("ACTIVITY_TASK_STARTED", started).activity_task_started_event_attributes
    begun.scheduled_event_id, begun.attempt, begun.identity = number, attempt, "1@host"
    done = made.add("ACTIVITY_TASK_COMPLETED", closed).activity_task_completed_event_attributes
    done.scheduled_event_id = number


def ready(worker: str, pid: int, seconds: float) -> Entry:
    return Entry(at=at(seconds), event=Event.READY, target=worker, pid=pid)


def killed(worker: str, pid: int, seconds: float) -> Sequence[Entry]:
    """A worker that died of the planned SIGKILL, within a tenth of a second."""
    same = {"target": worker, "pid": pid}
    return (
        Entry(at=at(seconds), event=Event.FAULT, kind="kill", **same),
        Entry(at=at(seconds + 0.01), event=Event.SIGNALED, signal="SIGKILL", **same),
        Entry(at=at(seconds + 0.1), event=Event.EXITED, exit_code=-9, **same),
    )


def evidence(
    folder: Path, *mades: Made, journal: Iterable[Entry] = (), depths: Depths = ()
) -> Evidence:
    """Of these workflows; the journal is put in order."""
    file = SampleFile(folder)
    file.write(
        Sample(at=at(seconds), name=BACKLOG, value=value, labels={"kind": kind})
        for seconds, kinds in depths
        for kind, value in kinds.items()
    )
    file.close()
    workflows = [made.workflow() for made in mades]
    return Evidence(
        folder=folder,
        specs=[spec_of(each) for each in workflows],
        workflows={each.workflow_id: each for each in workflows},
        journal=sorted(journal, key=lambda entry: entry.at),
    )
