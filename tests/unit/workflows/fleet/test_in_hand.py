"""What a fleet knows of a worker from its reports, and when it forgets."""

from __future__ import annotations

import time

import pytest

from workflows.fleet.in_hand import JUST_ENDED_SECONDS, InHand
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
def in_hand(clock: Clock) -> InHand:
    del clock  # it must stand still before this is made
    return InHand()


def began(token: bytes, what: str | None = None) -> Report:
    return Report(event=Event.BEGAN, token=token, what=what)


def ended(token: bytes) -> Report:
    return Report(event=Event.ENDED, token=token)


def test_of_a_new_worker_nothing_is_known(in_hand: InHand) -> None:
    assert (in_hand.identity, in_hand.is_ready) == (None, False)
    assert (in_hand.attempts, in_hand.unfinished, in_hand.workflows) == ({}, 0, ())


def test_a_ready_worker_has_a_name(in_hand: InHand) -> None:
    in_hand.take(Report(event=Event.READY, identity="7@host"))
    assert (in_hand.identity, in_hand.is_ready) == ("7@host", True)


def test_attempts_that_began_are_in_hand_each_with_what_it_is(in_hand: InHand) -> None:
    in_hand.take(began(A, "await_video of a"))
    in_hand.take(began(B))
    assert in_hand.attempts == {A: "await_video of a", B: ""}
    assert in_hand.unfinished == 2


def test_an_attempt_that_just_ended_counts_but_is_finished(in_hand: InHand, clock: Clock) -> None:
    in_hand.take(began(A, "a"))
    in_hand.take(ended(A))
    clock.now += JUST_ENDED_SECONDS - 0.1
    in_hand.take(Report(event=Event.BEAT))
    assert (in_hand.attempts, in_hand.unfinished) == ({A: "a"}, 0)


def test_an_attempt_that_ended_some_time_ago_is_forgotten(in_hand: InHand, clock: Clock) -> None:
    in_hand.take(began(A, "a"))
    in_hand.take(began(B, "b"))
    in_hand.take(ended(A))
    clock.now += JUST_ENDED_SECONDS
    in_hand.take(Report(event=Event.BEAT))
    assert (in_hand.attempts, in_hand.unfinished) == ({B: "b"}, 1)


def test_each_is_forgotten_in_its_own_time(in_hand: InHand, clock: Clock) -> None:
    for token in (A, B):
        in_hand.take(began(token))
        in_hand.take(ended(token))
        clock.now += JUST_ENDED_SECONDS / 2
    in_hand.take(Report(event=Event.BEAT))
    assert list(in_hand.attempts) == [B]


def test_it_does_not_grow_with_the_work_that_is_over(in_hand: InHand, clock: Clock) -> None:
    for number in range(1000):
        token = str(number).encode()
        in_hand.take(began(token))
        in_hand.take(ended(token))
        clock.now += 1.0
    assert len(in_hand.attempts) <= JUST_ENDED_SECONDS + 1
    assert len(in_hand._ended) == len(in_hand.attempts)


def test_an_end_without_a_beginning_is_no_attempt(in_hand: InHand) -> None:
    in_hand.take(ended(A))
    assert (in_hand.attempts, in_hand.unfinished) == ({}, 0)


def test_what_is_handed_out_does_not_change_any_more(in_hand: InHand) -> None:
    in_hand.take(began(A))
    before = in_hand.attempts
    in_hand.take(began(B))
    assert list(before) == [A]


def test_workflows_are_told_newest_first_and_once(in_hand: InHand) -> None:
    for workflow_id in ("a", "b", "c", "a"):
        in_hand.take(Report(event=Event.WORKFLOW, workflow_id=workflow_id))
    assert in_hand.workflows == ("a", "c", "b")


def test_of_many_workflows_the_newest_are_kept(in_hand: InHand) -> None:
    for number in range(500):
        in_hand.take(Report(event=Event.WORKFLOW, workflow_id=str(number)))
    assert in_hand.workflows == tuple(str(number) for number in range(499, 491, -1))


@pytest.mark.parametrize("event", list(Event))
def test_every_report_is_a_sign_of_life(in_hand: InHand, clock: Clock, event: Event) -> None:
    clock.now += 3.0
    in_hand.take(Report(event=event))
    assert in_hand.last_heard == clock.now


@pytest.mark.parametrize("event", [Event.BEGAN, Event.ENDED, Event.WORKFLOW])
def test_a_report_that_names_nothing_changes_nothing(in_hand: InHand, event: Event) -> None:
    in_hand.take(Report(event=event))
    assert (in_hand.attempts, in_hand.workflows) == ({}, ())
