from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.scenarios.no_interference import no_interference
from tests.unit.video.edits import only, with_records, without_records

POISONED = "retry-refused"
CHECK = no_interference({POISONED})

Change = Callable[[VideoEvidence, str, Callable[[History], None]], VideoEvidence]


@pytest.fixture
def mixed(concurrency: VideoEvidence, retry_config: VideoEvidence) -> VideoEvidence:
    """Five that completed undisturbed, and one that failed."""
    (spec,) = (e for e in retry_config.specs if e.workflow_id == POISONED)
    return replace(
        concurrency,
        specs=(*concurrency.specs, spec),
        workflows={**concurrency.workflows, POISONED: retry_config.workflows[POISONED]},
    )


def test_real_evidence_holds(mixed: VideoEvidence) -> None:
    assert CHECK.examine(mixed).problems == ()


def test_a_poisoned_workflow_that_completes_fails(mixed: VideoEvidence) -> None:
    healthy = replace(mixed, workflows={**mixed.workflows, POISONED: mixed.workflows["load-001"]})

    assert CHECK.examine(healthy).problems == (f"{POISONED} did not fail",)


def test_another_that_fails_as_well_fails(mixed: VideoEvidence) -> None:
    broken = replace(mixed, workflows={**mixed.workflows, "load-001": mixed.workflows[POISONED]})

    finding = CHECK.examine(broken)

    assert finding.verdict is Verdict.FAILED
    assert "load-001 was not spared" in finding.problems[0]


def test_another_that_needs_a_second_attempt_fails(
    mixed: VideoEvidence, with_history: Change
) -> None:
    def twice(history: History) -> None:
        kind = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
        started = [event for event in history.events if event.event_type == kind]
        started[1].activity_task_started_event_attributes.attempt = 2

    broken = with_history(mixed, "load-002", twice)

    assert CHECK.examine(broken).problems == ("load-002: generate_character took 2 attempts",)


@pytest.mark.parametrize("times", [0, 2])
def test_another_that_is_billed_otherwise_fails(mixed: VideoEvidence, times: int) -> None:
    (bill,) = (b for b in mixed.billed if b.prompt == "the hero of load-003 waves")
    broken = with_records(without_records(mixed, only(bill)), *[bill] * times)

    assert f"was billed {times} times, not 1" in CHECK.examine(broken).problems[0]


def test_nobody_to_be_spared_fails(mixed: VideoEvidence) -> None:
    alone = replace(mixed, specs=mixed.specs[-1:])

    assert CHECK.examine(alone).problems == ("there was no other workflow to be spared",)
