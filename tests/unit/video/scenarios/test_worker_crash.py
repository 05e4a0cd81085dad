from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from chaos.evidence.journal import Event
from chaos.invariants import Invariant
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Answered, Call, Received
from tests.chaos.video.scenarios import checkpoint as checkpoint_scenario
from tests.chaos.video.scenarios import worker_crash as crash_scenario
from tests.unit.kept import as_live
from tests.unit.video.edits import HOUR, entries, later, of, records, without, without_records
from tests.unit.video.scenarios.retold import Change

IN_FLIGHT, IN_RENDER = crash_scenario.SCENARIO.cases[0].proofs
AFTER_VIDEO_1, IN_RENDER_2 = checkpoint_scenario.SCENARIO.cases[0].proofs


def test_real_evidence_proves_each_kill(
    worker_crash: VideoEvidence, checkpoint: VideoEvidence
) -> None:
    for check in (IN_FLIGHT, IN_RENDER):
        assert check.examine(worker_crash).problems == ()
    for check in (AFTER_VIDEO_1, IN_RENDER_2):
        assert check.examine(checkpoint).problems == ()


@pytest.mark.parametrize("check", [IN_FLIGHT, IN_RENDER], ids=lambda check: check.name)
@pytest.mark.parametrize("missing", [Event.SIGNALED, Event.EXITED])
def test_a_kill_that_was_not_seen_is_unknown(
    check: Invariant, missing: Event, worker_crash: VideoEvidence
) -> None:
    unseen = without(worker_crash, of(event=missing))

    assert check.examine(unseen).verdict is Verdict.UNKNOWN


def test_a_worker_that_ended_by_itself_is_unknown(worker_crash: VideoEvidence) -> None:
    by_itself = entries(worker_crash, of(event=Event.EXITED), exit_code=0)

    assert IN_FLIGHT.examine(by_itself).verdict is Verdict.UNKNOWN


def test_a_kill_before_the_request_is_unknown(worker_crash: VideoEvidence) -> None:
    too_late = records(worker_crash, of(), at=later(HOUR))

    assert IN_FLIGHT.examine(too_late).verdict is Verdict.UNKNOWN


def test_a_request_that_was_answered_in_time_was_not_in_flight(worker_crash: VideoEvidence) -> None:
    answered = records(worker_crash, of(Answered), client_connected=True)

    assert IN_FLIGHT.examine(answered).verdict is Verdict.UNKNOWN


def test_a_video_that_nobody_asked_about_was_not_awaited(worker_crash: VideoEvidence) -> None:
    unasked = without_records(worker_crash, of(Received, call=Call.POLL))

    assert IN_RENDER.examine(unasked).verdict is Verdict.UNKNOWN


def test_a_kill_before_the_checkpoint_is_unknown(checkpoint: VideoEvidence) -> None:
    too_early = entries(checkpoint, of(), at=later(-HOUR))

    assert AFTER_VIDEO_1.examine(too_early).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("name", "check"), [("worker_crash", IN_RENDER), ("checkpoint", IN_RENDER_2)]
)
def test_live_the_history_proves_what_no_poll_can(
    name: str, check: Invariant, request: pytest.FixtureRequest
) -> None:
    assert check.examine(as_live(request.getfixturevalue(name))).problems == ()


def test_live_a_video_begun_after_the_kill_is_unknown(worker_crash: VideoEvidence) -> None:
    finding = IN_RENDER.examine(records(as_live(worker_crash), of(), at=later(HOUR)))

    assert finding.verdict is Verdict.UNKNOWN
    assert "was not begun before the kill" in finding.problems[0]


def test_live_a_wait_that_never_went_silent_is_unknown(
    worker_crash: VideoEvidence, with_history: Change
) -> None:
    def never_silent(history: History) -> None:
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                event.activity_task_started_event_attributes.ClearField("last_failure")

    finding = IN_RENDER.examine(with_history(as_live(worker_crash), "crash-single", never_silent))

    assert finding.verdict is Verdict.UNKNOWN
    assert "no wait that went silent" in finding.problems[0]


def test_live_a_wait_that_its_own_worker_took_up_again_is_unknown(
    worker_crash: VideoEvidence, with_history: Change
) -> None:
    killed = next(
        entry.pid
        for entry in worker_crash.journal
        if entry.event is Event.SIGNALED and entry.target == "worker-2"
    )

    def by_itself(history: History) -> None:
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                event.activity_task_started_event_attributes.identity = f"{killed}@host"

    finding = IN_RENDER.examine(with_history(as_live(worker_crash), "crash-single", by_itself))

    assert finding.verdict is Verdict.UNKNOWN
    assert "taken up by another worker" in finding.problems[0]
