from __future__ import annotations

import pytest

from chaos.evidence.journal import Event
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.scenarios import server_pause
from tests.chaos.video.scenarios.server_pause import all_were_in_hand, killed_as_soon_as_it_answered
from tests.unit.kept import kept
from tests.unit.video.edits import HOUR, entries, later, of, only, without

TWICE, DOWN = server_pause.SCENARIO.cases[1].proofs
(IN_HAND,) = server_pause.SCENARIO.cases[2].proofs
SERVER = "temporal-server"


@pytest.fixture
def twice() -> VideoEvidence:
    return kept("server_pause", "twice_in_a_row")


@pytest.fixture
def loaded() -> VideoEvidence:
    return kept("server_pause", "under_load")


def test_real_evidence_proves_the_outages(twice: VideoEvidence, loaded: VideoEvidence) -> None:
    assert TWICE.examine(twice).problems == ()
    assert DOWN.examine(twice).problems == ()
    assert IN_HAND.examine(loaded).problems == ()


def test_one_kill_or_three_are_not_two(twice: VideoEvidence, loaded: VideoEvidence) -> None:
    assert "killed 1 times, not 2" in TWICE.examine(loaded).problems[0]
    assert killed_as_soon_as_it_answered(3, 2.0).examine(twice).verdict is Verdict.UNKNOWN


def test_a_second_kill_that_comes_late_is_unknown(twice: VideoEvidence) -> None:
    finding = killed_as_soon_as_it_answered(2, 0.0).examine(twice)

    assert finding.verdict is Verdict.UNKNOWN
    assert "within 0 s" in finding.problems[0]


def test_a_server_that_does_not_come_back_is_unknown(
    twice: VideoEvidence, loaded: VideoEvidence
) -> None:
    is_back = of(event=Event.READY, target=SERVER)
    *_, last = filter(is_back, twice.journal)

    assert "for good" in TWICE.examine(without(twice, only(last))).problems[0]
    assert IN_HAND.examine(without(loaded, is_back)).verdict is Verdict.UNKNOWN


def test_a_workflow_with_nothing_in_hand_is_unknown(loaded: VideoEvidence) -> None:
    finding = IN_HAND.examine(entries(loaded, of(target=SERVER), at=later(HOUR)))

    assert finding.verdict is Verdict.UNKNOWN
    assert "had nothing in flight" in finding.problems[0]


def test_every_kind_of_work_has_to_be_in_hand(loaded: VideoEvidence) -> None:
    finding = all_were_in_hand(("await_video", "download_video")).examine(loaded)

    assert finding.problems == ("no download_video was in flight",)
