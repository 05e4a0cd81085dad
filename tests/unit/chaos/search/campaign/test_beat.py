"""What a heartbeat tells the next attempt of those before it."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.search.campaign.beat import Beat, lost_before
from chaos.search.campaign.model import Lost, Stage

DEAD = Lost(machine="dead", attempt=1, stage=Stage.RUNNING)


def beat(attempt: int, **more: Any) -> list[Any]:
    return [Beat(machine="dead", attempt=attempt, stage=Stage.RUNNING, **more).model_dump()]


def test_the_first_attempt_has_lost_nobody() -> None:
    assert lost_before(1, []) == ()


def test_one_that_was_heard_last_and_did_not_end_is_lost() -> None:
    assert lost_before(2, beat(1)) == (DEAD,)


def test_one_that_ended_itself_is_not_lost() -> None:
    assert lost_before(2, beat(1, handed_back=True)) == ()


def test_those_before_are_remembered() -> None:
    other = DEAD.model_copy(update={"attempt": 2})
    assert lost_before(3, beat(2, lost=(DEAD,))) == (DEAD, other)
    assert lost_before(3, beat(2, lost=(DEAD,), handed_back=True)) == (DEAD,)


@pytest.mark.parametrize("details", [[], [{"of": "another version"}], ["text"]])
def test_one_that_was_never_heard_is_lost_with_a_machine_that_nobody_knows(
    details: list[Any],
) -> None:
    nobody = Lost(machine="", attempt=1, stage=Stage.WAITING)
    assert lost_before(2, details) == (nobody,)


def test_one_that_died_before_its_first_heartbeat_is_lost_as_well() -> None:
    nobody = Lost(machine="", attempt=2, stage=Stage.WAITING)
    assert lost_before(3, beat(1, handed_back=True)) == (nobody,)
