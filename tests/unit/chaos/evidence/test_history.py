from __future__ import annotations

from chaos.evidence.case import Evidence
from chaos.evidence.history import Status
from workflows.models import Progress


def test_a_completed_workflow_has_its_result(checkpoint: Evidence) -> None:
    workflow = checkpoint.workflows["checkpoint-series"]

    result = workflow.result(Progress)

    assert workflow.status is Status.COMPLETED
    assert result
    assert str(result.cost_usd) == "3.639"
    assert len(result.artifacts) == 4


def test_a_failed_workflow_has_its_reason_and_what_was_made(retry_config: Evidence) -> None:
    workflow = retry_config.workflows["retry-refused"]

    result = workflow.result(Progress)

    assert workflow.status is Status.FAILED
    assert "the character failed" in workflow.failure_message
    assert result
    assert [point.name for point in result.checkpoints] == ["started"]


def test_an_activity_shows_its_last_attempt(worker_crash: Evidence) -> None:
    activities = worker_crash.workflows["crash-single"].activities

    _, image, start, wait, download = activities
    assert (image.kind, image.attempt) == ("generate_character", 2)
    assert image.lost_its_heartbeat
    assert (start.attempt, wait.attempt, download.attempt) == (1, 2, 1)
    assert not start.lost_its_heartbeat
    assert image.worker != wait.worker
    assert image.heartbeat_seconds == 8


def test_no_history_is_no_workflow(control: Evidence) -> None:
    assert control.workflows == {}
