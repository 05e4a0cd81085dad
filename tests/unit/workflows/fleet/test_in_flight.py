"""What a supervisor knows of a worker from its reports, and when it forgets."""

from __future__ import annotations

import time

import pytest

from workflows.fleet.in_flight import JUST_ENDED_SECONDS, InFlight
from workflows.fleet.reports import Event, Report

A, B = b"token a", b"token b"


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def in_flight(clock: Clock) -> InFlight:
    del clock  # it must stand still before this is made
    return InFlight()


def began(token: bytes, what: str | None = None) -> Report:
    return Report(event=Event.BEGAN, token=token, what=what)


def ended(token: bytes) -> Report:
    return Report(event=Event.ENDED, token=token)


def test_a_ready_worker_has_a_name(in_flight: InFlight) -> None:
    in_flight.take(Report(event=Event.READY, identity="7@host"))
    assert (in_flight.identity, in_flight.is_ready) == ("7@host", True)


def test_attempts_that_began_are_in_flight_each_with_what_it_is(in_flight: InFlight) -> None:
    in_flight.take(began(A, "await_video of a"))
    in_flight.take(began(B))
    assert in_flight.attempts == {A: "await_video of a", B: ""}
    assert in_flight.unfinished == 2


def test_an_attempt_that_just_ended_counts_but_is_finished(
    in_flight: InFlight, clock: Clock
) -> None:
    in_flight.take(began(A, "a"))
    in_flight.take(ended(A))
    clock.now += JUST_ENDED_SECONDS - 0.1
    in_flight.take(Report(event=Event.BEAT))
    assert (in_flight.attempts, in_flight.unfinished) == ({A: "a"}, 0)


def test_an_attempt_that_ended_some_time_ago_is_forgotten(
    in_flight: InFlight, clock: Clock
) -> None:
    in_flight.take(began(A, "a"))
    in_flight.take(began(B, "b"))
    in_flight.take(ended(A))
    clock.now += JUST_ENDED_SECONDS
    in_flight.take(Report(event=Event.BEAT))
    assert (in_flight.attempts, in_flight.unfinished) == ({B: "b"}, 1)


def test_it_does_not_grow_with_the_work_that_is_over(in_flight: InFlight, clock: Clock) -> None:
    for number in range(1000):
        token = str(number).encode()
        in_flight.take(began(token))
        in_flight.take(ended(token))
        clock.now += 1.0
    assert len(in_flight.attempts) <= JUST_ENDED_SECONDS + 1
    assert len(in_flight._ended) == len(in_flight.attempts)


def test_an_end_without_a_beginning_is_no_attempt(in_flight: InFlight) -> None:
    in_flight.take(ended(A))
    assert (in_flight.attempts, in_flight.unfinished) == ({}, 0)


def test_workflows_are_told_newest_first_and_once(in_flight: InFlight) -> None:
    for workflow_id in ("a", "b", "c", "a"):
        in_flight.take(Report(event=Event.WORKFLOW, workflow_id=workflow_id))
    assert in_flight.workflows == ("a", "c", "b")


def test_of_many_workflows_the_newest_are_kept(in_flight: InFlight) -> None:
    for number in range(500):
        in_flight.take(Report(event=Event.WORKFLOW, workflow_id=str(number)))
    assert in_flight.workflows == tuple(str(number) for number in range(499, 491, -1))


@pytest.mark.parametrize("event", list(Event))
def test_every_report_is_a_sign_of_life(in_flight: InFlight, clock: Clock, event: Event) -> None:
    clock.now += 3.0
    in_flight.take(Report(event=event))
    assert in_flight.last_heard == clock.now


@pytest.mark.parametrize("event", [Event.BEGAN, Event.ENDED, Event.WORKFLOW])
def test_a_report_that_names_nothing_changes_nothing(in_flight: InFlight, event: Event) -> None:
    in_flight.take(Report(event=event))
    assert (in_flight.attempts, in_flight.workflows) == ({}, ())
