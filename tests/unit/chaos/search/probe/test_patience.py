"""How long a disturbed workflow is waited for."""

from __future__ import annotations

from chaos.evidence.pending import Pending
from chaos.search.probe.waiting import Patience, outlasts, waits
from tests.unit.chaos.made_history import Made, at


def _with_a_timer(seconds: int) -> Made:
    made = Made()
    started = made.add("TIMER_STARTED", 2).timer_started_event_attributes
    started.timer_id = "1"
    started.start_to_fire_timeout.FromSeconds(seconds)
    return made


def test_a_timer_that_it_has_undisturbed_as_well_is_waited_for() -> None:
    found = waits(_with_a_timer(90).workflow(Pending(at=at(9))), at(2))
    usual = Patience(seconds=60, undisturbed_seconds=92)

    assert outlasts(found, usual.longest_wait_seconds) is None


def test_a_timer_that_it_has_only_since_it_was_disturbed_is_not() -> None:
    found = waits(_with_a_timer(3600).workflow(Pending(at=at(9))), at(2))
    usual = Patience(seconds=60, undisturbed_seconds=5)

    assert outlasts(found, usual.longest_wait_seconds) is found[0]
