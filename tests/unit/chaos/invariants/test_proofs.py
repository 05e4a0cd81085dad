from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from chaos.evidence.bills import Mode
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant
from chaos.invariants.verdict import Verdict
from tests.chaos.video.fake_api.ledger import Answered, Call, Received
from tests.chaos.video.scenarios import checkpoint as checkpoint_scenario
from tests.chaos.video.scenarios import concurrency as concurrency_scenario
from tests.chaos.video.scenarios import retry_config as retry_scenario
from tests.chaos.video.scenarios import server_restart as restart_scenario
from tests.chaos.video.scenarios import worker_crash as crash_scenario
from tests.chaos.video.target import VIDEO

IN_FLIGHT, IN_RENDER = crash_scenario.SCENARIO.cases[0].proofs
AFTER_VIDEO_1, IN_RENDER_2 = checkpoint_scenario.SCENARIO.cases[0].proofs
(SERVER_DOWN,) = restart_scenario.SCENARIO.cases[0].proofs
(DOWN_FOR_LONG,) = restart_scenario.SCENARIO.cases[3].proofs
STRUCK = restart_scenario.SCENARIO.cases[4].proofs
FRONTEND_STRUCK, ALL_STRUCK = STRUCK[0], STRUCK[-1]
(TOGETHER,) = concurrency_scenario.SCENARIO.cases[0].proofs
ANSWERED = retry_scenario.SCENARIO.cases[0].proofs

WithHistory = Callable[..., Evidence]


def test_real_evidence_proves_every_fault(request: pytest.FixtureRequest) -> None:
    for scenario in (
        crash_scenario,
        retry_scenario,
        restart_scenario,
        checkpoint_scenario,
        concurrency_scenario,
    ):
        case = scenario.SCENARIO.cases[0]
        evidence = request.getfixturevalue(scenario.SCENARIO.name)
        assert case.proofs
        for check in case.proofs:
            assert check.examine(evidence).problems == ()


def _without(evidence: Evidence, drop: Callable[[Entry], bool]) -> Evidence:
    return replace(evidence, journal=[entry for entry in evidence.journal if not drop(entry)])


@pytest.mark.parametrize("check", [IN_FLIGHT, IN_RENDER], ids=lambda check: check.name)
@pytest.mark.parametrize("missing", [Event.SIGNALED, Event.EXITED])
def test_a_kill_that_was_not_seen_is_unknown(
    check: Invariant, missing: Event, worker_crash: Evidence
) -> None:
    unseen = _without(worker_crash, lambda entry: entry.event is missing)

    assert check.examine(unseen).verdict is Verdict.UNKNOWN


def test_a_worker_that_ended_by_itself_is_unknown(worker_crash: Evidence) -> None:
    journal = [
        entry.model_copy(update={"exit_code": 0}) if entry.event is Event.EXITED else entry
        for entry in worker_crash.journal
    ]

    assert IN_FLIGHT.examine(replace(worker_crash, journal=journal)).verdict is Verdict.UNKNOWN


def test_a_kill_before_the_request_is_unknown(worker_crash: Evidence) -> None:
    later = [
        record.model_copy(update={"at": record.at + timedelta(hours=1)})
        for record in worker_crash.ledger
    ]

    assert IN_FLIGHT.examine(replace(worker_crash, ledger=later)).verdict is Verdict.UNKNOWN


def test_a_request_that_was_answered_in_time_was_not_in_flight(worker_crash: Evidence) -> None:
    answered = [
        record.model_copy(update={"client_connected": True})
        if isinstance(record, Answered)
        else record
        for record in worker_crash.ledger
    ]

    assert IN_FLIGHT.examine(replace(worker_crash, ledger=answered)).verdict is Verdict.UNKNOWN


def test_a_video_that_nobody_asked_about_was_not_awaited(worker_crash: Evidence) -> None:
    unasked = [
        record
        for record in worker_crash.ledger
        if not (isinstance(record, Received) and record.call is Call.POLL)
    ]

    assert IN_RENDER.examine(replace(worker_crash, ledger=unasked)).verdict is Verdict.UNKNOWN


def test_a_kill_before_the_checkpoint_is_unknown(checkpoint: Evidence) -> None:
    journal = [
        entry.model_copy(update={"at": entry.at - timedelta(hours=1)})
        for entry in checkpoint.journal
    ]

    assert AFTER_VIDEO_1.examine(replace(checkpoint, journal=journal)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("missing", [Event.SIGNALED, Event.EXITED, Event.READY])
def test_a_server_that_was_not_seen_down_and_back_is_unknown(
    missing: Event, server_restart: Evidence
) -> None:
    unseen = _without(
        server_restart,
        lambda entry: entry.event is missing and entry.target == "temporal-server",
    )

    assert SERVER_DOWN.examine(unseen).verdict is Verdict.UNKNOWN


def test_an_outage_that_was_too_short_is_unknown(server_restart: Evidence) -> None:
    gone = next(
        entry
        for entry in server_restart.journal
        if entry.event is Event.EXITED and entry.target == "temporal-server"
    )
    late = gone.model_copy(update={"at": gone.at + timedelta(seconds=1.9)})
    journal = [late if entry is gone else entry for entry in server_restart.journal]

    assert SERVER_DOWN.examine(replace(server_restart, journal=journal)).problems


def test_an_outage_in_which_nobody_waited_is_unknown(server_restart: Evidence) -> None:
    idle = [
        record
        for record in server_restart.ledger
        if not (isinstance(record, Received) and record.call is Call.POLL)
    ]

    assert SERVER_DOWN.examine(replace(server_restart, ledger=idle)).problems


def test_an_outage_of_3_s_is_no_long_one(server_restart: Evidence) -> None:
    finding = DOWN_FOR_LONG.examine(server_restart)

    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == ("the server was not down for 20 s and then back",)


def test_every_blow_at_a_cluster_is_proven(each_role: Evidence) -> None:
    assert len(STRUCK) == 7
    assert [check.examine(each_role).problems for check in STRUCK] == [()] * 7


@pytest.mark.parametrize("check", STRUCK, ids=lambda check: check.name)
@pytest.mark.parametrize(
    "missing", [Event.FAULT, Event.SIGNALED, Event.EXITED, Event.STARTED, Event.READY]
)
def test_a_blow_at_a_cluster_that_was_not_seen_is_unknown(
    check: Invariant, missing: Event, each_role: Evidence
) -> None:
    unseen = _without(each_role, lambda entry: entry.event is missing)

    assert check.examine(unseen).verdict is Verdict.UNKNOWN


def test_a_blow_that_left_one_process_alive_is_unknown(each_role: Evidence) -> None:
    (struck,) = [e for e in each_role.journal if e.target == "everything" and e.kind == "kill"]
    spared = _without(
        each_role,
        lambda e: e.event is Event.SIGNALED and e.target == "temporal-worker" and e.at > struck.at,
    )
    finding = ALL_STRUCK.examine(spared)

    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == ("temporal-worker was not seen to die of SIGKILL",)


def test_processes_that_were_never_gone_together_are_unknown(each_role: Evidence) -> None:
    (struck,) = [e for e in each_role.journal if e.target == "everything" and e.kind == "kill"]
    journal = [
        entry.model_copy(update={"at": entry.at + timedelta(minutes=1)})
        if entry.event is Event.EXITED and entry.target == "postgres" and entry.at > struck.at
        else entry
        for entry in each_role.journal
    ]
    finding = ALL_STRUCK.examine(replace(each_role, journal=journal))

    assert finding.verdict is Verdict.UNKNOWN
    assert "were not gone at the same time" in finding.problems[0]


def test_a_process_that_came_back_as_itself_was_not_killed(each_role: Evidence) -> None:
    struck = each_role.first_entry(Event.SIGNALED, target="temporal-frontend")
    assert struck
    journal = [
        entry.model_copy(update={"pid": struck.pid})
        if entry.event is Event.READY and entry.target == "temporal-frontend"
        else entry
        for entry in each_role.journal
    ]
    finding = FRONTEND_STRUCK.examine(replace(each_role, journal=journal))

    assert finding.problems == ("temporal-frontend was not seen to come back",)


@pytest.mark.parametrize("seconds", [-60, +60])
def test_a_blow_while_another_video_was_in_hand_is_unknown(
    seconds: int, each_role: Evidence
) -> None:
    """The wait for the video of this blow was over by then, or had not begun."""
    times = {Event.FAULT, Event.SIGNALED, Event.EXITED, Event.STARTED, Event.READY}
    journal = [
        entry.model_copy(update={"at": entry.at + timedelta(seconds=seconds)})
        if entry.event in times
        else entry
        for entry in each_role.journal
    ]
    findings = [check.examine(replace(each_role, journal=journal)) for check in STRUCK]

    assert {finding.verdict for finding in findings} == {Verdict.UNKNOWN}
    assert "was not awaiting" in findings[0].problems[-1]


def test_a_video_that_nobody_asked_about_was_not_in_hand(each_role: Evidence) -> None:
    unasked = [
        record
        for record in each_role.ledger
        if not (isinstance(record, Received) and record.call is Call.POLL)
    ]

    assert FRONTEND_STRUCK.examine(replace(each_role, ledger=unasked)).problems


@pytest.mark.parametrize("check", ANSWERED, ids=lambda check: check.name)
def test_a_planned_answer_that_was_not_given_is_unknown(
    check: Invariant, retry_config: Evidence
) -> None:
    healthy = [
        record.model_copy(update={"kind": "ok"}) if isinstance(record, Answered) else record
        for record in retry_config.ledger
    ]

    assert check.examine(replace(retry_config, ledger=healthy)).verdict is Verdict.UNKNOWN


def test_workflows_one_after_the_other_are_unknown(
    concurrency: Evidence, with_history: Callable[..., Evidence]
) -> None:
    def an_hour_later(history: History) -> None:
        for event in history.events:
            event.event_time.FromDatetime(event.event_time.ToDatetime() + timedelta(hours=1))

    apart = with_history(concurrency, "load-003", an_hour_later)

    assert TOGETHER.examine(apart).verdict is Verdict.UNKNOWN


def _live(evidence: Evidence) -> Evidence:
    """As a real provider leaves it: nobody shows who polled."""
    shown = [
        record
        for record in evidence.ledger
        if not (isinstance(record, Received) and record.call is Call.POLL)
    ]
    billing = VIDEO.billing.model_copy(update={"mode": Mode.LIVE})
    return replace(evidence, ledger=shown, billing=billing)


@pytest.mark.parametrize(
    ("name", "check"),
    [("worker_crash", IN_RENDER), ("checkpoint", IN_RENDER_2), ("server_restart", SERVER_DOWN)],
)
def test_live_the_history_proves_what_no_poll_can(
    name: str, check: Invariant, request: pytest.FixtureRequest
) -> None:
    assert check.examine(_live(request.getfixturevalue(name))).problems == ()


def test_live_a_video_begun_after_the_kill_is_unknown(worker_crash: Evidence) -> None:
    live = _live(worker_crash)
    later = [
        record.model_copy(update={"at": record.at + timedelta(hours=1)}) for record in live.ledger
    ]
    finding = IN_RENDER.examine(replace(live, ledger=later))

    assert finding.verdict is Verdict.UNKNOWN
    assert "was not begun before the kill" in finding.problems[0]


def test_live_a_wait_that_never_went_silent_is_unknown(
    worker_crash: Evidence, with_history: WithHistory
) -> None:
    def never_silent(history: History) -> None:
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                event.activity_task_started_event_attributes.ClearField("last_failure")

    finding = IN_RENDER.examine(with_history(_live(worker_crash), "crash-single", never_silent))

    assert finding.verdict is Verdict.UNKNOWN
    assert "no wait that went silent" in finding.problems[0]


def test_live_a_wait_that_its_own_worker_took_up_again_is_unknown(
    worker_crash: Evidence, with_history: WithHistory
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

    finding = IN_RENDER.examine(with_history(_live(worker_crash), "crash-single", by_itself))

    assert finding.verdict is Verdict.UNKNOWN
    assert "taken up by another worker" in finding.problems[0]


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        (EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED, +1),
        (EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED, -2),
    ],
    ids=["began in the outage", "ended in the outage"],
)
def test_live_a_wait_that_did_not_last_through_the_outage_is_unknown(
    kind: EventType.ValueType, seconds: int, server_restart: Evidence, with_history: WithHistory
) -> None:
    def moved(history: History) -> None:
        for event in history.events:
            if event.event_type == kind:
                at = event.event_time.ToDatetime() + timedelta(seconds=seconds)
                event.event_time.FromDatetime(at)

    finding = SERVER_DOWN.examine(with_history(_live(server_restart), "restart-single", moved))

    assert finding.verdict is Verdict.UNKNOWN
    assert "was not awaiting its video while the server was down" in finding.problems[0]
