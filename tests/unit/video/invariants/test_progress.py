from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from chaos.evidence.journal import Entry, Event
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.invariants.progress import (
    checkpoints_are_complete_and_in_order,
    progress_never_goes_back,
)


def _last_progress(evidence: VideoEvidence) -> Entry:
    return [entry for entry in evidence.journal if entry.event is Event.PROGRESS][-1]


def _and_then(evidence: VideoEvidence, **changes: Any) -> VideoEvidence:
    last = _last_progress(evidence)
    assert last.progress
    later = last.model_copy(update={"progress": {**last.progress, **changes}})
    return replace(evidence, journal=[*evidence.journal, later])


@pytest.mark.parametrize("name", ["checkpoint", "server_restart", "worker_crash", "retry_config"])
def test_real_evidence_holds(name: str, request: pytest.FixtureRequest) -> None:
    evidence = request.getfixturevalue(name)
    assert checkpoints_are_complete_and_in_order.examine(evidence).problems == ()
    assert progress_never_goes_back.examine(evidence).problems == ()


def test_a_missing_checkpoint_fails(checkpoint: VideoEvidence) -> None:
    spec = checkpoint.specs[0]
    more = spec.model_copy(update={"checkpoints": (*spec.checkpoints, "one more")})
    broken = replace(checkpoint, specs=[more])

    assert checkpoints_are_complete_and_in_order.examine(broken).verdict is Verdict.FAILED


def test_checkpoints_in_another_order_fail(checkpoint: VideoEvidence) -> None:
    spec = checkpoint.specs[0]
    other = spec.model_copy(update={"checkpoints": spec.checkpoints[::-1]})
    broken = replace(checkpoint, specs=[other])

    assert checkpoints_are_complete_and_in_order.examine(broken).verdict is Verdict.FAILED


def test_a_percentage_that_falls_fails(server_restart: VideoEvidence) -> None:
    broken = _and_then(server_restart, progress_percent=1)

    assert progress_never_goes_back.examine(broken).verdict is Verdict.FAILED


def test_a_lost_checkpoint_fails(checkpoint: VideoEvidence) -> None:
    last = _last_progress(checkpoint).progress
    assert last
    broken = _and_then(checkpoint, checkpoints=last["checkpoints"][:-1])

    assert progress_never_goes_back.examine(broken).verdict is Verdict.FAILED


def test_a_cost_that_falls_fails(checkpoint: VideoEvidence) -> None:
    broken = _and_then(checkpoint, cost_usd=str(Decimal(0)))

    assert progress_never_goes_back.examine(broken).verdict is Verdict.FAILED


def test_the_result_is_held_against_the_last_answer_too(checkpoint: VideoEvidence) -> None:
    broken = _and_then(checkpoint, cost_usd="1000")

    assert progress_never_goes_back.examine(broken).verdict is Verdict.FAILED
