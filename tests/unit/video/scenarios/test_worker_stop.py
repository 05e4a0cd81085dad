from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from chaos.evidence.history import Activity
from chaos.evidence.journal import Entry, Event
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.scenarios.worker_stop_checks import (
    nothing_is_repeated,
    paused_during_request,
    paused_during_wait,
    sends_nothing_paid_when_it_resumes,
    stopped_while_awaiting,
    taken_over_while_paused,
    wait_is_handed_on,
)
from tests.unit.video.scenarios.retold import Change, pid_of

WORKER, RESTART, SERIES = "worker-1", "restart-single", "checkpoint-series"
MOMENT = timedelta(milliseconds=5)


def _wait(evidence: VideoEvidence) -> Activity:
    return next(a for a in evidence.workflows[RESTART].activities if a.kind == "await_video")


def _image(evidence: VideoEvidence) -> tuple[datetime, datetime]:
    sent = next(r for r in evidence.received if r.call is Call.IMAGE)
    return sent.at, evidence.answers[sent.request_id].at


def _with(evidence: VideoEvidence, *signals: tuple[datetime, str]) -> VideoEvidence:
    """The worker of the restart got these signals."""
    pid = pid_of(evidence, WORKER)
    entries = [
        Entry(at=at, event=Event.SIGNALED, target=WORKER, pid=pid, signal=name)
        for at, name in signals
    ]
    return replace(evidence, journal=sorted([*evidence.journal, *entries], key=lambda e: e.at))


def _slept(evidence: VideoEvidence, start: datetime, end: datetime) -> VideoEvidence:
    return _with(evidence, (start, "SIGSTOP"), (end, "SIGCONT"))


def _stopped(evidence: VideoEvidence, at: datetime, exit_code: int = 0) -> VideoEvidence:
    told = _with(evidence, (at, "SIGTERM"))
    pid = pid_of(evidence, WORKER)
    gone = Entry(at=at + MOMENT, event=Event.EXITED, target=WORKER, pid=pid, exit_code=exit_code)
    before = [e for e in told.journal if e.event is not Event.EXITED or e.pid != pid]
    return replace(told, journal=sorted([*before, gone], key=lambda e: e.at))


def test_a_stop_in_a_wait_is_proven(server_restart: VideoEvidence) -> None:
    check = stopped_while_awaiting(WORKER, RESTART)
    began = _wait(server_restart).started_at
    assert began

    assert check.examine(_stopped(server_restart, began + MOMENT)).problems == ()
    early = check.examine(_stopped(server_restart, began - MOMENT))
    killed = check.examine(_stopped(server_restart, began + MOMENT, exit_code=-9))
    assert "did not await" in early.problems[0]
    assert "did not end in order" in killed.problems[0]
    assert check.examine(server_restart).verdict is Verdict.UNKNOWN


def test_a_wait_that_goes_from_hand_to_hand_holds(
    checkpoint: VideoEvidence, with_history: Change
) -> None:
    def first_attempts(history: History) -> None:
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                event.activity_task_started_event_attributes.attempt = 1

    handed = with_history(checkpoint, SERIES, first_attempts)

    assert wait_is_handed_on(SERIES, 600).examine(handed).problems == ()
    assert "lay for" in wait_is_handed_on(SERIES, 0).examine(handed).problems[0]
    assert "took 2 attempts" in wait_is_handed_on(SERIES, 600).examine(checkpoint).problems[0]


def test_a_wait_that_stays_where_it_is_fails(server_restart: VideoEvidence) -> None:
    finding = wait_is_handed_on(RESTART, 600).examine(server_restart)

    assert finding.verdict is Verdict.FAILED
    assert "was not handed on" in finding.problems[0]


def test_a_sleep_when_an_answer_comes_is_proven(server_restart: VideoEvidence) -> None:
    check = paused_during_request(WORKER, Call.IMAGE, server_restart.specs[0].prompts[0])
    sent, answered = _image(server_restart)
    middle = sent + (answered - sent) / 2

    assert check.examine(_slept(server_restart, middle, answered + MOMENT)).problems == ()
    for start, end in [
        (sent - MOMENT, answered + MOMENT),
        (middle, middle + (answered - middle) / 2),
        (answered + MOMENT, answered + 2 * MOMENT),
    ]:
        assert check.examine(_slept(server_restart, start, end)).verdict is Verdict.UNKNOWN


def test_a_sleep_in_a_wait_is_proven(server_restart: VideoEvidence) -> None:
    check = paused_during_wait(WORKER, RESTART)
    wait = _wait(server_restart)
    assert wait.started_at
    assert wait.closed_at

    within = _slept(server_restart, wait.started_at + MOMENT, wait.started_at + 2 * MOMENT)
    after = _slept(server_restart, wait.closed_at + MOMENT, wait.closed_at + 2 * MOMENT)
    assert check.examine(within).problems == ()
    assert check.examine(after).verdict is Verdict.UNKNOWN


def test_a_sleep_until_all_is_over_is_proven(server_restart: VideoEvidence) -> None:
    check = taken_over_while_paused(WORKER, RESTART)
    workflow = server_restart.workflows[RESTART]
    ended = workflow.closed_at
    assert ended

    asleep = _slept(server_restart, workflow.started_at, ended + MOMENT)
    awake = _slept(server_restart, workflow.started_at, ended - MOMENT)
    assert check.examine(asleep).problems == ()
    assert check.examine(awake).verdict is Verdict.UNKNOWN


def test_what_is_sent_after_the_sleep_fails(server_restart: VideoEvidence) -> None:
    check = sends_nothing_paid_when_it_resumes(WORKER)
    sent, answered = _image(server_restart)
    last = max(record.at for record in server_restart.records)

    assert check.examine(_slept(server_restart, sent, last + MOMENT)).problems == ()
    found = check.examine(_slept(server_restart, sent, answered))
    assert found.verdict is Verdict.FAILED
    assert len(found.problems) == 1  # the video, which was started then
    assert "was not seen to resume" in check.examine(server_restart).problems[0]


@pytest.mark.parametrize(
    ("name", "workflow_id", "words"),
    [
        ("worker_crash", "crash-single", ("took 2 attempts", "asked for 2 times")),
        ("checkpoint", SERIES, ("took 2 attempts",)),
    ],
)
def test_what_is_repeated_fails(
    name: str, workflow_id: str, words: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    problems = nothing_is_repeated(workflow_id).examine(request.getfixturevalue(name)).problems

    for word in words:
        assert any(word in problem for problem in problems)


def test_what_is_done_once_holds(server_restart: VideoEvidence) -> None:
    assert nothing_is_repeated(RESTART).examine(server_restart).problems == ()


def test_a_step_that_is_scheduled_twice_fails(server_restart: VideoEvidence) -> None:
    shorter = server_restart.specs[0].model_copy(update={"video_prompts": ()})
    evidence = replace(server_restart, specs=[shorter])

    problems = nothing_is_repeated(RESTART).examine(evidence).problems

    assert f"{RESTART}: await_video was scheduled 1 times" in problems
