from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from chaos.evidence.journal import Event
from chaos.invariants import Invariant
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call, Received
from tests.chaos.video.scenarios import server_restart as restart_scenario
from tests.unit.kept import as_live
from tests.unit.video.edits import MINUTE, entries, later, of, without, without_records
from tests.unit.video.scenarios.retold import Change

(SERVER_DOWN,) = restart_scenario.SCENARIO.cases[0].proofs
(DOWN_FOR_LONG,) = restart_scenario.SCENARIO.cases[3].proofs
KILLED = restart_scenario.SCENARIO.cases[4].proofs
FRONTEND_KILLED, ALL_KILLED = KILLED[0], KILLED[-1]
POLLS = of(Received, call=Call.POLL)


def test_real_evidence_proves_that_the_server_was_down(server_restart: VideoEvidence) -> None:
    assert SERVER_DOWN.examine(server_restart).problems == ()


@pytest.mark.parametrize("missing", [Event.SIGNALED, Event.EXITED, Event.READY])
def test_a_server_that_was_not_seen_down_and_back_is_unknown(
    missing: Event, server_restart: VideoEvidence
) -> None:
    unseen = without(server_restart, of(event=missing, target="temporal-server"))

    assert SERVER_DOWN.examine(unseen).verdict is Verdict.UNKNOWN


def test_an_outage_that_was_too_short_is_unknown(server_restart: VideoEvidence) -> None:
    gone = of(event=Event.EXITED, target="temporal-server")

    short = entries(server_restart, gone, at=later(timedelta(seconds=1.9)))

    assert SERVER_DOWN.examine(short).problems


def test_an_outage_in_which_nobody_waited_is_unknown(server_restart: VideoEvidence) -> None:
    assert SERVER_DOWN.examine(without_records(server_restart, POLLS)).problems


def test_an_outage_of_3_s_is_no_long_one(server_restart: VideoEvidence) -> None:
    finding = DOWN_FOR_LONG.examine(server_restart)

    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == ("the server was not down for 20 s and then back",)


def test_every_kill_of_a_cluster_is_proven(each_role: VideoEvidence) -> None:
    assert len(KILLED) == 7
    assert [check.examine(each_role).problems for check in KILLED] == [()] * 7


@pytest.mark.parametrize("check", KILLED, ids=lambda check: check.name)
@pytest.mark.parametrize(
    "missing", [Event.FAULT, Event.SIGNALED, Event.EXITED, Event.STARTED, Event.READY]
)
def test_a_kill_at_a_cluster_that_was_not_seen_is_unknown(
    check: Invariant, missing: Event, each_role: VideoEvidence
) -> None:
    unseen = without(each_role, of(event=missing))

    assert check.examine(unseen).verdict is Verdict.UNKNOWN


def test_a_kill_that_left_one_process_alive_is_unknown(each_role: VideoEvidence) -> None:
    (killed,) = [e for e in each_role.journal if e.target == "everything" and e.kind == "kill"]
    spared = without(
        each_role,
        lambda e: e.event is Event.SIGNALED and e.target == "temporal-worker" and e.at > killed.at,
    )
    finding = ALL_KILLED.examine(spared)

    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == ("temporal-worker was not seen to die of SIGKILL",)


def test_processes_that_were_never_gone_together_are_unknown(each_role: VideoEvidence) -> None:
    (killed,) = [e for e in each_role.journal if e.target == "everything" and e.kind == "kill"]
    ends = of(event=Event.EXITED, target="postgres")
    apart = entries(each_role, lambda e: ends(e) and e.at > killed.at, at=later(MINUTE))
    finding = ALL_KILLED.examine(apart)

    assert finding.verdict is Verdict.UNKNOWN
    assert "were not down at the same time" in finding.problems[0]


def test_a_process_that_came_back_as_itself_was_not_killed(each_role: VideoEvidence) -> None:
    killed = each_role.first_entry(Event.SIGNALED, target="temporal-frontend")
    assert killed
    back = of(event=Event.READY, target="temporal-frontend")
    finding = FRONTEND_KILLED.examine(entries(each_role, back, pid=killed.pid))

    assert finding.problems == ("temporal-frontend was not seen to come back",)


@pytest.mark.parametrize("seconds", [-60, +60])
def test_a_kill_while_another_video_was_in_hand_is_unknown(
    seconds: int, each_role: VideoEvidence
) -> None:
    """The wait for the video of this kill was over by then, or had not begun."""
    times = {Event.FAULT, Event.SIGNALED, Event.EXITED, Event.STARTED, Event.READY}
    by = later(timedelta(seconds=seconds))
    moved = entries(each_role, lambda entry: entry.event in times, at=by)
    findings = [check.examine(moved) for check in KILLED]

    assert {finding.verdict for finding in findings} == {Verdict.UNKNOWN}
    assert "was not awaiting" in findings[0].problems[-1]


def test_a_wait_whose_report_was_lost_in_the_outage_was_in_hand(
    each_role: VideoEvidence, with_history: Change
) -> None:
    """The history tells of its next attempt alone, which began when all was back."""

    def second_attempt(history: History) -> None:
        last = [  # but its download
            event
            for event in history.events
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
        ][-2]
        last.activity_task_started_event_attributes.attempt = 2
        last.event_time.FromDatetime(last.event_time.ToDatetime() + timedelta(minutes=1))
        completed = history.events[last.event_id]
        completed.event_time.FromDatetime(last.event_time.ToDatetime() + timedelta(seconds=1))

    retried = with_history(each_role, "roles-series", second_attempt)

    assert retried.workflows["roles-series"].activities[-2].attempt == 2
    assert ALL_KILLED.examine(retried).problems == ()


def test_a_video_that_nobody_asked_about_was_not_in_hand(each_role: VideoEvidence) -> None:
    assert FRONTEND_KILLED.examine(without_records(each_role, POLLS)).problems


def test_live_the_history_proves_what_no_poll_can(server_restart: VideoEvidence) -> None:
    assert SERVER_DOWN.examine(as_live(server_restart)).problems == ()


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        (EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED, +1),
        (EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED, -2),
    ],
    ids=["began in the outage", "ended in the outage"],
)
def test_live_a_wait_that_did_not_last_through_the_outage_is_unknown(
    kind: EventType.ValueType, seconds: int, server_restart: VideoEvidence, with_history: Change
) -> None:
    def moved(history: History) -> None:
        for event in history.events:
            if event.event_type == kind:
                at = event.event_time.ToDatetime() + timedelta(seconds=seconds)
                event.event_time.FromDatetime(at)

    finding = SERVER_DOWN.examine(with_history(as_live(server_restart), "restart-single", moved))

    assert finding.verdict is Verdict.UNKNOWN
    assert "was not awaiting its video while the server was down" in finding.problems[0]
