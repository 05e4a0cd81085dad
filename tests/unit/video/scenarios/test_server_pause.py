from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from chaos.evidence.journal import Entry, Event
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.scenarios import server_pause
from tests.chaos.video.scenarios.server_pause import all_were_in_hand, killed_as_soon_as_it_answered
from tests.unit.kept import kept

TWICE, DOWN = server_pause.SCENARIO.cases[1].proofs
(IN_HAND,) = server_pause.SCENARIO.cases[2].proofs
SERVER = "temporal-server"


@pytest.fixture
def twice() -> VideoEvidence:
    return kept("server_pause", "twice_in_a_row")


@pytest.fixture
def loaded() -> VideoEvidence:
    return kept("server_pause", "under_load")


def _without(evidence: VideoEvidence, drop: Callable[[Entry], bool]) -> VideoEvidence:
    return replace(evidence, journal=[entry for entry in evidence.journal if not drop(entry)])


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
    def is_back(entry: Entry) -> bool:
        return entry.event is Event.READY and entry.target == SERVER

    last = [entry for entry in twice.journal if is_back(entry)][-1]

    assert "for good" in TWICE.examine(_without(twice, lambda e: e is last)).problems[0]
    assert IN_HAND.examine(_without(loaded, is_back)).verdict is Verdict.UNKNOWN


def test_a_workflow_with_nothing_in_hand_is_unknown(loaded: VideoEvidence) -> None:
    hour = timedelta(hours=1)
    journal = [
        entry.model_copy(update={"at": entry.at + hour}) if entry.target == SERVER else entry
        for entry in loaded.journal
    ]
    finding = IN_HAND.examine(replace(loaded, journal=journal))

    assert finding.verdict is Verdict.UNKNOWN
    assert "had nothing in hand" in finding.problems[0]


def test_every_kind_of_work_has_to_be_in_hand(loaded: VideoEvidence) -> None:
    finding = all_were_in_hand(("await_video", "download_video")).examine(loaded)

    assert finding.problems == ("no download_video was in hand",)
