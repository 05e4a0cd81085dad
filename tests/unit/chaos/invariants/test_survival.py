from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from chaos.evidence.case import Evidence
from chaos.evidence.history import Status
from chaos.invariants.survival import (
    no_workflow_task_fails,
    replays_with,
    workflows_end_as_expected,
)
from chaos.invariants.verdict import Verdict
from workflows.registry import WORKFLOWS

histories_replay = replays_with(WORKFLOWS)

Change = Callable[[Evidence, str, Callable[[History], None]], Evidence]


@workflow.defn(name="SingleVideo", sandboxed=False)
class _Another:
    """Not what the histories were made by."""

    @workflow.run
    async def run(self, argument: dict[str, str]) -> None:
        del argument


def test_histories_of_other_code_do_not_replay(worker_crash: Evidence) -> None:
    finding = replays_with([_Another]).examine(worker_crash)

    assert finding.check == "histories_replay"
    assert finding.verdict is Verdict.FAILED


def test_real_evidence_holds(concurrency: Evidence, retry_config: Evidence) -> None:
    for check in (workflows_end_as_expected, no_workflow_task_fails, histories_replay):
        assert check.examine(concurrency).problems == ()
        assert check.examine(retry_config).problems == ()


def test_a_lost_workflow_fails(control: Evidence) -> None:
    finding = workflows_end_as_expected.examine(control)

    assert finding.verdict is Verdict.FAILED
    assert "restart-single is lost" in finding.problems[0]


def test_a_workflow_that_hangs_fails(checkpoint: Evidence, with_history: Change) -> None:
    hanging = with_history(checkpoint, "checkpoint-series", lambda history: _cut(history, 1))

    assert workflows_end_as_expected.examine(hanging).verdict is Verdict.FAILED


def test_a_completion_that_should_be_a_failure_fails(checkpoint: Evidence) -> None:
    asked = checkpoint.specs[0].model_copy(update={"status": Status.FAILED})

    finding = workflows_end_as_expected.examine(replace(checkpoint, specs=[asked]))

    assert finding.verdict is Verdict.FAILED


def test_a_failure_that_does_not_say_which_video_fails(retry_config: Evidence) -> None:
    asked = [
        expected.model_copy(update={"failure_names": ("video 7",)})
        if expected.failure_names
        else expected
        for expected in retry_config.specs
    ]

    finding = workflows_end_as_expected.examine(replace(retry_config, specs=asked))

    assert finding.verdict is Verdict.FAILED


def test_no_expectation_is_no_pass(checkpoint: Evidence) -> None:
    nothing = replace(checkpoint, specs=[])

    assert workflows_end_as_expected.examine(nothing).verdict is Verdict.FAILED


def test_a_failed_workflow_task_fails(checkpoint: Evidence, with_history: Change) -> None:
    def fail(history: History) -> None:
        history.events[3].event_type = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED

    broken = with_history(checkpoint, "checkpoint-series", fail)

    assert no_workflow_task_fails.examine(broken).verdict is Verdict.FAILED


def test_a_history_with_another_decision_does_not_replay(
    checkpoint: Evidence, with_history: Change
) -> None:
    def rename(history: History) -> None:
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                event.activity_task_scheduled_event_attributes.activity_type.name = "other"

    broken = with_history(checkpoint, "checkpoint-series", rename)

    assert histories_replay.examine(broken).verdict is Verdict.FAILED


def _cut(history: History, events: int) -> None:
    del history.events[-events:]
