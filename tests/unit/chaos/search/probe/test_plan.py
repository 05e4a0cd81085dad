"""Which points are tried, and in which order."""

from __future__ import annotations

import pytest

from chaos.search.crash.points import Action, CrashPoint
from chaos.search.probe.baseline import NoBaselineError
from chaos.search.probe.plan import Choice, chosen, disturbances
from chaos.wire.boundary import Boundary


def point(*texts: str) -> CrashPoint:
    """One call at these boundaries."""
    return CrashPoint(boundaries=tuple(map(Boundary.parse, texts)))


CHARGING = point("activity charge assigned")
REPORTING = point("activity charge completing")
CHARGED = point("activity charge completed")
AGAIN = point("activity charge completed 2")
RUN = (CHARGING, REPORTING, CHARGED, AGAIN)
EVERYTHING = disturbances([RUN, RUN])


def test_a_reply_is_lost_where_the_server_knows_something_by_then() -> None:
    assert [(p.action, p.point) for p in EVERYTHING] == [
        *((Action.KILL, each) for each in RUN),
        (Action.DROP, CHARGED),
        (Action.DROP, AGAIN),
    ]


def test_a_boundary_that_only_one_undisturbed_run_came_to_is_none() -> None:
    found = disturbances([RUN, RUN[:-1]])

    assert [each.point for each in found if each.action is Action.KILL] == list(RUN[:-1])


def test_a_sample_has_every_kind_before_it_has_one_twice() -> None:
    sample = chosen(EVERYTHING, Choice(sample=4))

    assert len({(each.action, each.point.kind) for each in sample}) == 4
    assert chosen(EVERYTHING, Choice(sample=4)) == sample


def test_one_boundary_can_be_chosen_by_its_words() -> None:
    at = [Boundary.parse("activity charge completed 2")]

    found = chosen(EVERYTHING, Choice(at=at))

    assert {(each.action, each.point) for each in found} == {
        (Action.KILL, AGAIN),
        (Action.DROP, AGAIN),
    }


def test_a_call_is_found_by_any_boundary_that_it_is_at() -> None:
    both = point("workflow_task Order completed", "activity charge assigned")
    everything = disturbances([[both], [both]])

    found = chosen(everything, Choice(at=[Boundary.parse("activity charge assigned")]))

    assert set(found) == set(everything)


def test_a_boundary_that_nobody_came_to_is_told_with_those_that_there_are() -> None:
    with pytest.raises(NoBaselineError, match="activity charge assigned 1"):
        chosen(EVERYTHING, Choice(at=[Boundary.parse("activity pay completing")]))


def test_one_action_can_be_chosen() -> None:
    found = chosen(EVERYTHING, Choice(actions=[Action.DROP]))

    assert {each.action for each in found} == {Action.DROP}
