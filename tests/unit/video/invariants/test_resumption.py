from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from chaos.evidence.history import Workflow
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Billed, Item
from tests.chaos.video.invariants.resumption import resumed_from_its_checkpoint
from tests.unit.video.edits import MINUTE, changed, later, of, records, with_records

ID = "retry-recovers"
WORDS = ("the character", "GEMINI_API_KEY")
CHECK = resumed_from_its_checkpoint(ID, WORDS, kept=1)


def _with_runs(evidence: VideoEvidence, *runs: WorkflowHistory) -> VideoEvidence:
    return replace(evidence, workflows={**evidence.workflows, ID: Workflow(ID, runs)})


@pytest.fixture
def refused(retry_config: VideoEvidence) -> WorkflowHistory:
    """A run that failed at once, and said why."""
    return retry_config.workflows["retry-refused"].runs[0]


@pytest.fixture
def completed(retry_config: VideoEvidence) -> WorkflowHistory:
    return retry_config.workflows[ID].runs[0]


@pytest.fixture
def resumed(
    retry_config: VideoEvidence, refused: WorkflowHistory, completed: WorkflowHistory
) -> VideoEvidence:
    """Two real runs as those of one id, and its image as one that was paid for in the first."""
    early = records(retry_config, of(Billed, item=Item.IMAGE), at=later(-MINUTE))
    return _with_runs(early, refused, completed)


def test_a_failed_run_and_one_that_goes_on_hold(resumed: VideoEvidence) -> None:
    assert CHECK.examine(resumed).problems == ()


def test_one_that_was_not_started_again_fails(
    resumed: VideoEvidence, completed: WorkflowHistory
) -> None:
    finding = CHECK.examine(_with_runs(resumed, completed))

    assert finding.verdict is Verdict.FAILED
    assert finding.problems == (f"{ID} was not started again",)


def test_a_first_run_that_did_not_fail_fails(
    resumed: VideoEvidence, completed: WorkflowHistory
) -> None:
    finding = CHECK.examine(_with_runs(resumed, completed, completed))

    assert f"{ID}, run 1 is completed, not failed" in finding.problems


def test_a_second_run_that_fails_as_well_fails(
    resumed: VideoEvidence, refused: WorkflowHistory
) -> None:
    finding = CHECK.examine(_with_runs(resumed, refused, refused))

    assert finding.problems == (f"{ID} did not complete when it was started again",)


def test_a_failure_that_does_not_say_why_fails(resumed: VideoEvidence) -> None:
    check = resumed_from_its_checkpoint(ID, ("the disk",), kept=1)

    assert "lacks 'the disk'" in check.examine(resumed).problems[0]


def test_a_failure_that_was_retried_fails(
    resumed: VideoEvidence, refused: WorkflowHistory, completed: WorkflowHistory
) -> None:
    events = copy.deepcopy(refused.events)
    kind = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
    last = [event for event in events if event.event_type == kind][-1]
    last.activity_task_started_event_attributes.attempt = 3
    retried = replace(refused, events=events)

    problems = CHECK.examine(_with_runs(resumed, retried, completed)).problems

    assert problems == (f"{ID}: generate_character was retried (3 attempts)",)


def test_what_was_not_paid_for_before_the_failure_fails(resumed: VideoEvidence) -> None:
    check = resumed_from_its_checkpoint(ID, WORDS, kept=2)

    problems = check.examine(resumed).problems

    assert len(problems) == 2
    assert "was not paid for before" in problems[0]


def test_what_is_paid_for_again_fails(resumed: VideoEvidence) -> None:
    bill = next(b for b in resumed.billed if b.prompt == f"a portrait of the hero of {ID}")
    again = changed(bill, at=later(2 * MINUTE))

    problems = CHECK.examine(with_records(resumed, again)).problems

    assert len(problems) == 1
    assert "was paid for again" in problems[0]
