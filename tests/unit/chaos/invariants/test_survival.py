from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from chaos.evidence.case import Evidence
from chaos.evidence.headroom import CALM, Strain
from chaos.evidence.history import Status
from chaos.evidence.journal import Entry, Event
from chaos.invariants.survival import (
    no_workflow_task_fails,
    replays_with,
    workflows_end_as_expected,
)
from chaos.invariants.verdict import Verdict
from workflows.videos import WORKFLOWS

histories_replay = replays_with(WORKFLOWS)

Change = Callable[[Evidence, str, Callable[[History], None]], Evidence]


@workflow.defn(name="SingleVideo", sandboxed=False)
class _Another:
    """Not what the histories were made by."""

    @workflow.run
    async def run(self, argument: dict[str, str]) -> None:
        del argument


@workflow.defn(name="SingleVideo", sandboxed=False)
class _Slow:
    """Does not yield for longer than the SDK's own two seconds."""

    @workflow.run
    async def run(self, argument: dict[str, str]) -> None:
        del argument
        time.sleep(3)  # noqa: ASYNC251 - that is the fault


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
    spec = checkpoint.specs[0].model_copy(update={"status": Status.FAILED})

    finding = workflows_end_as_expected.examine(replace(checkpoint, specs=[spec]))

    assert finding.verdict is Verdict.FAILED


def test_a_failure_that_does_not_say_which_video_fails(retry_config: Evidence) -> None:
    spec = [
        expected.model_copy(update={"failure_names": ("video 7",)})
        if expected.failure_names
        else expected
        for expected in retry_config.specs
    ]

    finding = workflows_end_as_expected.examine(replace(retry_config, specs=spec))

    assert finding.verdict is Verdict.FAILED


def test_no_expectation_is_no_pass(checkpoint: Evidence) -> None:
    nothing = replace(checkpoint, specs=[])

    assert workflows_end_as_expected.examine(nothing).verdict is Verdict.FAILED


def test_a_failed_workflow_task_fails(checkpoint: Evidence, with_history: Change) -> None:
    def fail(history: History) -> None:
        history.events[3].event_type = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED

    broken = with_history(checkpoint, "checkpoint-series", fail)

    assert no_workflow_task_fails.examine(broken).verdict is Verdict.FAILED


@pytest.mark.parametrize(("is_busy", "verdict"), [(True, Verdict.UNKNOWN), (False, Verdict.FAILED)])
def test_code_that_was_too_slow_may_have_been_starved(
    is_busy: bool, verdict: Verdict, checkpoint: Evidence, with_history: Change
) -> None:
    slow = "[TMPRL1101] Potential deadlock detected: workflow didn't yield within 2 second(s)."

    def fail(history: History) -> None:
        history.events[3].event_type = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        history.events[3].workflow_task_failed_event_attributes.failure.message = slow

    strain = Strain(pressure=0.97, steal=0.0, lag_seconds=1.4) if is_busy else CALM
    entry = Entry(at=checkpoint.journal[0].at, event=Event.STRAIN, strain=strain)
    broken = with_history(checkpoint, "checkpoint-series", fail)

    assert no_workflow_task_fails.examine(replace(broken, journal=[entry])).verdict is verdict


@pytest.mark.parametrize(("is_busy", "verdict"), [(True, Verdict.UNKNOWN), (False, Verdict.FAILED)])
def test_a_replay_that_was_too_slow_may_have_been_starved(
    is_busy: bool, verdict: Verdict, worker_crash: Evidence
) -> None:
    strain = Strain(pressure=0.97, steal=0.0, lag_seconds=1.4) if is_busy else CALM
    entry = Entry(at=worker_crash.journal[0].at, event=Event.STRAIN, strain=strain)

    finding = replays_with([_Slow]).examine(replace(worker_crash, journal=[entry]))

    assert finding.verdict is verdict, finding.problems


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
