"""The figures that the requirements name, and what they need of each other."""

from __future__ import annotations

from datetime import timedelta

from workflows import policies


def test_three_attempts_after_10_and_20_seconds() -> None:
    policy = policies.RETRY_POLICY
    assert policy.initial_interval == timedelta(seconds=10)
    assert policy.backoff_coefficient == 2.0
    assert policy.maximum_attempts == 3


def test_no_wait_is_cut_short() -> None:
    assert policies.RETRY_POLICY.maximum_interval is None


def test_application_failures_are_not_retried() -> None:
    assert policies.RETRY_POLICY.non_retryable_error_types == ["ApplicationFailure"]


def test_an_attempt_may_take_30_minutes_and_all_of_them_an_hour() -> None:
    assert timedelta(minutes=30) == policies.START_TO_CLOSE_TIMEOUT
    assert timedelta(hours=1) == policies.SCHEDULE_TO_CLOSE_TIMEOUT


def test_a_worker_does_three_activities_at_once() -> None:
    assert policies.MAX_CONCURRENT_ACTIVITIES == 3


def test_a_heartbeat_outlasts_an_outage_of_20_seconds() -> None:
    reconnecting = timedelta(seconds=5)
    before_and_after = policies.HEARTBEAT_INTERVAL + reconnecting
    assert policies.HEARTBEAT_TIMEOUT - before_and_after >= timedelta(seconds=20)


def test_every_call_fits_into_an_attempt() -> None:
    longest = max(
        policies.IMAGE_DEADLINE_SECONDS,
        policies.VIDEO_START_DEADLINE_SECONDS,
        policies.POLL_DEADLINE_SECONDS,
        policies.DOWNLOAD_DEADLINE_SECONDS,
    )
    assert timedelta(seconds=longest) < policies.START_TO_CLOSE_TIMEOUT


def test_a_wait_is_handed_over_before_it_counts_as_failed() -> None:
    last_poll = timedelta(seconds=policies.POLL_DEADLINE_SECONDS)
    assert policies.LONGEST_WAIT + last_poll < policies.START_TO_CLOSE_TIMEOUT


def test_a_worker_stops_before_its_supervisor_kills_it() -> None:
    assert timedelta() < policies.GRACEFUL_SHUTDOWN_TIMEOUT < timedelta(seconds=30)


def test_a_dead_connection_is_noticed_before_its_worker_counts_as_dead() -> None:
    reconnecting = timedelta(seconds=5)
    noticed = policies.KEEPALIVE_INTERVAL + policies.KEEPALIVE_TIMEOUT
    assert policies.HEARTBEAT_INTERVAL + noticed + reconnecting < policies.HEARTBEAT_TIMEOUT


def test_a_server_does_not_take_probes_for_an_attack() -> None:
    keep_alive_min_time = timedelta(seconds=10)  # the server's default
    assert policies.KEEPALIVE_INTERVAL - keep_alive_min_time >= timedelta(seconds=2)
