from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.environment.memory import KERNEL, WATCHER
from chaos.evidence.journal import Event
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Answered, Call
from tests.chaos.video.scenarios.out_of_memory import died_out_of_memory
from tests.unit.video.edits import changed, entries, of, records, without
from tests.unit.video.scenarios.retold import Change, lost_with, pid_of

CRASH = "crash-single"
CHECK = died_out_of_memory(CRASH, Call.IMAGE, "generate_character")


@pytest.fixture(params=[KERNEL, WATCHER])
def starved(
    worker_crash: VideoEvidence, with_history: Change, request: pytest.FixtureRequest
) -> VideoEvidence:
    """The first worker of the crash died for want of memory, and of the image."""
    pid = pid_of(worker_crash, "worker-1")
    evidence = with_history(worker_crash, CRASH, lost_with(pid, "generate_character"))
    evidence = records(evidence, of(Answered), kind="large")
    evidence = entries(evidence, of(event=Event.FAULT), kind="out_of_memory")
    evidence = entries(evidence, of(event=Event.EXITED), kind=None)
    gone = next(filter(of(event=Event.EXITED, pid=pid), evidence.journal))
    said = changed(gone, event=Event.STAGE, kind=request.param)
    return replace(evidence, journal=[*evidence.journal, said])


def test_a_worker_that_died_for_want_of_memory_is_proven(starved: VideoEvidence) -> None:
    assert CHECK.examine(starved).problems == ()


def test_what_was_not_limited_or_not_struck_is_unknown(starved: VideoEvidence) -> None:
    free = without(starved, of(kind="out_of_memory"))
    lived = without(starved, of(event=Event.STAGE))
    unseen = without(starved, of(event=Event.EXITED))

    assert CHECK.examine(free).problems == ("no worker's memory was limited",)
    assert CHECK.examine(free).verdict is Verdict.UNKNOWN
    assert "no OOM killer says" in CHECK.examine(lived).problems[0]
    assert "was not seen to end" in CHECK.examine(unseen).problems[0]


def test_a_reply_that_was_not_large_is_unknown(
    starved: VideoEvidence, worker_crash: VideoEvidence
) -> None:
    small = replace(starved, records=worker_crash.records)

    assert CHECK.examine(small).problems == ("no image request got a large reply",)


def test_a_step_that_was_not_lost_with_it_is_unknown(
    starved: VideoEvidence, with_history: Change
) -> None:
    other = with_history(starved, CRASH, lost_with(1, "generate_character"))

    assert "did not lose its generate_character" in CHECK.examine(other).problems[0]
