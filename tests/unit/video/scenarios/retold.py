"""Evidence of a lone worker's faults, retold as if a fleet had had the workers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from temporalio.api.history.v1 import History

from chaos.evidence.journal import Event
from tests.chaos.video.evidence import VideoEvidence

FLEET = "fleet-1"
TARGET = f"{FLEET}-worker"

Change = Callable[[VideoEvidence, str, Callable[[History], None]], VideoEvidence]


def pid_of(evidence: VideoEvidence, worker: str) -> int:
    """Of a worker that was started once."""
    started = evidence.first_entry(Event.STARTED, target=worker)
    assert started
    assert started.pid
    return started.pid


def told_by_a_fleet(
    evidence: VideoEvidence, folder: Path, workers: Collection[str]
) -> VideoEvidence:
    """These workers are a fleet's, and it has logged that they died of SIGKILL."""
    says(
        folder, *(f"(pid {pid_of(evidence, w)}) is lost (SIGKILL): failed_over=1" for w in workers)
    )
    journal = [
        entry.model_copy(update={"target": TARGET, "exit_code": None})
        if entry.target in workers
        else entry
        for entry in evidence.journal
        if entry.target in workers or not (entry.target or "").startswith("worker-")
    ]
    return replace(evidence, folder=folder, journal=journal)


def says(folder: Path, *lines: str) -> None:
    """The fleet's log has these lines."""
    log = folder / "logs" / f"{FLEET}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(f"workflows.fleet: worker-1 {line}\n" for line in lines))


def lost_with(pid: int, kind: str) -> Callable[[History], None]:
    """The last attempt but one of each activity of a kind was lost with a worker."""

    def edit(history: History) -> None:
        kinds = {
            event.event_id: event.activity_task_scheduled_event_attributes.activity_type.name
            for event in history.events
        }
        for event in history.events:
            started = event.activity_task_started_event_attributes
            if kinds.get(started.scheduled_event_id) == kind:
                started.last_failure.message = f"its worker {pid}@host was lost (SIGKILL)."

    return edit
