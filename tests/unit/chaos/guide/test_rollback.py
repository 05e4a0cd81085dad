"""How long a rollback takes: until what was stuck has been answered, and by when it must be."""

from __future__ import annotations

from pathlib import Path

from chaos.evidence.journal import Entry, Event
from chaos.guide.deploy_nondeterministic import drain_time
from chaos.invariants.figures import Figure
from tests.unit.chaos.guide.made import evidence, ready, task
from tests.unit.chaos.made_history import Made, at

HANDOVER_SECONDS = 12.0
"""1 s of timers, 10 s of the sticky queue, 1 s of a poll: the defaults of `Timings`."""


def rolled_back(answered: float | None, timeout: int = 10) -> Made:
    """A workflow that a broken version held when the old one was ready again, at 30 s."""
    made = Made()
    task(made, "1@host", 1, 1, 2)
    if answered is not None:
        task(made, "3@host", 35, 35, answered)
        due = made.events[-3].workflow_task_scheduled_event_attributes
        due.start_to_close_timeout.FromSeconds(timeout)
    return made


def _old_is_back(folder: Path, made: Made) -> list[Figure]:
    journal = [
        ready(f"worker-{pid}", pid, seconds).model_copy(update={"version": version})
        for pid, version, seconds in ((1, "old", 0), (2, "broken", 10), (3, "old", 30))
    ]
    journal.append(Entry(at=at(150), event=Event.ENDING))
    told = evidence(folder, made, journal=journal)
    return list(drain_time(told, tuple(told.workflows.values())))


def test_a_rollback_has_drained_when_the_last_stuck_task_is_answered(tmp_path: Path) -> None:
    (drain,) = _old_is_back(tmp_path, rolled_back(36))
    (held_longer,) = _old_is_back(tmp_path, rolled_back(36, timeout=26))

    # One second of work is left: of one worker it is all, and the longest piece.
    assert (drain.value, drain.bound) == (6.0, 10 + HANDOVER_SECONDS + 1 + 1)
    assert held_longer.bound == 26 + HANDOVER_SECONDS + 1 + 1


def test_a_workflow_that_stays_stuck_after_a_rollback_is_late(tmp_path: Path) -> None:
    (drain,) = _old_is_back(tmp_path, rolled_back(None))

    assert (drain.value, drain.is_within) == (120.0, False)


def test_a_workflow_that_ended_before_the_rollback_was_not_stuck(tmp_path: Path) -> None:
    made = rolled_back(None)
    made.ended(seconds=20)

    assert _old_is_back(tmp_path, made) == []
