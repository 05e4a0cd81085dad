from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from chaos.evidence.case import Evidence
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.verdict import Verdict

RECOVERS = "retry-recovers"
"""Its image took three attempts, as its fault explains."""

Change = Callable[[Evidence, str, Callable[[History], None]], Evidence]


def _explained(evidence: Evidence, attempts: int | tuple[int, int]) -> Evidence:
    """The evidence with so many attempts at the image explained."""
    specs = [
        spec.model_copy(update={"attempts": {"generate_character": attempts}})
        if spec.workflow_id == RECOVERS
        else spec
        for spec in evidence.specs
    ]
    return replace(evidence, specs=specs)


def test_real_evidence_holds(retry_config: Evidence) -> None:
    assert attempts_are_as_expected.examine(retry_config).problems == ()


def test_an_attempt_more_than_the_faults_explain_fails(
    retry_config: Evidence, with_history: Change
) -> None:
    def once_more(history: History) -> None:
        kind = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
        last = [e for e in history.events if e.event_type == kind][-1]
        last.activity_task_started_event_attributes.attempt = 2

    broken = with_history(retry_config, RECOVERS, once_more)

    assert attempts_are_as_expected.examine(broken).verdict is Verdict.FAILED


@pytest.mark.parametrize("explained", [3, (3, 3), (1, 3), (3, 5)])
def test_a_number_or_a_range_that_has_the_attempts_made_holds(
    explained: int | tuple[int, int], retry_config: Evidence
) -> None:
    assert attempts_are_as_expected.examine(_explained(retry_config, explained)).problems == ()


@pytest.mark.parametrize(
    ("explained", "wanted"),
    [(2, "2"), (4, "4"), ((1, 2), "1 to 2"), ((4, 6), "4 to 6"), ((5, 5), "5")],
)
def test_more_or_fewer_attempts_than_that_fail_and_the_reason_names_both(
    explained: int | tuple[int, int], wanted: str, retry_config: Evidence
) -> None:
    finding = attempts_are_as_expected.examine(_explained(retry_config, explained))

    assert finding.verdict is Verdict.FAILED
    assert finding.problems == (f"{RECOVERS}: generate_character took 3 attempt(s), not {wanted}",)
