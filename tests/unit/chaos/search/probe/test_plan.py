"""Which points are tried, and in which order."""

from __future__ import annotations

import pytest

from chaos.search.crash.points import Stop
from chaos.search.explore.plan import Action
from chaos.search.probe.baseline import NoBaselineError
from chaos.search.probe.plan import Choice, chosen, points
from chaos.wire.boundary import Boundary


def stop(*texts: str) -> Stop:
    """One call at these boundaries."""
    return Stop(boundaries=tuple(map(Boundary.parse, texts)))


CHARGING = stop("activity charge assigned")
REPORTING = stop("activity charge completing")
CHARGED = stop("activity charge completed")
AGAIN = stop("activity charge completed 2")
RUN = (CHARGING, REPORTING, CHARGED, AGAIN)
EVERYTHING = points([RUN, RUN])


def test_a_reply_is_lost_where_the_server_knows_something_by_then() -> None:
    assert [(p.action, p.stop) for p in EVERYTHING] == [
        *((Action.KILL, each) for each in RUN),
        (Action.DROP, CHARGED),
        (Action.DROP, AGAIN),
    ]


def test_a_boundary_that_only_one_undisturbed_run_came_to_is_none() -> None:
    found = points([RUN, RUN[:-1]])

    assert [each.stop for each in found if each.action is Action.KILL] == list(RUN[:-1])


def test_a_sample_has_every_kind_before_it_has_one_twice() -> None:
    sample = chosen(EVERYTHING, Choice(sample=4))

    assert len({(each.action, each.stop.kind) for each in sample}) == 4
    assert chosen(EVERYTHING, Choice(sample=4)) == sample


def test_one_boundary_can_be_chosen_by_its_words() -> None:
    at = [Boundary.parse("activity charge completed 2")]

    found = chosen(EVERYTHING, Choice(at=at))

    assert {(each.action, each.stop) for each in found} == {
        (Action.KILL, AGAIN),
        (Action.DROP, AGAIN),
    }


def test_a_call_is_found_by_any_boundary_that_it_is_at() -> None:
    both = stop("workflow_task Order completed", "activity charge assigned")
    everything = points([[both], [both]])

    found = chosen(everything, Choice(at=[Boundary.parse("activity charge assigned")]))

    assert set(found) == set(everything)


def test_a_boundary_that_nobody_came_to_is_told_with_those_that_there_are() -> None:
    with pytest.raises(NoBaselineError, match="activity charge assigned 1"):
        chosen(EVERYTHING, Choice(at=[Boundary.parse("activity pay completing")]))


def test_one_action_can_be_chosen() -> None:
    found = chosen(EVERYTHING, Choice(actions=[Action.DROP]))

    assert {each.action for each in found} == {Action.DROP}
