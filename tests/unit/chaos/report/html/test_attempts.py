from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import History

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.report.html.attempts import Attempt, Deaths, Failed, Outcome, failed_in, steps
from chaos.report.html.logs import Line
from tests.unit.chaos.report.html.runs import ended
from workflows.models import WORKER_LOST

Change = Callable[[Evidence, str, Callable[[History], None]], Evidence]


def _attempts(
    evidence: Evidence, workflow_id: str, kind: str, failed: Failed | None = None
) -> tuple[Attempt, ...]:
    end = evidence.journal[-1].at
    found = steps(evidence.workflows[workflow_id], failed or {}, Deaths.of(evidence), end)
    return next(step.attempts for step in found if step.activity.kind == kind)


def test_a_lost_attempt_ends_with_its_worker_and_is_noticed_later(worker_crash: Evidence) -> None:
    first, second = _attempts(worker_crash, "crash-single", "generate_character")
    death = worker_crash.first_entry(Event.EXITED)

    assert death
    assert (first.number, first.outcome, first.ended_at) == (1, Outcome.LOST, death.at)
    assert first.noticed_at == second.began_at - timedelta(seconds=10)
    assert "Heartbeat" in first.why
    assert not first.exact
    assert (second.number, second.outcome, second.exact) == (2, Outcome.DONE, True)


def test_a_supervisor_notices_at_once(worker_crash: Evidence, with_history: Change) -> None:
    death = worker_crash.first_entry(Event.EXITED)
    assert death

    def edit(history: History) -> None:
        for event in history.events:
            started = event.activity_task_started_event_attributes
            if started.HasField("last_failure") and started.scheduled_event_id == 11:
                failure = Failure(message=f"its worker {death.pid} is gone")
                failure.application_failure_info.type = WORKER_LOST
                started.last_failure.CopyFrom(failure)

    evidence = with_history(worker_crash, "crash-single", edit)
    first, _ = _attempts(evidence, "crash-single", "generate_character")

    assert first.noticed_at == first.ended_at == death.at


def test_a_worker_that_the_harness_ended_is_no_death(worker_crash: Evidence) -> None:
    exits = [entry for entry in worker_crash.journal if entry.event is Event.EXITED]

    deaths = Deaths.of(ended(worker_crash))

    assert len(deaths.times) == 2
    assert len(exits) > 2
    assert deaths.between(exits[0].at, exits[-1].at, "its worker 1 is gone") is None


def test_what_no_log_tells_of_is_known_only_together(retry_config: Evidence) -> None:
    earlier, last = _attempts(retry_config, "retry-recovers", "generate_character")

    assert (earlier.number, earlier.count, earlier.outcome) == (2, 2, Outcome.FAILED)
    assert last.number == 3


def test_the_workers_logs_tell_of_attempts_that_failed(retry_config: Evidence) -> None:
    workflow = retry_config.workflows["retry-recovers"]
    run_id = workflow.runs[-1].run_id
    together, last = _attempts(retry_config, "retry-recovers", "generate_character")
    failed = together.began_at + timedelta(seconds=1)
    line = Line(
        failed,
        "worker-1",
        "WARN",
        "temporalio.activity: Completing activity as failed ({'activity_id': '2', "
        f"'activity_type': 'any', 'attempt': 1, 'workflow_run_id': '{run_id}'}})",
    )

    found = _attempts(retry_config, "retry-recovers", "generate_character", failed_in([line]))

    assert [attempt.number for attempt in found] == [1, 2, 3]
    assert found[0].ended_at == failed
    assert found[1].began_at == failed + timedelta(seconds=10), "the wait of the retry policy"
    assert found[2] == last


def test_the_last_attempt_that_failed_says_why(retry_config: Evidence) -> None:
    (refused,) = _attempts(retry_config, "retry-refused", "generate_character")

    assert refused.outcome is Outcome.FAILED
    assert "GEMINI_API_KEY" in refused.why
