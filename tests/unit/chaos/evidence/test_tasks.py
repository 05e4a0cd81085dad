"""When a workflow task was due, who got it, and when it was answered, by histories made by hand."""

from __future__ import annotations

from temporalio.client import WorkflowHistory

from chaos.evidence.tasks import answered, tasks
from tests.unit.chaos.guide.made import task, task_timed_out
from tests.unit.chaos.made_history import Made, at


def _run(made: Made) -> WorkflowHistory:
    return WorkflowHistory("order-1", made.events)


def test_a_task_is_known_with_its_times_and_its_worker() -> None:
    made = Made()
    task(made, "1@host", 1, 2.5, 3)

    (found,) = answered(_run(made))

    assert (found.scheduled_at, found.worker) == (at(1), "1@host")
    assert (found.waited_seconds, found.seconds) == (1.5, 0.5)


def test_a_task_that_waited_for_a_worker_that_is_gone_was_due_before_that() -> None:
    made = Made()
    task_timed_out(made, 1, 6, started=False)
    task(made, "2@host", 6, 7, 8)

    (found,) = tasks(_run(made))

    assert found.waited_seconds == 6


def test_a_task_that_a_worker_got_and_never_answered_is_none_of_the_answered() -> None:
    made = Made()
    task_timed_out(made, 1, 11, started=True)
    task(made, "2@host", 11, 12, 13)

    assert [each.started_at for each in tasks(_run(made))] == [at(1), at(12)]
    assert [each.worker for each in answered(_run(made))] == ["2@host"]
