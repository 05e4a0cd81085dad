"""An alert is known by its attempt, and says in a line what a human and a program need."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta

import pytest
from temporalio.common import RetryPolicy
from temporalio.testing import ActivityEnvironment

from workflows.alerts.alert import Alert


def test_the_text_says_which_operation_what_and_how_often(alert: Alert) -> None:
    expected = "SingleVideo my-video: await_video is at attempt 2 of 3 (worker 123@host)."
    assert alert.text == expected


@pytest.mark.parametrize("maximum", [0, None])
def test_the_text_tells_no_limit_where_none_is_known(alert: Alert, maximum: int | None) -> None:
    without = alert.model_copy(update={"maximum_attempts": maximum})
    assert "is at attempt 2 (worker" in without.text


def test_an_activity_without_a_workflow_has_a_text(alert: Alert) -> None:
    alone = alert.model_copy(update={"workflow_type": None, "workflow_id": None})
    assert alone.text.startswith("no workflow: await_video is at attempt 2 of 3")


def test_the_key_is_the_same_whoever_tells_of_the_attempt(alert: Alert) -> None:
    again = alert.model_copy(
        update={"worker": "456@other", "time": alert.time + timedelta(seconds=1)}
    )
    assert again.key == alert.key


@pytest.mark.parametrize(
    "change",
    [
        {"namespace": "other"},
        {"workflow_id": "my-video-2"},
        {"run_id": "run-2"},
        {"activity_id": "5"},
        {"attempt": 3},
    ],
)
def test_another_attempt_has_another_key(alert: Alert, change: dict[str, object]) -> None:
    assert alert.model_copy(update=change).key != alert.key


def test_the_log_line_holds_all_as_json(alert: Alert) -> None:
    assert json.loads(alert.log_line) == {
        "event": "activity_retry",
        "namespace": "default",
        "workflow_type": "SingleVideo",
        "workflow_id": "my-video",
        "run_id": "run-1",
        "activity": "await_video",
        "activity_id": "4",
        "attempt": 2,
        "maximum_attempts": 3,
        "task_queue": "video",
        "worker": "123@host",
        "time": "2025-11-24T12:30:00Z",
    }


@pytest.mark.parametrize("name", ["a\nb", "a\r\nBcc: x@y.z", "a\u2028b", "a\x85b", "a\x1b[2Jb"])
def test_a_name_with_line_breaks_stays_on_its_line(alert: Alert, name: str) -> None:
    odd = alert.model_copy(update={"workflow_id": name})
    assert odd.text.isprintable()
    assert len(odd.log_line.splitlines()) == 1
    assert json.loads(odd.log_line)["workflow_id"] == name


def test_an_alert_is_made_of_what_the_activity_knows() -> None:
    default = ActivityEnvironment.default_info()
    info = dataclasses.replace(
        default, attempt=2, retry_policy=RetryPolicy(maximum_attempts=3), activity_type="work"
    )
    alert = Alert.of(info, "123@host")
    assert (alert.workflow_id, alert.run_id) == (default.workflow_id, default.workflow_run_id)
    assert (alert.activity, alert.attempt, alert.maximum_attempts) == ("work", 2, 3)
    assert (alert.worker, alert.time) == ("123@host", default.started_time)


def test_a_server_that_tells_no_policy_makes_no_difference() -> None:
    info = dataclasses.replace(ActivityEnvironment.default_info(), retry_policy=None)
    assert Alert.of(info, "123@host").maximum_attempts is None
