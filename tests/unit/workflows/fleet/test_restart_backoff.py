"""How soon a place is filled again after a death."""

from __future__ import annotations

from workflows.fleet.restart_backoff import (
    LONGEST_DELAY_SECONDS,
    LOOP_DEATHS,
    YOUNG_SECONDS,
    RestartBackoff,
)

OLD, YOUNG, NEVER_READY = YOUNG_SECONDS, YOUNG_SECONDS - 0.1, None


def delays(backoff: RestartBackoff, *lives: float | None) -> list[float]:
    return [backoff.next_delay_seconds(lived) for lived in lives]


def test_whoever_lived_for_a_while_is_replaced_at_once_however_often() -> None:
    assert delays(RestartBackoff(), *[OLD] * 20) == [0.0] * 20


def test_one_young_death_may_be_chance_and_costs_nothing() -> None:
    assert delays(RestartBackoff(), YOUNG) == [0.0]


def test_further_young_deaths_wait_twice_as_long_each() -> None:
    assert delays(RestartBackoff(), YOUNG, YOUNG, YOUNG, YOUNG) == [0.0, 1.0, 2.0, 4.0]


def test_one_that_was_never_ready_is_waited_for_from_the_first_time_on() -> None:
    assert delays(RestartBackoff(), NEVER_READY, NEVER_READY, NEVER_READY) == [0.5, 1.0, 2.0]


def test_the_wait_has_an_end() -> None:
    assert delays(RestartBackoff(), *[NEVER_READY] * 2000)[7:] == [LONGEST_DELAY_SECONDS] * 1993


def test_a_long_life_ends_the_row() -> None:
    backoff = RestartBackoff()
    assert delays(backoff, NEVER_READY, NEVER_READY, OLD, YOUNG) == [0.5, 1.0, 0.0, 0.0]
    assert not backoff.is_crash_loop


def test_five_young_deaths_in_a_row_are_a_crash_loop() -> None:
    backoff, found = RestartBackoff(), []
    for lived in (YOUNG, NEVER_READY, YOUNG, NEVER_READY, YOUNG, YOUNG):
        backoff.next_delay_seconds(lived)
        found.append(backoff.is_crash_loop)
    assert LOOP_DEATHS == 5
    assert found == [False, False, False, False, True, True]
