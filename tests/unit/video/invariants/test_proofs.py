from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.api.history.v1 import History

from chaos.invariants import Invariant
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Answered
from tests.chaos.video.scenarios import concurrency as concurrency_scenario
from tests.chaos.video.scenarios import retry_config as retry_scenario
from tests.unit.video.edits import of, records
from tests.unit.video.scenarios.retold import Change

(TOGETHER,) = concurrency_scenario.SCENARIO.cases[0].proofs
ANSWERED = retry_scenario.SCENARIO.cases[0].proofs


def test_real_evidence_proves_answers_and_load(
    retry_config: VideoEvidence, concurrency: VideoEvidence
) -> None:
    assert ANSWERED
    for check in ANSWERED:
        assert check.examine(retry_config).problems == ()
    assert TOGETHER.examine(concurrency).problems == ()


@pytest.mark.parametrize("check", ANSWERED, ids=lambda check: check.name)
def test_a_planned_answer_that_was_not_given_is_unknown(
    check: Invariant, retry_config: VideoEvidence
) -> None:
    healthy = records(retry_config, of(Answered), kind="ok")

    assert check.examine(healthy).verdict is Verdict.UNKNOWN


def test_workflows_one_after_the_other_are_unknown(
    concurrency: VideoEvidence, with_history: Change
) -> None:
    def an_hour_later(history: History) -> None:
        for event in history.events:
            event.event_time.FromDatetime(event.event_time.ToDatetime() + timedelta(hours=1))

    apart = with_history(concurrency, "load-003", an_hour_later)

    assert TOGETHER.examine(apart).verdict is Verdict.UNKNOWN
