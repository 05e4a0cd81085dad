from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.history.v1 import History

from chaos.evidence.case import Evidence
from chaos.evidence.history import WORKER_LOST
from chaos.evidence.journal import Entry, Event
from chaos.invariants.recovery import Recovery, recoveries, took_over
from chaos.invariants.recovery.bounds import RECONNECT_SECONDS, handover_seconds
from chaos.invariants.recovery.faults import may_serve, queues
from tests.unit.chaos.invariants.timed import with_timings
from workflows.policies import IMAGE_DEADLINE_SECONDS, STICKY_QUEUE_TIMEOUT

Change = Callable[[Evidence, str, Callable[[History], None]], Evidence]

HEARTBEAT_SECONDS = 8.0
"""As the kept histories recorded it."""
BACKOFF_SECONDS = 10.0


def _only(evidence: Evidence) -> Recovery:
    (recovery,) = recoveries(evidence).values()
    return recovery


def _fault(evidence: Evidence, target: str | None = None) -> Entry:
    fault = evidence.first_entry(Event.FAULT, target=target)
    assert fault
    return fault


def _changed(evidence: Evidence, picked: Callable[[Entry], bool], **changes: Any) -> Evidence:
    journal = [
        entry.model_copy(update=changes) if picked(entry) else entry for entry in evidence.journal
    ]
    return replace(evidence, journal=sorted(journal, key=lambda entry: entry.at))


def _with(evidence: Evidence, *entries: Entry) -> Evidence:
    journal = sorted((*evidence.journal, *entries), key=lambda entry: entry.at)
    return replace(evidence, journal=journal)


def _instead(evidence: Evidence, kind: str, target: str, healed_after: float) -> Evidence:
    """The same losses, as those of another fault, which nobody got a signal for."""
    at = _fault(evidence).at
    journal = [
        entry
        for entry in evidence.journal
        if not (entry.signal or entry.event in {Event.FAULT, Event.HEALED})
        and not (entry.event is Event.EXITED and entry.target == "worker-1" and entry.at < _end(at))
    ]
    healed_at = at + timedelta(seconds=healed_after)
    return _with(
        replace(evidence, journal=journal),
        Entry(at=at, event=Event.FAULT, kind=kind, target=target),
        Entry(at=healed_at, event=Event.HEALED, target=target),
    )


def _end(at: datetime) -> datetime:
    return at + timedelta(seconds=1)


def _failed_over_after(seconds: float, evidence: Evidence) -> Callable[[History], None]:
    """The second attempt follows one that a fleet ended for its worker."""
    at = _fault(evidence).at + timedelta(seconds=seconds)

    def edit(history: History) -> None:
        for event in history.events:
            started = event.activity_task_started_event_attributes
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED and (
                started.attempt == 2
            ):
                failure = started.last_failure
                failure.Clear()
                failure.message = "its worker 6657@host was lost (killed by SIGKILL)."
                failure.application_failure_info.type = WORKER_LOST
                event.event_time.FromDatetime(at)

    return edit


def test_a_killed_workers_bound_is_heartbeat_backoff_and_handover(checkpoint: Evidence) -> None:
    recovery = _only(checkpoint)
    gone = checkpoint.first_entry(Event.EXITED, target="worker-1")
    assert gone
    lived = (gone.at - _fault(checkpoint).at).total_seconds()

    predicted = lived + HEARTBEAT_SECONDS + BACKOFF_SECONDS + handover_seconds(checkpoint)
    assert recovery.bound == pytest.approx(predicted, abs=0.002)
    assert STICKY_QUEUE_TIMEOUT.total_seconds() + 2 == handover_seconds(checkpoint)
    assert recovery.waited < recovery.bound


def test_a_worker_that_comes_late_is_waited_for(checkpoint: Evidence) -> None:
    fault = _fault(checkpoint)
    late = _changed(
        checkpoint,
        lambda e: e.event is Event.READY and e.target == "worker-2",
        at=fault.at + timedelta(seconds=18.05),
    )

    assert _only(late).bound == pytest.approx(18.05 + handover_seconds(checkpoint), abs=0.002)


def test_a_server_that_is_down_when_the_attempt_is_due_is_waited_for(checkpoint: Evidence) -> None:
    at = _fault(checkpoint).at
    times = {Event.FAULT: 15.0, Event.READY: 18.02}
    down = _with(
        checkpoint,
        *(
            Entry(
                at=at + timedelta(seconds=seconds),
                event=event,
                target="temporal-server",
                kind="kill" if event is Event.FAULT else None,
            )
            for event, seconds in times.items()
        ),
    )

    predicted = 18.02 + RECONNECT_SECONDS + handover_seconds(checkpoint)
    assert recoveries(down)[at].bound == pytest.approx(predicted, abs=0.002)


def test_what_breaks_after_the_attempt_began_excuses_nothing(checkpoint: Evidence) -> None:
    at = _fault(checkpoint).at + timedelta(seconds=19)
    later = _with(
        checkpoint, Entry(at=at, event=Event.FAULT, kind="kill", target="temporal-server")
    )

    assert recoveries(later)[_fault(checkpoint).at] == _only(checkpoint)


def _outage_bound(evidence: Evidence, over: datetime) -> float:
    """Its length, and until the worker must have come back for the download that follows."""
    (workflow,) = evidence.workflows.values()
    download = workflow.activities[-1]
    reconnected = over + timedelta(seconds=RECONNECT_SECONDS)
    waits = (over - _fault(evidence).at) + (reconnected - download.scheduled_at)
    return waits.total_seconds() + handover_seconds(evidence)


def test_an_outages_bound_is_its_length_and_the_time_to_reconnect(
    server_restart: Evidence,
) -> None:
    fault = _fault(server_restart)
    ready = server_restart.first_entry(Event.READY, after=fault.at, target="temporal-server")
    assert ready

    recovery = _only(server_restart)
    assert recovery.restart >= round((ready.at - fault.at).total_seconds(), 3)
    assert recovery.bound == pytest.approx(_outage_bound(server_restart, ready.at), abs=0.002)


def test_a_paused_servers_outage_lasts_until_it_is_healed(server_restart: Evidence) -> None:
    healed = server_restart.first_entry(Event.HEALED)
    assert healed
    over = healed.at + timedelta(seconds=0.2)
    paused = _changed(server_restart, lambda e: e.event is Event.FAULT, kind="pause")
    paused = _changed(paused, lambda e: e.event is Event.HEALED, at=over)

    assert _only(paused).bound == pytest.approx(_outage_bound(paused, over), abs=0.002)


def test_an_apis_fault_is_counted_from_the_answer_that_failed(retry_config: Evidence) -> None:
    recovery = _only(retry_config)

    assert recovery.detect == 0
    assert recovery.reschedule == 20.0
    assert recovery.bound == 20.0 + handover_seconds(retry_config)


def test_a_link_to_the_api_may_keep_a_call_until_its_deadline(retry_config: Evidence) -> None:
    """Of what did not come to the provider its books tell nothing."""
    spec = [a for a in retry_config.specs if a.workflow_id == "retry-recovers"]
    workflow = retry_config.workflows["retry-recovers"]
    unheard = replace(retry_config, refusals=(), specs=spec, workflows={"retry-recovers": workflow})
    fault = _fault(unheard)
    cut = _changed(
        unheard, lambda e: e.event is Event.FAULT, kind="black_hole", target="worker-1>api"
    )
    healed_at = fault.at + timedelta(seconds=30)
    cut = _with(cut, Entry(at=healed_at, event=Event.HEALED, target="worker-1>api"))

    assert _only(cut).bound == 30 + IMAGE_DEADLINE_SECONDS + 20.0 + handover_seconds(retry_config)


def test_a_worker_lost_in_a_fleet_has_no_heartbeat_to_wait_for(
    checkpoint: Evidence, with_history: Change
) -> None:
    after = 5.0
    lost = with_history(checkpoint, "checkpoint-series", _failed_over_after(after, checkpoint))
    ready = checkpoint.first_entry(Event.READY, target="worker-2")
    assert ready

    recovery = _only(lost)
    until_ready = (ready.at - _fault(checkpoint).at).total_seconds()
    assert recovery.waited == pytest.approx(after)
    assert recovery.bound == pytest.approx(until_ready + handover_seconds(checkpoint), abs=0.002)


@pytest.mark.parametrize(("kind", "silence"), [("kill", 0.0), ("pause", HEARTBEAT_SECONDS)])
def test_a_fleet_has_the_time_that_its_workers_needed_to_start(
    kind: str, silence: float, checkpoint: Evidence, with_history: Change
) -> None:
    """It may have no other worker; one that stands still it kills before a heartbeat is missed."""
    lost = with_history(checkpoint, "checkpoint-series", _failed_over_after(5.0, checkpoint))
    begin = lost.journal[0].at
    fleet = _with(
        _instead(lost, kind, "fleet-1-worker", healed_after=9),
        Entry(at=begin, event=Event.STARTED, target="fleet-1"),
        Entry(at=begin + timedelta(seconds=4), event=Event.READY, target="fleet-1", pid=77),
    )

    assert _only(fleet).bound == pytest.approx(
        silence + 4 + handover_seconds(checkpoint), abs=0.002
    )


@pytest.mark.parametrize(("healed_after", "lasts"), [(5.0, 0.0), (25.0, 25.0)])
def test_a_silent_link_may_be_noticed_by_its_keepalive_or_the_heartbeat(
    healed_after: float, lasts: float, checkpoint: Evidence
) -> None:
    silent = _instead(checkpoint, "black_hole", "worker-1>server", healed_after)

    noticed = max(checkpoint.timings.keepalive_seconds, HEARTBEAT_SECONDS, lasts)
    least = noticed + BACKOFF_SECONDS + handover_seconds(checkpoint)
    assert least - 0.01 <= _only(silent).bound <= least + RECONNECT_SECONDS


def test_a_worker_that_is_paused_misses_its_heartbeat_from_then_on(checkpoint: Evidence) -> None:
    paused = _instead(checkpoint, "pause", "worker-1", healed_after=30)

    predicted = HEARTBEAT_SECONDS + BACKOFF_SECONDS + handover_seconds(checkpoint)
    assert _only(paused).bound == pytest.approx(predicted, abs=0.002)


def test_a_crash_loop_may_cost_attempts_until_it_is_healed(checkpoint: Evidence) -> None:
    looping = _instead(checkpoint, "crash_loop", "worker-1", healed_after=9)

    predicted = 9 + HEARTBEAT_SECONDS + BACKOFF_SECONDS + handover_seconds(checkpoint)
    assert _only(looping).bound == pytest.approx(predicted, abs=0.002)


@pytest.mark.parametrize("kind", ["latency", "bandwidth", "slicer", "slow_close"])
def test_a_slow_link_is_no_outage(kind: str, concurrency: Evidence) -> None:
    at = concurrency.journal[4].at
    target = "worker-1>server"
    slow = _with(
        concurrency,
        Entry(at=at, event=Event.FAULT, kind=kind, target=target),
        Entry(at=at + timedelta(seconds=6), event=Event.HEALED, target=target),
    )

    assert recoveries(slow) == {}


@pytest.mark.parametrize(
    ("kind", "target"),
    [("pause", "worker-1"), ("kill", "worker-1"), ("delay", "api"), ("full", "disk")],
)
def test_a_fault_that_cost_nothing_has_no_recovery(
    kind: str, target: str, concurrency: Evidence
) -> None:
    at = concurrency.journal[4].at
    harmless = _with(concurrency, Entry(at=at, event=Event.FAULT, kind=kind, target=target))

    assert recoveries(harmless) == {}


def test_a_loss_is_not_put_down_to_a_fault_that_came_too_late_for_it(
    checkpoint: Evidence,
) -> None:
    at = _fault(checkpoint).at
    idle = _with(
        checkpoint,
        Entry(at=at + timedelta(seconds=5), event=Event.FAULT, kind="kill", target="worker-9"),
    )

    assert list(recoveries(idle)) == [at]


def test_a_worker_of_another_queue_takes_over_nothing(retry_config: Evidence) -> None:
    known = queues(retry_config)
    refused = retry_config.workflows["retry-refused"]

    assert known["worker-1"] != known["worker-2"]
    assert may_serve(known, "worker-2", refused)
    assert not may_serve(known, "worker-1", refused)
    assert may_serve(known, "never-seen", refused)


def _without_heartbeat(start_to_close_seconds: int) -> Callable[[History], None]:
    """Only the time limit of an attempt tells of a dead worker."""

    def edit(history: History) -> None:
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                scheduled = event.activity_task_scheduled_event_attributes
                scheduled.heartbeat_timeout.Clear()
                scheduled.start_to_close_timeout.FromSeconds(start_to_close_seconds)
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                started = event.activity_task_started_event_attributes
                if started.HasField("last_failure"):
                    limit = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
                    started.last_failure.timeout_failure_info.timeout_type = limit

    return edit


def test_without_heartbeats_the_time_limit_tells_of_a_dead_worker(
    checkpoint: Evidence, with_history: Change
) -> None:
    changed = with_history(checkpoint, "checkpoint-series", _without_heartbeat(8))

    assert _only(changed).detect == pytest.approx(_only(checkpoint).detect)
    assert _only(changed).bound == pytest.approx(_only(checkpoint).bound)
    (over,) = [a for a in changed.workflows["checkpoint-series"].activities if a.attempt > 1]
    assert took_over(over)


def test_a_time_limit_beside_a_heartbeat_is_no_dead_worker(
    checkpoint: Evidence, with_history: Change
) -> None:
    def edit(history: History) -> None:
        _without_heartbeat(8)(history)
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                scheduled = event.activity_task_scheduled_event_attributes
                scheduled.heartbeat_timeout.FromSeconds(4)

    changed = with_history(checkpoint, "checkpoint-series", edit)

    (over,) = [a for a in changed.workflows["checkpoint-series"].activities if a.attempt > 1]
    assert not took_over(over)
    assert recoveries(changed) == {}


def test_a_systems_own_promise_is_its_bound(checkpoint: Evidence) -> None:
    assert _only(with_timings(checkpoint, recovery_seconds=7.5)).bound == 7.5


@pytest.mark.parametrize("sticky_queue_seconds", [0.0, 1.0, 10.0])
def test_a_workflow_task_may_wait_as_long_as_the_targets_sticky_queue(
    sticky_queue_seconds: float, checkpoint: Evidence
) -> None:
    before = _only(checkpoint).bound - checkpoint.timings.sticky_queue_seconds

    changed = with_timings(checkpoint, sticky_queue_seconds=sticky_queue_seconds)

    assert _only(changed).bound == pytest.approx(before + sticky_queue_seconds, abs=0.002)


def test_a_silent_link_is_noticed_by_the_targets_own_keepalive(checkpoint: Evidence) -> None:
    silent = _instead(checkpoint, "black_hole", "worker-1>server", healed_after=5.0)
    slower = checkpoint.timings.keepalive_seconds + 60

    noticed = _only(with_timings(silent, keepalive_seconds=slower)).bound

    assert noticed >= _only(silent).bound + 60 - 0.01


def test_an_activity_may_wait_for_an_answer_as_long_as_its_target_says(
    retry_config: Evidence,
) -> None:
    bounds = []
    for seconds in (5.0, 50.0):
        told = with_timings(retry_config, call_seconds={"generate_character": seconds})
        cut = _changed(
            replace(told, refusals=()),
            lambda e: e.event is Event.FAULT,
            kind="black_hole",
            target="worker-1>api",
        )
        healed_at = _fault(cut).at + timedelta(seconds=30)
        cut = _with(cut, Entry(at=healed_at, event=Event.HEALED, target="worker-1>api"))
        bounds.append(_only(cut).bound)

    assert bounds[1] - bounds[0] == pytest.approx(45.0)
